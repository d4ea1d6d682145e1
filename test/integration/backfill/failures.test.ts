import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../../src/backfill/read/table-reader.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import { WHOLE_TABLE } from '../../../src/model/key-range.ts';
import { formatError } from '../../../src/runtime/error.ts';
import { readServerInfo } from '../../../src/source/server/server-info.ts';
import { firstColumn, openSnapshot, processedNow, query } from './snapshot-fixture.ts';

const SCHEMA = 'backfill_failures';
const SECRET = 'a-value-of-a-row';
const LIMITS = { rows: 100, bytes: 1e9 };

describe.each(['mysql', 'mariadb'] as const)('a read of %s', (kind) => {
  let url: string;
  const open: SnapshotConnection[] = [];
  beforeAll(async () => {
    url = inject(kind === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    await query(
      url,
      `DROP DATABASE IF EXISTS ${SCHEMA}`,
      `CREATE DATABASE ${SCHEMA}`,
      `CREATE TABLE ${SCHEMA}.digits (id INT PRIMARY KEY)`,
      `INSERT INTO ${SCHEMA}.digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)`,
      `DROP USER IF EXISTS backfill_reader`,
      `CREATE USER backfill_reader IDENTIFIED BY 'x'`,
      `GRANT SELECT ON ${SCHEMA}.digits TO backfill_reader`,
      `GRANT REPLICATION CLIENT ON *.* TO backfill_reader`,
    );
  });
  afterAll(() => Promise.all(open.map((one) => one.close())));

  async function createTable(): Promise<void> {
    await query(
      url,
      `DROP TABLE IF EXISTS ${SCHEMA}.t`,
      `CREATE TABLE ${SCHEMA}.t (id INT PRIMARY KEY, body VARCHAR(2000) CHARACTER SET latin1)`,
      `INSERT INTO ${SCHEMA}.t SELECT a.id * 10 + b.id, RPAD('${SECRET}', 1000, 'x') FROM ${SCHEMA}.digits a, ${SCHEMA}.digits b`,
    );
  }
  async function use(options: object = {}, where?: string): Promise<TableReader> {
    const connection = await openSnapshot(url, options);
    open.push(connection);
    const table = await connection.describe(SCHEMA, 't');
    return connection.use(table!, where === undefined ? {} : { where });
  }
  const failure = (work: Promise<unknown>): Promise<Error & { kind: string; hint?: string; why?: string }> =>
    work.then(
      () => expect.unreachable('it did not fail'),
      (error) => error,
    );

  test('whose columns changed since the last one is a retry, not a misread row', async () => {
    await createTable();
    const reader = await use();
    await reader.read(WHOLE_TABLE, await processedNow(url), LIMITS);
    await query(url, `ALTER TABLE ${SCHEMA}.t MODIFY body BLOB`);
    const error = await failure(reader.read(WHOLE_TABLE, await processedNow(url), LIMITS));
    expect(error).toMatchObject({ name: 'CdcError', kind: 'retry' });
    expect(formatError(error)).not.toContain(SECRET);
    await query(url, `ALTER TABLE ${SCHEMA}.t DROP body`);
    expect(await failure(reader.read(WHOLE_TABLE, await processedNow(url), LIMITS))).toMatchObject({ kind: 'retry' });
  });

  test('of a table that was dropped names the table', async () => {
    await createTable();
    const reader = await use();
    await query(url, `DROP TABLE ${SCHEMA}.t`);
    const error = await failure(reader.read(WHOLE_TABLE, await processedNow(url), LIMITS));
    expect(error).toMatchObject({ kind: 'fatal', message: `the table ${SCHEMA}.t does not exist any more` });
    const connection = await openSnapshot(url);
    open.push(connection);
    expect(await connection.describe(SCHEMA, 't')).toBeUndefined();
  });

  test('by an account without SELECT is refused with its GRANT', async () => {
    await createTable();
    const root = await openSnapshot(url);
    open.push(root);
    const table = await root.describe(SCHEMA, 't');
    const reader = new URL(url);
    reader.username = 'backfill_reader';
    reader.password = 'x';
    const connection = await openSnapshot(
      url,
      { connection: sourceConnection({ url: reader.href }) },
      await readServerInfo(sourceConnection({ url })),
    );
    open.push(connection);
    expect(await connection.describe(SCHEMA, 't')).toBeUndefined();
    expect(await failure(connection.use(table!, {}))).toMatchObject({
      message: `the account may not read the table ${SCHEMA}.t`,
      hint: expect.stringContaining(`GRANT SELECT ON ${SCHEMA}.t TO 'backfill_reader'`),
    });
  });

  test('whose connection was killed is a retry, and the next read connects again', async () => {
    await createTable();
    // A user of its own: other tests have sessions on the server too.
    await query(
      url,
      'DROP USER IF EXISTS backfill_killed',
      "CREATE USER backfill_killed IDENTIFIED BY 'x'",
      'GRANT SELECT, REPLICATION CLIENT ON *.* TO backfill_killed',
    );
    const killed = new URL(url);
    killed.username = 'backfill_killed';
    killed.password = 'x';
    const reader = await use({ connection: sourceConnection({ url: killed.href }) });
    const processed = await processedNow(url);
    await reader.read(WHOLE_TABLE, processed, LIMITS);
    const sessions = await query(url, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'backfill_killed'");
    expect(sessions).toHaveLength(1);
    for (const [id] of sessions) await query(url, `KILL ${id}`).catch(() => {});
    const again = async () => reader.read(WHOLE_TABLE, processed, LIMITS);
    const chunk = await again().catch((error) => {
      expect(error).toMatchObject({ kind: 'retry' });
      return again();
    });
    expect(chunk.count).toBe(100);
  });

  test('that an abort interrupts rejects at once', async () => {
    await createTable();
    const control = new AbortController();
    const reader = await use({ signal: control.signal }, 'SLEEP(5) = 0');
    const read = failure(reader.read(WHOLE_TABLE, await processedNow(url), LIMITS));
    control.abort(new Error('stopped'));
    expect(await read).toMatchObject({ message: 'stopped' });
  });

  test('that takes the server too long keeps the rows that it has sent', async () => {
    await createTable();
    const slow = 'id < 60 OR BENCHMARK(100000000, SHA2(id, 512)) = 1';
    const reader = await use({ statementTimeoutMs: 500 }, slow);
    const processed = await processedNow(url);
    const first = await reader.read(WHOLE_TABLE, processed, LIMITS);
    expect(first.isLast).toBe(false);
    expect(first.count).toBeGreaterThan(0);
    expect(firstColumn(first, 2)).toEqual(Array.from({ length: first.count }, (_, i) => i));
    const rest = await failure(
      reader.read({ after: Buffer.from([59, 0, 0, 0]).toString('base64').split(','), upTo: null }, processed, LIMITS),
    );
    expect(rest).toMatchObject({ kind: 'retry', why: expect.stringContaining('too long') });
  });
});
