import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { parseConfig } from '../../src/config/load.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import type { LocalServer, ServerKind } from '../../src/local/mysql/server.ts';
import type { BinlogFingerprint } from '../../src/model/binlog-fingerprint.ts';
import { ChangeStream } from '../../src/source/change-stream.ts';
import { differenceFromCheckpoint } from '../../src/source/compare-binlog.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { startPoint } from '../../src/source/start-point.ts';
import { IGNORE_CHANGES } from '../encoded-event.ts';
import { startTestServer } from './test-server.ts';

// The settings of a server change here, and its binlogs are reset, so each kind of server is of this file alone.

const KINDS: { kind: ServerKind; name: string; settings: string[]; reset: string; statements: string[][] }[] = [
  {
    kind: 'mysql',
    name: 'MySQL 9.7',
    settings: [],
    reset: 'RESET BINARY LOGS AND GTIDS',
    statements: [
      ['SET SESSION binlog_transaction_compression=ON', 'INSERT INTO item VALUES (50)'],
      ['XA START "a"', 'INSERT INTO item VALUES (51)', 'XA END "a"', 'XA PREPARE "a"', 'XA COMMIT "a"'],
      ['SET GLOBAL binlog_checksum=NONE', 'INSERT INTO item VALUES (52)'],
      ['INSERT INTO item VALUES (53)', 'SET GLOBAL binlog_checksum=CRC32'],
    ],
  },
  {
    kind: 'mysql',
    name: 'MySQL 9.7 without GTIDs',
    settings: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    reset: 'RESET BINARY LOGS AND GTIDS',
    statements: [],
  },
  {
    kind: 'mariadb',
    name: 'MariaDB 10.11',
    settings: [],
    reset: 'RESET MASTER',
    statements: [
      ['SET GLOBAL log_bin_compress=ON', 'INSERT INTO item VALUES (50)', 'SET GLOBAL log_bin_compress=OFF'],
      ['XA START "a"', 'INSERT INTO item VALUES (51)', 'XA END "a"', 'XA PREPARE "a"', 'XA COMMIT "a"'],
      ['SET GLOBAL binlog_checksum=NONE', 'INSERT INTO item VALUES (52)'],
      ['INSERT INTO item VALUES (53)', 'SET GLOBAL binlog_checksum=CRC32'],
    ],
  },
  { kind: 'mysql-5.6', name: 'MySQL 5.6', settings: [], reset: 'RESET MASTER', statements: [] },
];

/** The last event of what each does is of another kind. */
const STATEMENTS = [
  ['INSERT INTO item VALUES (1), (2)'],
  ['BEGIN', 'UPDATE item SET id = id + 10', 'DELETE FROM item WHERE id = 12', 'COMMIT'],
  ['CREATE TABLE other (id INT PRIMARY KEY) ENGINE=MyISAM'],
  ['INSERT INTO other VALUES (1)'],
  ['TRUNCATE TABLE other'],
  ['INSERT INTO item VALUES (3)', 'FLUSH BINARY LOGS'],
  ['FLUSH BINARY LOGS'],
];

