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

describe('installation methods', () => {
  test('existing servers come first, then the distribution, then the publisher', () => {
    expect(installMethods({ flavor: 'mysql' }).map((method) => method.name)).toEqual([
      'mysqld on PATH',
      'cached copy',
      'Debian or Ubuntu packages',
      'official download',
    ]);
    expect(installMethods({ flavor: 'mariadb' }).map((method) => method.name)).toEqual([
      'mariadbd on PATH',
      'cached copy',
      'Debian or Ubuntu packages',
    ]);
  });

  test('the methods are tried until one works', async () => {
    const tried: string[] = [];
    const method = (name: string, find: () => Promise<Installation>): InstallMethod => ({
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
    expect(await firstSuccessful('mysql', [method('a', fails), method('b', works), method('c', works)])).toBe(
      installation,
    );
    expect(tried).toEqual(['a', 'b']);
  });

  test('the failure of all methods is one error with all reasons and a hint', async () => {
    const failing = (name: string): InstallMethod => ({
      name,
      find: async () => {
        throw new Error(`${name} is not there`);
      },
    });
    const error: CdcError = await firstSuccessful('mariadb', [failing('a'), failing('b')]).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(CdcError);
    expect(error.message).toBe('cannot find or fetch a MariaDB server');
    expect(error.why).toBe('all methods failed\n    - a: a is not there\n    - b: b is not there');
    expect(error.hint).toContain('mariadbd is on PATH');
    expect(error.hint).toContain('CDC_MARIADB_URL=');
  });

  test('an interrupt ends the search at once', async () => {
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

test('the publisher has a build for each architecture in the downloads and in the archives', () => {
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
  expect(() => hostArchitecture('s390x')).toThrow('cannot fetch a MySQL server for the architecture s390x');
});
