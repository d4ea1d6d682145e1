import { describe, expect, test } from 'vitest';
import type { ServerFacts } from '../../src/binlog/server.ts';
import { GtidSet } from '../../src/change/gtid-set.ts';
import { MariadbPosition } from '../../src/change/mariadb-position.ts';
import type { Checkpoint } from '../../src/checkpoint/checkpoint-file.ts';
import type { CdcError } from '../../src/error.ts';
import { startPoint } from '../../src/start-point.ts';

const U = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const mysql = (executed: string | undefined, purged = ''): ServerFacts => ({
  flavor: 'mysql',
  version: '9.7.4',
  identity: 'server-a',
  caseSensitive: true,
  end: { file: 'binlog.000009', position: 900 },
  binlogs: [2, 4, 5, 9].map((n) => ({ file: `binlog.00000${n}`, position: n === 9 ? 900 : 1000 })),
  executed: executed === undefined ? undefined : GtidSet.parse(executed),
  purged: executed === undefined ? undefined : GtidSet.parse(purged),
  charsets: new Map(),
});

const mariadb = (executed: string): ServerFacts => ({
  ...mysql(undefined),
  flavor: 'mariadb',
  identity: 'mariadb-1',
  executed: MariadbPosition.parse(executed),
});

const checkpoint = (gtids: string | null, over: Partial<Checkpoint> = {}): Checkpoint => ({
  name: 'shop',
  server: { flavor: 'mysql', identity: 'server-a' },
  epoch: 3,
  gtids,
  file: 'binlog.000005',
  position: 500,
  tables: [],
  ...over,
});

const failure = (run: () => unknown): CdcError => {
  try {
    run();
  } catch (error) {
    return error as CdcError;
  }
  throw new Error('it was accepted');
};

describe('without a checkpoint', () => {
  test('now begins behind everything executed', () => {
    const { dump, delivered } = startPoint({ start: 'now' }, undefined, mysql(`${U}:1-50`));
    expect(dump).toEqual({ gtids: `${U}:1-50` });
    expect(delivered.coordinates).toEqual({ file: 'binlog.000009', position: 900 });
  });

  test('a new epoch begins, later than any before it, though the checkpoint that held it is gone', () => {
    expect(startPoint({ start: 'now' }, undefined, mysql(`${U}:1-50`), 1234).epoch).toBe(1234);
  });

  test('now on a server without GTIDs begins at the end of its binlog', () => {
    expect(startPoint({ start: 'now' }, undefined, mysql(undefined)).dump).toEqual({
      coordinates: { file: 'binlog.000009', position: 900 },
    });
  });

  test('earliest begins behind what was purged', () => {
    expect(startPoint({ start: 'earliest' }, undefined, mysql(`${U}:1-50`, `${U}:1-7`)).dump).toEqual({
      gtids: `${U}:1-7`,
    });
  });

  test('coordinates on a server with GTIDs read their file from its head, to learn the GTIDs before them', () => {
    const start = startPoint({ start: 'binlog.000004:777' }, undefined, mysql(`${U}:1-50`));
    expect(start).toMatchObject({
      dump: { coordinates: { file: 'binlog.000004', position: 4 } },
      gtidsFromStream: true,
      skipBefore: { file: 'binlog.000004', position: 777 },
    });
  });

  test('a GTID set that the server has purged past is a gap that is named', () => {
    const error = failure(() => startPoint({ start: `${U}:1-3` }, undefined, mysql(`${U}:1-50`, `${U}:1-7`)));
    expect(error.exitCode).toBe(2);
    expect(error.why).toContain(`${U}:4-7`);
  });
});

test.each([
  ['binlog.000004:1001', 'binlog.000004 has 1000 bytes'],
  ['binlog.000099:4', 'there is no binlog.000099'],
  ['binlog.000004:3', 'the first event is at 4'],
])('%s, which the binlog does not have, is refused at once: nothing is passed over to reach it', (start, why) => {
  for (const server of [mysql(`${U}:1-50`), mysql(undefined), mariadb('0-1-5')]) {
    const error = failure(() => startPoint({ start }, undefined, server));
    expect(error).toMatchObject({ exitCode: 2, message: `source.start ${start} is not in the binlog of the server` });
    expect(error.why).toContain(why);
  }
});

describe('with a checkpoint', () => {
  test('the stream goes on behind the delivered set, holes and all', () => {
    const { dump, epoch } = startPoint({ start: 'now' }, checkpoint(`${U}:1-40:42`), mysql(`${U}:1-50`, `${U}:1-7`));
    expect(dump).toEqual({ gtids: `${U}:1-40:42` });
    expect(epoch).toBe(3);
  });

  test('purged transactions that were never delivered stop it with code 4 and their names', () => {
    const error = failure(() => startPoint({ start: 'now' }, checkpoint(`${U}:1-4:6`), mysql(`${U}:1-50`, `${U}:1-7`)));
    expect(error.exitCode).toBe(4);
    expect(error.why).toContain(`${U}:5:7`);
    expect(error.hint).toBeTruthy();
  });

  test('a server that lacks what was delivered stops it with code 4', () => {
    const error = failure(() => startPoint({ start: 'now' }, checkpoint(`${U}:1-60`), mysql(`${U}:1-50`)));
    expect(error).toMatchObject({ exitCode: 4 });
    expect(error.why).toContain(`${U}:51-60`);
  });

  test('another server that has it all continues in a new epoch, so that seq keeps growing, whatever the clock says', () => {
    const replica = { ...mysql(`${U}:1-50`), identity: 'server-b' };
    expect(startPoint({ start: 'now' }, checkpoint(`${U}:1-40`), replica, 77).epoch).toBe(77);
    expect(startPoint({ start: 'now' }, checkpoint(`${U}:1-40`), replica, 2).epoch).toBe(4);
  });

  test('another server without GTIDs cannot be compared and is refused', () => {
    const replica = { ...mysql(undefined), identity: 'server-b' };
    expect(failure(() => startPoint({ start: 'now' }, checkpoint(null), replica)).exitCode).toBe(4);
  });

  test.each([
    [{ file: 'binlog.000001' }, 'there is no binlog.000001'],
    [{ position: 1001 }, 'binlog.000005 has 1000 bytes'],
  ])('without GTIDs, a file that is gone or shorter than the checkpoint stops it with code 4: %j', (over, why) => {
    const error = failure(() => startPoint({ start: 'now' }, checkpoint(null, over), mysql(undefined)));
    expect(error).toMatchObject({ exitCode: 4 });
    expect(error.why).toContain(why);
  });

  test('another flavor of server is refused', () => {
    expect(failure(() => startPoint({ start: 'now' }, checkpoint(`${U}:1`), mariadb('0-1-5'))).exitCode).toBe(2);
  });

  test('a MariaDB server behind the checkpoint is refused', () => {
    const saved = checkpoint('0-1-9', { server: { flavor: 'mariadb', identity: 'mariadb-1' } });
    expect(failure(() => startPoint({ start: 'now' }, saved, mariadb('0-1-8'))).exitCode).toBe(4);
    expect(startPoint({ start: 'now' }, saved, mariadb('0-1-9')).dump).toEqual({ gtids: '0-1-9' });
  });
});