describe.each(KINDS)('the binlog of $name', ({ kind, name, settings, reset, statements }) => {
  let server: LocalServer;
  let connection: Connection;
  beforeAll(async () => {
    server = await startTestServer({ flavor: kind, settings });
    connection = await createConnection({ uri: server.url });
    await run(`CREATE DATABASE t`, 'USE t', 'CREATE TABLE item (id INT PRIMARY KEY)');
  });
  afterAll(async () => {
    connection?.destroy();
    await server?.stop();
  });

  const run = async (...sqls: string[]): Promise<void> => {
    for (const sql of sqls) await connection.query(sql);
  };
  const config = () =>
    parseConfig(`source: { url: "${server.url}" }\nfirehose: { stream: s }`, {
      file: 'cdc.yaml',
      directory: '.',
      env: {},
    });
  const information = () => readServerInfo(sourceConnection(config().source));
  const difference = async (saved: Checkpoint): Promise<string | undefined> =>
    differenceFromCheckpoint(
      saved,
      await information(),
      sourceConnection(config().source),
      new AbortController().signal,
    );

  /** What the daemon would save after it has read and delivered what `sqls` do. */
  async function checkpointAfter(...sqls: string[]): Promise<Checkpoint & { binlog: BinlogFingerprint }> {
    const before = await information();
    const start = startPoint({ start: 'now' }, undefined, before);
    await run(...sqls);
    const { end } = await information();
    const done = new AbortController();
    const { delivered } = start;
    await new ChangeStream({ config: config(), server: before, start, signal: done.signal }).follow({
      ...IGNORE_CHANGES,
      commit(transaction) {
        delivered.advance(transaction);
        if (delivered.file === end.file && delivered.position >= end.position) done.abort();
      },
      fileBegins(file, created) {
        if (delivered.file === file && delivered.fingerprint === undefined)
          delivered.advanceTo(delivered.coordinates, created);
        // The file has no transaction.
        if (file === end.file && (sqls.length === 0 || sqls.at(-1)?.startsWith('FLUSH') || /CRC32/.test(`${sqls}`))) {
          delivered.advanceTo(end, created);
          done.abort();
        }
      },
      gtidsBeforeStart() {},
      // What a server writes by itself, such as MariaDB's checkpoint of the binlog, can be behind the last transaction.
      heartbeat(at) {
        if (delivered.file === end.file && at.file === end.file && at.position >= end.position) done.abort();
      },
    });
    expect(delivered.fingerprint).toBeDefined();
    const { flavor, identity } = before;
    return {
      name: 'shop',
      server: { flavor, identity },
      epoch: 1,
      gtids: delivered.gtids?.toString() ?? null,
      ...delivered.coordinates,
      tables: [],
      incomplete: [],
      binlog: delivered.fingerprint as BinlogFingerprint,
    };
  }

  const cases = [...STATEMENTS, ...statements].map((sqls) => ({ what: sqls.join('; '), sqls }));
  test.each(cases)('is recognized again after $what', async ({ sqls }) => {
    const saved = await checkpointAfter(...sqls);
    expect(await difference(saved)).toBeUndefined();
    expect(await difference({ ...saved, binlog: { ...saved.binlog, created: 1 } })).toMatch(/was created at 1970/);
    if (saved.binlog.position === 0) return;
    const other = { ...saved, binlog: { ...saved.binlog, digest: 1 } };
    expect(await difference(other)).toMatch(/the event at binlog\.\d+:\d+ is not the one that cdc has read there/);
    const misplaced = { ...saved, binlog: { ...saved.binlog, position: saved.binlog.position + 1 } };
    expect(await difference(misplaced)).toMatch(/the server cannot read binlog|is not the one/);
    expect(await difference({ ...saved, position: 1e6 })).toMatch(/has \d+ bytes, and cdc has read 1000000/);
  });

  test('is recognized again at a source.start in the middle of an event', async () => {
    const { binlog, ...saved } = await checkpointAfter('INSERT INTO item VALUES (80)');
    for (const back of [1, 5, 20]) {
      const start = { ...saved, position: saved.position - back, binlog: { ...binlog, position: 0, digest: 0 } };
      expect(await difference(start)).toBeUndefined();
    }
  });

  test('is recognized again although the server writes checksums that it did not write then', async () => {
    const saved = await checkpointAfter('INSERT INTO item VALUES (60)');
    await run('SET GLOBAL binlog_checksum=NONE', 'INSERT INTO item VALUES (61)');
    expect(await difference(saved)).toBeUndefined();
    const without = await checkpointAfter('INSERT INTO item VALUES (62)');
    await run('SET GLOBAL binlog_checksum=CRC32');
    expect(await difference(without)).toBeUndefined();
  });

  test.runIf(name === 'MySQL 9.7')('is compared by the time of the last commit, if another server has it', async () => {
    const saved = await checkpointAfter('INSERT INTO item VALUES (70)');
    const elsewhere = { ...saved, server: { ...saved.server, identity: 'another uuid' } };
    expect(await difference(elsewhere)).toBeUndefined();
    const committed = saved.binlog.committed - 1;
    expect(await difference({ ...elsewhere, binlog: { ...saved.binlog, committed } })).toMatch(
      /:\d+ was committed at \S+ when cdc read it, and at \S+ on this server/,
    );
  });

  test('of a file that is purged is another one, if the last transaction is not purged', async () => {
    const saved = await checkpointAfter('INSERT INTO item VALUES (71)');
    const purged = { ...saved, file: 'binlog.000000' };
    if (saved.binlog.gtid === '') expect(await difference(purged)).toBeUndefined();
    else expect(await difference(purged)).toMatch(/has read \S+ in binlog.000000, which is purged, but \S+ is not/);
  });

  test('is another one after a reset, even with as many transactions at the same positions', async () => {
    const fill = ['DELETE FROM item', 'INSERT INTO item VALUES (1)', 'INSERT INTO item VALUES (2)'];
    await run(reset);
    const saved = await checkpointAfter(...fill);
    // MySQL stamps files with seconds. Here the last event alone makes the difference.
    await run(reset, ...fill, ...Array.from({ length: 20 }, (_, i) => `INSERT INTO item VALUES (${i + 100})`));
    const ofEvent = { ...saved, binlog: { ...saved.binlog, created: (await checkpointAfter()).binlog.created } };
    expect(await difference(ofEvent)).toMatch(/the event at binlog.000001:\d+ is not the one|cannot read/);
  });

  test('is another one after a reset, if nothing was read from the first one', async () => {
    await run(reset, 'INSERT INTO item VALUES (1000)');
    const saved = await checkpointAfter();
    expect(saved.binlog.position).toBe(0);
    await new Promise((done) => setTimeout(done, 1_100));
    await run(reset, ...Array.from({ length: 20 }, (_, i) => `INSERT INTO item VALUES (${i + 2000})`));
    expect(await difference(saved)).toMatch(/binlog.000001 was created at \S+, and is from \S+ now/);
  });
});
