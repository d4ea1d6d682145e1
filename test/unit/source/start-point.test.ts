import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import { GtidSet } from '../../../src/model/gtid-set.ts';
import { MariadbGtidPosition } from '../../../src/model/mariadb-gtid-position.ts';
import type { CdcError } from '../../../src/runtime/error.ts';
import type { ServerInfo } from '../../../src/source/server/server-info.ts';
import { isBehindCheckpoint, type StartRequest, startPoint } from '../../../src/source/start-point.ts';

const U = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const mysql = (executed: string | undefined, purged = ''): ServerInfo => ({
  flavor: 'mysql',
  version: '9.7.4',
  identity: 'server-a',
  caseSensitive: true,
  end: { file: 'binlog.000009', position: 900 },
  binlogs: [2, 4, 5, 9].map((n) => ({ file: `binlog.00000${n}`, position: n === 9 ? 900 : 1000 })),
  executed: executed === undefined ? undefined : GtidSet.parse(executed),
  purged: executed === undefined ? undefined : GtidSet.parse(purged),
  charsets: new Map(),
  isReplica: false,
});

const mariadb = (executed: string): ServerInfo => ({
  ...mysql(undefined),
  flavor: 'mariadb',
  identity: 'mariadb-1',
  executed: MariadbGtidPosition.parse(executed),
});

const checkpoint = (gtids: string | null, over: Partial<Checkpoint> = {}): Checkpoint => ({
  name: 'shop',
  server: { flavor: 'mysql', identity: 'server-a' },
  epoch: 3,
  gtids,
  file: 'binlog.000005',
  position: 500,
  tables: [],
  incomplete: [],
  ...over,
});

const failure = (run: () => unknown): CdcError => {
  try {
    run();
  } catch (error) {
    return error as CdcError;
  }
  throw new Error('nothing was thrown');
};

describe('without a checkpoint', () => {
  test('now begins after everything executed', () => {
    const { dump, delivered } = startPoint({ start: 'now' }, undefined, mysql(`${U}:1-50`));
    expect(dump).toEqual({ gtids: `${U}:1-50` });
    expect(delivered.coordinates).toEqual({ file: 'binlog.000009', position: 900 });
  });

  test('a new epoch begins, with a higher number than the epochs of lost checkpoints', () => {
    expect(startPoint({ start: 'now' }, undefined, mysql(`${U}:1-50`), 1234).epoch).toBe(1234);
  });

  test('now on a server without GTIDs begins at the end of its binlog', () => {
    expect(startPoint({ start: 'now' }, undefined, mysql(undefined)).dump).toEqual({
      coordinates: { file: 'binlog.000009', position: 900 },
    });
  });

  test.each(['earliest', 'start'])('%s begins after the purged transactions', (start) => {
    expect(startPoint({ start }, undefined, mysql(`${U}:1-50`, `${U}:1-7`)).dump).toEqual({
      gtids: `${U}:1-7`,
    });
  });

  test('coordinates on a server with GTIDs read their file from its start, to learn the GTIDs before them', () => {
    const start = startPoint({ start: 'binlog.000004:777' }, undefined, mysql(`${U}:1-50`));
    expect(start).toMatchObject({
      dump: { coordinates: { file: 'binlog.000004', position: 4 } },
      readGtidsFromFirstFile: true,
      skipBefore: { file: 'binlog.000004', position: 777 },
    });
  });

  test('a GTID set with following transactions purged is rejected, and the error names them', () => {
    const error = failure(() => startPoint({ start: `${U}:1-3` }, undefined, mysql(`${U}:1-50`, `${U}:1-7`)));
    expect(error.exitCode).toBe(2);
    expect(error.why).toContain(`${U}:4-7`);
  });
});

test.each([
  ['binlog.000004:1001', 'binlog.000004 has 1000 bytes'],
  ['binlog.000099:4', 'there is no binlog.000099'],
  ['binlog.000004:3', 'the first event of a binlog is at 4'],
])('the start position %s, which the binlog does not have, is rejected before anything is read', (start, why) => {
  for (const server of [mysql(`${U}:1-50`), mysql(undefined), mariadb('0-1-5')]) {
    const error = failure(() => startPoint({ start }, undefined, server));
    expect(error).toMatchObject({ exitCode: 2, message: `source.start ${start} is not in the binlog of the server` });
    expect(error.why).toContain(why);
  }
});

