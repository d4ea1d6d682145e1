import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadFleet, reloadConfig } from '../../../src/config/load-fleet.ts';
import type { CdcError } from '../../../src/runtime/error.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-fleet-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const NEEDED = 'source: { url: "mysql://cdc@db1:3306" }\nfirehose: { stream: s }\n';

function write(name: string, yaml: string, needed = NEEDED): string {
  const file = join(directory, name);
  writeFileSync(file, `${needed}${yaml}\n`);
  return file;
}

function refusal(...files: string[]): CdcError {
  try {
    loadFleet(files, {});
  } catch (error) {
    return error as CdcError;
  }
  throw new Error('they were accepted');
}

test('pipelines with names of their own share a folder: each has its own checkpoint and socket there', () => {
  const fleet = loadFleet([write('a.yaml', 'name: a'), write('b.yaml', 'name: b')], {});
  expect(fleet.map(({ config }) => config.checkpoint.file)).toEqual(
    ['a', 'b'].map((name) => join(directory, 'state', `${name}.json`)),
  );
});

test('the errors of all files are in one message, and nothing that is wrong is left out', () => {
  const { message, why, exitCode } = refusal(
    write('a.yaml', 'name: a\nformat: xml'),
    write('b.yaml', 'name: b\ntruncate: never\nlinger: 3'),
    write('c.yaml', 'name: d'),
    write('d.yaml', 'name: d\ncheckpoint: { file: other.json }'),
    join(directory, 'missing.yaml'),
  );
  expect(exitCode).toBe(2);
  expect(message).toMatch(/4 problems/);
  for (const part of ['format: must be', 'truncate: must be', 'linger: unknown key', 'missing.yaml', 'same name, d']) {
    expect(why).toContain(part);
  }
});

describe('two pipelines must not have the same', () => {
  test.each<[what: string, a: string, b: string]>([
    ['name, shop', 'name: shop', 'name: shop\ncheckpoint: { file: other.json }'],
    [
      'checkpoint',
      'name: a\ncheckpoint: { file: s.json }\nadmin: { socket: a.sock }',
      'name: b\ncheckpoint: { file: ./s.json }',
    ],
    ['socket', 'name: a\nadmin: { socket: cdc.sock }', 'name: b\nadmin: { socket: cdc.sock }'],
    ['address, 127.0.0.1:8686', 'name: a\nadmin: { listen: 8686 }', 'name: b\nadmin: { listen: "127.0.0.1:8686" }'],
    ['address, 127.0.0.1:8686', 'name: a\nadmin: { listen: 8686 }', 'name: b\nadmin: { listen: "localhost:8686" }'],
    ['address, 127.0.0.1:8686', 'name: a\nadmin: { listen: 8686 }', 'name: b\nadmin: { listen: "0.0.0.0:8686" }'],
  ])('%s', (what, a, b) => {
    const { message, hint, exitCode } = refusal(write('a.yaml', a), write('b.yaml', b));
    expect(message).toContain(`${join(directory, 'a.yaml')} and ${join(directory, 'b.yaml')} have the same ${what}`);
    expect(hint).toBeTruthy();
    expect(exitCode).toBe(2);
  });

  test('checkpoint behind a symbolic link', () => {
    mkdirSync(join(directory, 'real'));
    symlinkSync('real', join(directory, 'link'));
    const files = [
      write('a.yaml', 'name: a\ncheckpoint: { file: real/s.json }\nadmin: { socket: a.sock }'),
      write('b.yaml', 'name: b\ncheckpoint: { file: link/s.json }\nadmin: { socket: b.sock }'),
    ];
    expect(refusal(...files).message).toMatch(/the same checkpoint/);
  });

  test('server id on one server', () => {
    const one = 'source: { url: "mysql://cdc@db1,db2", server_id: 7 }\nfirehose: { stream: s }\n';
    const other = 'source: { url: "mysql://cdc@db2:3306", server_id: 7 }\nfirehose: { stream: s }\n';
    const third = 'source: { url: "mysql://cdc@db3:3306", server_id: 7 }\nfirehose: { stream: s }\n';
    const a = write('a.yaml', 'name: a', one);
    expect(refusal(a, write('b.yaml', 'name: b', other)).message).toMatch(/source\.server_id, 7, on one server/);
    expect(loadFleet([a, write('c.yaml', 'name: c', third)], {})).toHaveLength(2);
  });

  test('file', () => {
    const a = write('a.yaml', 'name: a');
    expect(refusal(a, a).why).toMatch(/the same name[\s\S]*the same checkpoint[\s\S]*the same socket/);
  });
});

test('free ports and different hosts of one port are no collision', () => {
  const free = [write('a.yaml', 'name: a\nadmin: { listen: 0 }'), write('b.yaml', 'name: b\nadmin: { listen: 0 }')];
  expect(loadFleet(free, {})).toHaveLength(2);
  const hosts = ['127.0.0.1', '127.0.0.2'].map((host, i) =>
    write(`${i}.yaml`, `name: n${i}\nadmin: { listen: "${host}:8686" }`),
  );
  expect(loadFleet(hosts, {})).toHaveLength(2);
});

test('a file that is read again must still differ from the others', () => {
  const [a, b] = [write('a.yaml', 'name: a'), write('b.yaml', 'name: b')];
  const [first] = loadFleet([a, b], {});
  expect(reloadConfig(b, [first as never]).name).toBe('b');
  write('b.yaml', 'name: a');
  expect(() => reloadConfig(b, [first as never])).toThrow(/the same name, a/);
});
