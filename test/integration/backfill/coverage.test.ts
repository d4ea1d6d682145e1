import { readFileSync } from 'node:fs';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { cdc, until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { BackfillFixture, rowsOf } from './backfill-fixture.ts';

const VERIFIED_AT = '2026-03-01T00:00:00.000Z';
const TABLE = '(id INT PRIMARY KEY, v VARCHAR(40))';
const PARTITIONS = `PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20),
  PARTITION p2 VALUES LESS THAN MAXVALUE)`;

describe.each(['mysql', 'mariadb'] as const)('what the daemon knows of the copy of a table, on %s', (flavor) => {
  let bed: BackfillFixture;
  let server: LocalServer;
  beforeAll(async () => {
    // Statements of other tests would stop a daemon that follows a shared server.
    server = await startTestServer({ flavor });
    bed = new BackfillFixture(server.url, 'bf_coverage');
    await bed.createSchema(
      ...['old', 'emptied', 'there', 'moved', 'swap', 'leaving'].map((name) => `CREATE TABLE ${name} ${TABLE}`),
      `CREATE TABLE parts ${TABLE} ${PARTITIONS}`,
      ...['old', 'emptied', 'there', 'moved', 'leaving', 'parts'].flatMap((name) => rowsOf(name, 50)),
      "INSERT INTO swap VALUES (12, 'swapped')",
    );
    await bed.start();
  });
  afterAll(async () => {
    await bed?.remove();
    await server?.stop();
  });

  const write = (...statements: string[]): Promise<void> => bed.query(`USE ${bed.schema}`, ...statements);
  const row = async (sql: string): Promise<RowDataPacket | undefined> => {
    const connection = await createConnection({ uri: server.url });
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    connection.destroy();
    return rows[0];
  };
  const complete = async (...names: string[]): Promise<(string | false)[]> => {
    const found: (string | false)[] = [];
    for (const name of names) {
      const coverage = await bed.coverage(name);
      found.push(coverage.complete && coverage.why);
    }
    return found;
  };
  /** The tables of which the checkpoint keeps something. */
  const kept = (): Record<'complete' | 'dropped' | 'verified', string[]> => {
    const { complete, dropped, verified } = JSON.parse(readFileSync(bed.checkpoint, 'utf8')).coverage;
    const names = (tables: { table: string }[]): string[] => tables.map(({ table }) => table);
    return { complete: names(complete), dropped: names(dropped), verified: names(verified) };
  };
  /** What `cdc verify` reports of a table of three rows. */
  const resultOf = (table: string, differences = {}) => ({
    ...{ schema: bed.schema, table, at: VERIFIED_AT, scope: 'whole' as const, rows: 3 },
    ...{ missing: 0, extra: 0, different: 0, ...differences },
  });
  /** The tables that the checkpoint marks, once it is as new as the coverage. */
  const marks = (): string[] =>
    JSON.parse(readFileSync(bed.checkpoint, 'utf8')).incomplete.map(({ table }: { table: string }) => table);

  test('holds only changes until the table is seen from its CREATE, seen empty, or backfilled', async () => {
    expect(await complete('old', 'there')).toEqual([false, false]);
    await bed.copy('old');
    await write(
      `CREATE TABLE made ${TABLE}`,
      'CREATE TABLE made_like LIKE old',
      'CREATE TABLE made_as AS SELECT 1 AS id, 2 AS v',
      'TRUNCATE TABLE emptied',
      `CREATE TABLE IF NOT EXISTS there ${TABLE}`,
      'ALTER TABLE old ADD INDEX (v)',
      "ALTER TABLE old ADD COLUMN more VARCHAR(9) DEFAULT 'm'",
      'ALTER TABLE made ADD INDEX (v), ADD COLUMN more INT DEFAULT 5',
    );
    await bed.delivered();
    expect(await complete('made', 'made_like', 'made_as', 'emptied', 'old', 'there')).toEqual([
      ...['created', 'created', 'created', 'emptied', 'backfilled', false],
    ]);
    expect((await bed.coverage('there')).since).toMatch(/^20..-/);
  });

  test('ends with a statement that moves or drops rows, and a backfill completes it again', async () => {
    await bed.copy('parts', 'swap', 'moved');
    expect(await complete('parts', 'swap', 'moved')).toEqual(['backfilled', 'backfilled', 'backfilled']);
    await write('RENAME TABLE moved TO moved_on', 'ALTER TABLE parts DROP PARTITION p0');
    await bed.delivered();
    expect(await complete('parts', 'moved_on', 'swap')).toEqual([false, false, 'backfilled']);
    expect((await bed.coverage('parts')).why).toMatch(/DROP PARTITION/);
    await bed.copy('parts');
    await write('ALTER TABLE parts EXCHANGE PARTITION p1 WITH TABLE swap');
    await bed.delivered();
    expect(await complete('parts', 'swap')).toEqual([false, false]);
    await until(() => ['parts', 'swap', 'moved_on'].every((name) => marks().includes(name)));
    await bed.copy('parts', 'swap', 'moved_on');
    expect(await complete('parts', 'swap', 'moved_on')).toEqual(['backfilled', 'backfilled', 'backfilled']);
    await until(() => !['parts', 'swap', 'moved_on'].some((name) => marks().includes(name)));
    await bed.stopDaemon('SIGKILL');
    await bed.startDaemon();
    expect(await complete('parts', 'swap', 'moved_on', 'made')).toEqual([
      ...['backfilled', 'backfilled', 'backfilled', 'created'],
    ]);
  });

  test('is not said of a table that was rewritten while it was read: it is read again from its start', async () => {
    await write(...rowsOf('made_like', 3_000));
    await bed.delivered();
    await bed.client.startBackfill({ tables: [`${bed.schema}.made_like`], rate: 100, parallel: 1 });
    await until(async () => ((await bed.table('made_like'))?.rows ?? 0) > 0);
    await write("ALTER TABLE made_like MODIFY COLUMN v VARCHAR(40) NOT NULL DEFAULT ''");
    // Its end would complete the table again before the test looks.
    await bed.client.changeBackfill('pause');
    await bed.delivered();
    expect((await bed.coverage('made_like')).complete).toBe(false);
    await bed.client.changeBackfill('resume');
    await bed.client.startBackfill({ tables: [`${bed.schema}.made_like`], rate: 100_000 });
    expect(await bed.over('made_like')).toMatchObject([{ state: 'done', rows: 3_000 }]);
    await bed.delivered();
    expect((await bed.snapshotEvents('made_like')).length).toBeGreaterThan(3_000);
    expect(await bed.compare('made_like')).toMatchObject({ equal: true, sourceRows: 3_000 });
    expect(await complete('made_like')).toEqual(['backfilled']);
  });

  test('ends with a result of cdc verify that differs, durable once it is answered, until what it found is mended', async () => {
    await write(...['found', 'sound'].flatMap((name) => [`CREATE TABLE ${name} ${TABLE}`, ...rowsOf(name, 3)]));
    await bed.delivered();
    expect(await complete('found', 'sound')).toEqual(['created', 'created']);
    const found = resultOf('found', { missing: 1, different: 1 });
    await bed.client.verified([resultOf('sound'), found]);
    await bed.stopDaemon('SIGKILL');
    await bed.startDaemon();
    expect(await complete('found', 'sound')).toEqual([false, 'created']);
    expect(await bed.coverage('found')).toEqual({
      ...{ complete: false, since: VERIFIED_AT, why: 'cdc verify found 2 rows that differ' },
    });
    const { tables } = await bed.client.status();
    const verified = tables.filter(({ schema }) => schema === bed.schema).map((table) => [table.table, table.verified]);
    expect(Object.fromEntries(verified)).toMatchObject({
      old: null,
      found: { at: VERIFIED_AT, scope: 'whole', rows: 3, missing: 1, extra: 0, different: 1 },
      sound: { at: VERIFIED_AT, scope: 'whole', rows: 3, missing: 0, extra: 0, different: 0 },
    });
    const check = await cdc(bed.directory, 'check');
    expect(check.stdout).toContain(
      `warning: cdc verify found 2 rows that differ in ${bed.schema}.found at ${VERIFIED_AT}`,
    );
    expect(check.stdout).toContain(`  do:  cdc verify --repair ${bed.schema}.found\n`);
    expect(check.stdout).toContain(`\n${bed.schema}.sound: 3 rows verified at ${VERIFIED_AT}, equal\n`);
    expect(JSON.parse((await cdc(bed.directory, 'check', '--json')).stdout).verified).toEqual([
      resultOf('sound'),
      found,
    ]);

    const repair = { ...resultOf('found'), scope: 'part' as const, at: '2026-03-02T00:00:00.000Z' };
    await bed.client.verified([repair]);
    expect(await complete('found')).toEqual([false]);
    await bed.client.verified([{ ...repair, repairOf: VERIFIED_AT }]);
    await bed.stopDaemon('SIGKILL');
    await bed.startDaemon();
    expect(await complete('found')).toEqual(['created']);
    await bed.client.verified([found]);
    await write('TRUNCATE TABLE found');
    await bed.delivered();
    expect(await complete('found')).toEqual(['emptied']);
  });

  test('takes no result of a table that the server does not have, nor another result of that request', async () => {
    const request = bed.client.verified([resultOf('old', { missing: 1 }), resultOf('nowhere')]);
    await expect(request).rejects.toMatchObject({
      exitCode: 2,
      message: `not a captured table: ${bed.schema}.nowhere`,
    });
    expect(await complete('old')).toEqual(['backfilled']);
  });

  test('is no longer kept of tables that are dropped', async () => {
    await write(`CREATE TABLE doomed ${TABLE}`, ...rowsOf('doomed', 3));
    await bed.delivered();
    await bed.client.verified([resultOf('doomed', { extra: 1 })]);
    expect(kept()).toMatchObject({ complete: expect.arrayContaining(['doomed']), dropped: [] });
    expect(kept().verified).toContain('doomed');
    await write('DROP TABLE doomed');
    await bed.delivered();
    await until(() => kept().dropped.length > 0);
    expect(kept().dropped).toEqual(['doomed']);
    expect([...kept().complete, ...kept().verified]).not.toContain('doomed');
    await bed.stopDaemon('SIGKILL');
    await bed.startDaemon();
    await write(`CREATE TABLE IF NOT EXISTS doomed ${TABLE}`, ...rowsOf('doomed', 1));
    await bed.delivered();
    expect(await complete('doomed')).toEqual(['emptied']);
    await until(() => kept().complete.includes('doomed'));
    expect(kept().dropped).toEqual([]);
  });

  test('stands beside the stream in the status: which server, which epoch, and what is delivered', async () => {
    await bed.delivered();
    const isMysql = flavor === 'mysql';
    const end = await row(isMysql ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
    const own = await row(
      isMysql
        ? 'SELECT @@server_uuid AS id, @@GLOBAL.gtid_executed AS gtids'
        : "SELECT CONCAT('mariadb-', @@server_id) AS id, @@GLOBAL.gtid_binlog_pos AS gtids",
    );
    await until(async () => (await bed.client.status()).stream.delivered.position === Number(end?.Position));
    const { host } = new URL(server.url);
    const { epoch } = JSON.parse(readFileSync(bed.checkpoint, 'utf8'));
    expect((await bed.client.status()).stream).toEqual({
      server: { flavor, identity: own?.id, host },
      epoch,
      delivered: { file: end?.File, position: Number(end?.Position), gtids: own?.gtids },
    });
  });

  test('is lost by a table that leaves tables of the configuration and returns', async () => {
    await bed.copy('leaving');
    expect(await complete('leaving')).toEqual(['backfilled']);
    await bed.stopDaemon();
    bed.configure(bed.firehose?.endpoint ?? '', `truncate: skip\n`);
    const path = `"${bed.schema}.*"`;
    const yaml = readFileSync(`${bed.directory}/cdc.yaml`, 'utf8');
    bed.write(yaml.replace(path, `${path}, "!${bed.schema}.leaving"`));
    await bed.startDaemon();
    await bed.delivered();
    await bed.stopDaemon();
    bed.write(yaml);
    await bed.startDaemon();
    expect(await complete('leaving', 'old')).toEqual([false, 'backfilled']);
  });
});