describe('with a checkpoint', () => {
  test('the stream continues after the delivered set with its holes', () => {
    const { dump, epoch } = startPoint({ start: 'now' }, checkpoint(`${U}:1-40:42`), mysql(`${U}:1-50`, `${U}:1-7`));
    expect(dump).toEqual({ gtids: `${U}:1-40:42` });
    expect(epoch).toBe(3);
  });

  test('purged transactions that were never delivered are an error with exit code 4 that names them', () => {
    const error = failure(() => startPoint({ start: 'now' }, checkpoint(`${U}:1-4:6`), mysql(`${U}:1-50`, `${U}:1-7`)));
    expect(error.exitCode).toBe(4);
    expect(error.why).toContain(`${U}:5:7`);
    expect(error.hint).toBeTruthy();
  });

  test('a server that lacks delivered transactions is an error with exit code 4', () => {
    const error = failure(() => startPoint({ start: 'now' }, checkpoint(`${U}:1-60`), mysql(`${U}:1-50`)));
    expect(error).toMatchObject({ exitCode: 4 });
    expect(error.why).toContain(`${U}:51-60`);
  });

  test('another server that has everything continues in a higher epoch, whatever the clock says', () => {
    const replica = { ...mysql(`${U}:1-50`), identity: 'server-b' };
    expect(startPoint({ start: 'now' }, checkpoint(`${U}:1-40`), replica, 77).epoch).toBe(77);
    expect(startPoint({ start: 'now' }, checkpoint(`${U}:1-40`), replica, 2).epoch).toBe(4);
  });

  const binlog = { created: 1, position: 400, digest: 7, gtid: `${U}:40`, committed: 5 };

  test('what the checkpoint knows of the binlog stays known while the coordinates go on', () => {
    const { delivered } = startPoint({ start: 'now' }, checkpoint(`${U}:1-40`, { binlog }), mysql(`${U}:1-50`));
    expect(delivered.fingerprint).toEqual(binlog);
    const replica = { ...mysql(`${U}:1-50`), identity: 'server-b' };
    const elsewhere = startPoint({ start: 'now' }, checkpoint(`${U}:1-40`, { binlog }), replica);
    expect(elsewhere.delivered.fingerprint).toBeUndefined();
  });

  test('another binlog than that of the checkpoint is an error, unless all that was delivered is purged', () => {
    const resume = (server: ServerInfo, gtids: string | null) =>
      startPoint(
        { start: 'now' },
        checkpoint(gtids, { server: { flavor: 'mysql', identity: U } }),
        server,
        77,
        'it is new',
      );
    const server = (purged: string) => ({ ...mysql(`${U}:1-50`, purged), identity: U });
    expect(failure(() => resume(server(''), `${U}:1-40`))).toMatchObject({
      exitCode: 4,
      message: 'the binlogs of the server were reset since the checkpoint',
      why: expect.stringContaining('but it is new: the same GTIDs name other transactions'),
    });
    expect(failure(() => resume({ ...mysql(undefined), identity: U }, null))).toMatchObject({
      exitCode: 4,
      why: expect.stringContaining('but it is new'),
    });
    expect(resume(server(`${U}:1-40`), `${U}:1-40`)).toMatchObject({ epoch: 77, dump: { gtids: `${U}:1-40` } });
    const other = () =>
      startPoint({ start: 'now' }, checkpoint(`${U}:1-40`), { ...server(''), identity: 'b' }, 77, 'it is new');
    expect(failure(other)).toMatchObject({ exitCode: 4, why: expect.stringContaining('it is new') });
  });

  test('with GTIDs that the server has no more, the stream continues at the coordinates, if there are any', () => {
    const { dump, delivered, epoch } = startPoint({ start: 'now' }, checkpoint(`${U}:1-40`), mysql(undefined));
    expect(dump).toEqual({ coordinates: { file: 'binlog.000005', position: 500 } });
    expect([delivered.gtids, epoch]).toEqual([undefined, 3]);
    const none = failure(() =>
      startPoint({ start: 'now' }, checkpoint(`${U}:1-40`, { position: 0 }), mysql(undefined)),
    );
    expect(none).toMatchObject({ exitCode: 4, message: 'the checkpoint has GTIDs, and the server has none any more' });
  });

  test('without GTIDs that the server has now, the file is read from its start, if its transactions have GTIDs', () => {
    const start = (over: Partial<Checkpoint>) =>
      startPoint({ start: 'now' }, checkpoint(null, over), mysql(`${U}:1-50`));
    const fromStart = { readGtidsFromFirstFile: true, dump: { coordinates: { file: 'binlog.000005', position: 4 } } };
    expect(start({})).toMatchObject(fromStart);
    expect(start({ binlog })).toMatchObject(fromStart);
    // The server refuses to send the transactions without GTIDs before the coordinates.
    expect(start({ binlog: { ...binlog, gtid: '' } })).toMatchObject({
      readGtidsFromFirstFile: false,
      dump: { coordinates: { file: 'binlog.000005', position: 500 } },
    });
  });

  test('a new epoch is above the highest that was used, and no epoch is below the lowest that is allowed', () => {
    const epochOf = (request: Partial<StartRequest>, saved?: Checkpoint, identity = 'server-a') =>
      startPoint({ start: 'now', ...request }, saved, { ...mysql(`${U}:1-50`), identity }, 100).epoch;
    const saved = checkpoint(`${U}:1-40`);
    expect(epochOf({ usedEpoch: 200 })).toBe(201);
    expect(epochOf({ usedEpoch: 200, lowestEpoch: 300 })).toBe(300);
    expect(epochOf({ usedEpoch: 200 }, saved), 'the same coordinates go on').toBe(3);
    expect(epochOf({ usedEpoch: 200, lowestEpoch: 300 }, saved)).toBe(300);
    expect(epochOf({ usedEpoch: 200 }, saved, 'server-b')).toBe(201);
  });

  test('another server begins at coordinates of its own, which are not known until its first event', () => {
    const replica = { ...mysql(`${U}:1-50`), identity: 'server-b' };
    const { delivered } = startPoint({ start: 'now' }, checkpoint(`${U}:1-40`, { file: 'binlog.000777' }), replica);
    expect(delivered.coordinates).toEqual({ file: 'binlog.000002', position: 0 });
  });

  test('a replica that lags is retried, and a server that is no replica is a fatal error', () => {
    const replica = { ...mysql(`${U}:1-50`), identity: 'server-b' };
    const saved = checkpoint(`${U}:1-60`);
    const lagging = failure(() => startPoint({ start: 'now' }, saved, { ...replica, isReplica: true }));
    expect(lagging).toMatchObject({ kind: 'retry', why: expect.stringContaining(`${U}:51-60`) });
    expect(failure(() => startPoint({ start: 'now' }, saved, replica))).toMatchObject({ kind: 'fatal', exitCode: 4 });
    expect(isBehindCheckpoint(saved, replica)).toBe(true);
    expect(isBehindCheckpoint(checkpoint(`${U}:1-50`), replica)).toBe(false);
  });

  describe('whose server restarted its binlog numbers', () => {
    const later = { file: 'binlog.000012', position: 4 };

    test('GTIDs that can name other transactions now are an error with exit code 4', () => {
      const reset = { ...mysql(`${U}:1-50`), identity: U };
      const error = failure(() =>
        startPoint(
          { start: 'now' },
          checkpoint(`${U}:1-40`, { ...later, server: { flavor: 'mysql', identity: U } }),
          reset,
        ),
      );
      expect(error).toMatchObject({ exitCode: 4, message: expect.stringContaining('reset') });
    });

    test('the stream continues in a new epoch if all delivered GTIDs are purged ones or came from other servers', () => {
      const sameServer = { ...later, server: { flavor: 'mysql' as const, identity: U } };
      const restored = { ...mysql(`${U}:1-50`, `${U}:1-40`), identity: U };
      expect(startPoint({ start: 'now' }, checkpoint(`${U}:1-40`, sameServer), restored, 77).epoch).toBe(77);
      const rebuilt = { ...mysql(`${U}:1-50`), identity: 'server-a' };
      expect(startPoint({ start: 'now' }, checkpoint(`${U}:1-40`, later), rebuilt, 77).epoch).toBe(77);
    });

    test('another base name of the files begins a new epoch too', () => {
      const saved = checkpoint(`${U}:1-40`, { file: 'mysql-bin.000001' });
      expect(startPoint({ start: 'now' }, saved, mysql(`${U}:1-50`), 77).epoch).toBe(77);
    });

    test('MariaDB positions follow the same rules', () => {
      const saved = checkpoint('0-1-9,1-2-3', { ...later, server: { flavor: 'mariadb', identity: 'mariadb-1' } });
      expect(failure(() => startPoint({ start: 'now' }, saved, mariadb('0-1-20,1-2-3'))).exitCode).toBe(4);
      const restored = { ...mariadb('0-1-20,1-2-3'), purged: MariadbGtidPosition.parse('0-1-9,1-2-3') };
      expect(startPoint({ start: 'now' }, saved, restored, 77).epoch).toBe(77);
    });
  });

  test('without GTIDs, a position beyond 4 GiB is reached from the start of its file, and what is before it is skipped', () => {
    const far = { file: 'binlog.000005', position: 2 ** 32 + 5 };
    const server = {
      ...mysql(undefined),
      binlogs: [{ file: 'binlog.000005', position: 2 ** 33 }],
      end: { file: 'binlog.000009', position: 900 },
    };
    expect(startPoint({ start: 'now' }, checkpoint(null, far), server)).toMatchObject({
      dump: { coordinates: { file: 'binlog.000005', position: 4 } },
      readGtidsFromFirstFile: false,
      skipBefore: far,
    });
    const last = { ...far, position: 2 ** 32 - 1 };
    expect(startPoint({ start: 'now' }, checkpoint(null, last), server).dump).toEqual({ coordinates: last });
  });

  test('another server without GTIDs is rejected, because its positions cannot be compared', () => {
    const replica = { ...mysql(undefined), identity: 'server-b' };
    expect(failure(() => startPoint({ start: 'now' }, checkpoint(null), replica)).exitCode).toBe(4);
  });

  test.each([
    [{ file: 'binlog.000001' }, 'there is no binlog.000001'],
    [{ position: 1001 }, 'binlog.000005 has 1000 bytes'],
  ])('without GTIDs, a missing or too short file is an error with exit code 4: %j', (over, why) => {
    const error = failure(() => startPoint({ start: 'now' }, checkpoint(null, over), mysql(undefined)));
    expect(error).toMatchObject({ exitCode: 4 });
    expect(error.why).toContain(why);
  });

  test('another flavor of server is rejected', () => {
    expect(failure(() => startPoint({ start: 'now' }, checkpoint(`${U}:1`), mariadb('0-1-5'))).exitCode).toBe(2);
  });

  test('a MariaDB server that has purged following transactions is an error with exit code 4 that says which', () => {
    const saved = checkpoint('0-1-3', { server: { flavor: 'mariadb', identity: 'mariadb-1' } });
    const server = { ...mariadb('0-1-9'), purged: MariadbGtidPosition.parse('0-1-5') };
    const error = failure(() => startPoint({ start: 'now' }, saved, server));
    expect(error).toMatchObject({ exitCode: 4, why: 'delivered up to 0-1-3, and purged up to 0-1-5' });
    expect(startPoint({ start: 'now' }, checkpoint('0-1-5', { server: saved.server }), server).dump).toEqual({
      gtids: '0-1-5',
    });
  });

  test('a MariaDB server behind the checkpoint is rejected', () => {
    const saved = checkpoint('0-1-9', { server: { flavor: 'mariadb', identity: 'mariadb-1' } });
    expect(failure(() => startPoint({ start: 'now' }, saved, mariadb('0-1-8'))).exitCode).toBe(4);
    expect(startPoint({ start: 'now' }, saved, mariadb('0-1-9')).dump).toEqual({ gtids: '0-1-9' });
  });
});
