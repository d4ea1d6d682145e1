import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../../src/local/mysql/server.ts';
import { until } from '../pipeline-fixture.ts';
import { startTestServer } from '../test-server.ts';
import { BackfillFixture, rowsOf } from './backfill-fixture.ts';

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
  const complete = async (...names: string[]): Promise<(string | false)[]> => {
    const found: (string | false)[] = [];
    for (const name of names) {
      const coverage = await bed.coverage(name);
      found.push(coverage.complete && coverage.why);
    }
    return found;
  };
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
