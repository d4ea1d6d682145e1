import { describe, expect, test } from 'vitest';
import { firstSuccessful, type InstallMethod, installMethods } from '../../../../src/local/mysql/installation.ts';
import { hostArchitecture, type Installation } from '../../../../src/local/mysql/layout.ts';
import { downloadUrls } from '../../../../src/local/mysql/official-download.ts';
import { CdcError } from '../../../../src/runtime/error.ts';

const installation: Installation = {
  flavor: 'mysql',
  version: '9.7.4',
  command: ['mysqld'],
  settings: [],
  share: undefined,
};

describe('the ways to a server', () => {
  test('go from what is there over the distribution to the publisher', () => {
    expect(installMethods({ flavor: 'mysql' }).map((way) => way.name)).toEqual([
      'mysqld on PATH',
      'cached copy',
      'Debian or Ubuntu packages',
      'official download',
    ]);
    expect(installMethods({ flavor: 'mariadb' }).map((way) => way.name)).toEqual([
      'mariadbd on PATH',
      'cached copy',
      'Debian or Ubuntu packages',
    ]);
  });

  test('are tried until one works, and no further', async () => {
    const tried: string[] = [];
    const way = (name: string, find: () => Promise<Installation>): InstallMethod => ({
      name,
      find: () => {
        tried.push(name);
        return find();
      },
    });
    const works = async () => installation;
    const fails = async () => {
      throw new Error('no');
    };
    expect(await firstSuccessful('mysql', [way('a', fails), way('b', works), way('c', works)])).toBe(installation);
    expect(tried).toEqual(['a', 'b']);
  });

  test('that all fail make one error with the reason of each and what to do', async () => {
    const failing = (name: string): InstallMethod => ({
      name,
      find: async () => {
        throw new Error(`${name} is not there`);
      },
    });
    const error: CdcError = await firstSuccessful('mariadb', [failing('a'), failing('b')]).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(CdcError);
    expect(error.message).toBe('no MariaDB server could be found or fetched');
    expect(error.why).toBe('all ways were tried\n    - a: a is not there\n    - b: b is not there');
    expect(error.hint).toContain('mariadbd is on PATH');
    expect(error.hint).toContain('CDC_MARIADB_URL=');
  });

  test('are left at once by an interrupt', async () => {
    const ending = new AbortController();
    const interrupted: InstallMethod = {
      name: 'a',
      find: async () => {
        ending.abort();
        throw new Error('aborted');
      },
    };
    const never: InstallMethod = { name: 'b', find: () => expect.unreachable() };
    await expect(firstSuccessful('mysql', [interrupted, never], ending.signal)).rejects.toThrow('was interrupted');
  });
});

test('the publisher has a build for each architecture, in the downloads or in the archives', () => {
  for (const [name, build] of [
    ['x64', 'x86_64-minimal'],
    ['arm64', 'aarch64'],
  ] as const) {
    const [current, archived] = downloadUrls(hostArchitecture(name));
    expect(current).toMatch(
      new RegExp(`/Downloads/MySQL-\\d+\\.\\d+/mysql-\\d+\\.\\d+\\.\\d+-linux-glibc[\\d.]+-${build}\\.tar\\.xz$`),
    );
    expect(archived).toBe(current!.replace('/Downloads/MySQL-', '/archives/mysql-'));
  }
  expect(() => hostArchitecture('s390x')).toThrow('no MySQL server is fetched for the architecture s390x');
});
