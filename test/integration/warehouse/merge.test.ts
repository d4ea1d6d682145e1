import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { listObjects } from '../../../src/lake/objects.ts';
import { cdc, startCdc, startCdcWith, until } from '../pipeline-fixture.ts';
import { S3_ENVIRONMENT, S3Server } from '../s3-server.ts';
import { duckdbTarget, MergeFixture, pgliteTarget, postgresTarget, query, type Target } from './merge-fixture.ts';

const SCHEMA = `merge_${process.pid}`;
const fixture = new MergeFixture(inject('mysqlUrl'), SCHEMA);
/** `merge` of the table, and what it says. */
const merge = (target: Pick<Target, 'into'>, ...words: string[]) =>
  cdc(fixture.directory, 'merge', '--into', target.into, ...words);
const file = (name: string): Promise<Target> => duckdbTarget(join(fixture.directory, name));
let postgres: Target;
let duckdb: Target;

/** The lines of a table in the lake of the pipeline. */
async function linesOf(table: string): Promise<string[]> {
  const objects = await listObjects(fixture.lake, 'changes');
  const lines = objects.flatMap(({ path }) => readFileSync(path, 'utf8').split('\n'));
  return lines.filter((line) => line.includes(`"table":"${table}"`));
}

/** A configuration whose lake is a folder of its own. Returns a function that writes an object into it. */
function ownLake(name: string, extra = '') {
  const folder = join(fixture.directory, name);
  mkdirSync(folder, { recursive: true });
  const text = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8').replace('lake/changes', name);
  writeFileSync(join(fixture.directory, `${name}.yaml`), text + extra);
  return {
    folder,
    config: ['-c', `${name}.yaml`],
    write: (object: string, content: string | Buffer) => writeFileSync(join(folder, object), content),
  };
}

beforeAll(async () => {
  await fixture.createSchema(
    'CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)',
    'CREATE TABLE keyless (id INT, name VARCHAR(20))',
  );
  await fixture.begin();
  duckdb = await file('warehouse.duckdb');
  postgres = await postgresTarget(fixture.directory);
  await fixture.query(
    `INSERT INTO ${SCHEMA}.item VALUES (1, 'a'), (2, 'b'), (3, 'c')`,
    `INSERT INTO ${SCHEMA}.keyless VALUES (1, 'a')`,
    `DELETE FROM ${SCHEMA}.item WHERE id = 2`,
  );
  await fixture.delivered();
});
afterAll(async () => {
  await postgres.close();
  await fixture.end();
});

describe('cdc merge', () => {
  test.each(['DuckDB', 'PostgreSQL'])(
    'makes a view of the current rows, and merges only what is new: %s',
    async (name) => {
      const target = name === 'DuckDB' ? duckdb : postgres;
      const first = await merge(target, `${SCHEMA}.item`);
      expect(first, first.stderr).toMatchObject({
        code: 0,
        stderr: '',
        stdout: expect.stringMatching(/item +[4-9] events merged/),
      });
      const rows = () => target.rows(`SELECT id, name FROM ${SCHEMA}.item ORDER BY id`);
      expect(await rows()).toEqual([
        [1, 'a'],
        [3, name === 'DuckDB' ? 'c' : 'DuckDB'],
      ]);
      expect((await merge(target, `${SCHEMA}.item`)).stdout).toMatch(/item +0 events merged\n0 objects/);
      await fixture.query(`UPDATE ${SCHEMA}.item SET name = '${name}' WHERE id = 3`);
      await fixture.delivered();
      expect((await merge(target, `${SCHEMA}.item`)).stdout).toMatch(/item +1 event merged/);
      expect(await rows()).toEqual([
        [1, 'a'],
        [3, name],
      ]);
    },
  );

  test('merges the events of a table that is wanted later from objects that were merged before', async () => {
    await fixture.query(`CREATE TABLE ${SCHEMA}.late (id INT PRIMARY KEY)`, `INSERT INTO ${SCHEMA}.late VALUES (7)`);
    await fixture.delivered();
    const target = await file('late.duckdb');
    await merge(target, `${SCHEMA}.item`);
    expect(await merge(target, `${SCHEMA}.late`)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/late +1 event/),
    });
    expect(await target.rows(`SELECT * FROM ${SCHEMA}.late`)).toEqual([[7]]);
  });

  test('merges again and again with --every, and ends with 0', async () => {
    const target = await file('every.duckdb');
    const running = startCdc(
      fixture.directory,
      'merge',
      `${SCHEMA}.item`,
      '--into',
      target.into,
      '--every',
      '200ms',
      '--json',
    );
    await until(() => running.stdout().split('\n').length > 2);
    await fixture.query(`INSERT INTO ${SCHEMA}.item VALUES (9, 'z')`);
    await until(() =>
      running
        .stdout()
        .split('\n')
        .some((line) => /"events":1\}/.test(line)),
    );
    running.child.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
    await fixture.query(`DELETE FROM ${SCHEMA}.item WHERE id = 9`);
  });

  test('leaves out a table without a key, and refuses it alone', async () => {
    const target = await file('keyless.duckdb');
    expect(await merge(target)).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/keyless is left out: it has no primary key[\s\S]*name columns .* under keys/),
    });
    expect(await merge(target, `${SCHEMA}.keyless`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('under keys'),
    });
  });

  test('merges tables with names that are hard to quote', async () => {
    const long = `${'l'.repeat(50)}."\`'${'€'.repeat(10)}`;
    const names = ['select', 'a.b', 'Case', 'case', long];
    const q = (name: string) => `\`${name.replaceAll('`', '``')}\``;
    for (const name of names) {
      await fixture.query(`CREATE TABLE ${SCHEMA}.${q(name)} (${q(long)} INT PRIMARY KEY, \`order\` INT)`);
      await fixture.query(`INSERT INTO ${SCHEMA}.${q(name)} VALUES (1, ${names.indexOf(name)})`);
    }
    await fixture.delivered();
    for (const target of [duckdb, postgres]) {
      const merged = await merge(target);
      expect(merged.code, merged.stderr).toBe(0);
      const views = await target.rows(
        `SELECT table_name FROM information_schema.tables WHERE table_schema = '${SCHEMA}' AND table_type = 'VIEW'`,
      );
      const found: unknown[] = [];
      for (const [view] of views) {
        const name = `"${String(view).replaceAll('"', '""')}"`;
        const columns = await target.rows(`SELECT * FROM ${SCHEMA}.${name}`);
        if (columns.length === 1 && columns[0]!.length === 2) found.push(columns[0]![1]);
      }
      expect(found.sort()).toEqual(names.map((_, i) => i));
    }
    for (const name of names) await fixture.query(`DROP TABLE ${SCHEMA}.${q(name)}`);
  });
});

describe('a lake with damage', () => {
  test('is merged as far as it can be read; each part is named by object and line until it is gone', async () => {
    const lines = (await linesOf('item')).map((line) => `${line}\n`);
    const lake = ownLake('damaged');
    lake.write('1-good', lines[0]!);
    const zipped = gzipSync(lines.join(''));
    lake.write('2-truncated.gz', zipped.subarray(0, zipped.length - 12));
    lake.write('3-half', `${lines[1]}${lines[2]!.slice(0, 50)}`);
    lake.write('4-parquet', Buffer.from('PAR1 and more'));
    lake.write('5-foreign', `${lines[0]}{"hello": 1}\n${lines[0]!.replace('"name":"shop"', '"name":"other"')}`);
    lake.write('6-binary', Buffer.concat([Buffer.from(lines[1]!), Buffer.from([0xff, 0xfe, 0x0a])]));
    lake.write('7-copy', lines.join(''));
    const target = await file('damaged.duckdb');
    const first = await merge(target, `${SCHEMA}.item`, ...lake.config);
    expect(first.code).toBe(1);
    for (const expected of [
      /^2-truncated\.gz, line \d+: /m,
      /^3-half, line 2: no newline ends it$/m,
      /^4-parquet, line 1: it is not NDJSON, but Parquet$/m,
      /^5-foreign, line 2: it is no event of format debezium$/m,
      /^5-foreign, line 3: it is an event of another pipeline$/m,
      /^6-binary, line 2: it is not UTF-8$/m,
    ]) {
      expect(first.stderr).toMatch(expected);
    }
    expect(first.stdout).toContain('5 damaged ones');
    await merge(duckdb, `${SCHEMA}.item`);
    const wanted = await duckdb.rows(`SELECT id FROM ${SCHEMA}.item ORDER BY id`);
    expect(await target.rows(`SELECT id FROM ${SCHEMA}.item ORDER BY id`)).toEqual(wanted);
    const again = await merge(target, `${SCHEMA}.item`, ...lake.config);
    expect(again).toMatchObject({ code: 1, stderr: first.stderr, stdout: expect.stringContaining('0 objects') });
    for (const name of readdirSync(lake.folder)) if (/^[23456]/.test(name)) unlinkSync(join(lake.folder, name));
    expect(await merge(target, `${SCHEMA}.item`, ...lake.config)).toMatchObject({ code: 0, stderr: '' });
  });

  test('reads an object again that has changed', async () => {
    const lines = await linesOf('item');
    const lake = ownLake('changed');
    lake.write('one', `${lines[0]}\n`);
    const target = await file('changed.duckdb');
    await merge(target, `${SCHEMA}.item`, ...lake.config);
    lake.write('one', `${lines.join('\n')}\n`);
    expect((await merge(target, `${SCHEMA}.item`, ...lake.config)).stdout).toContain('1 object in');
  });
});

test('a lake in S3 is merged as one in a folder, each object once', async () => {
  const server = new S3Server();
  await server.start();
  try {
    const lines = await linesOf('item');
    for (const [i, line] of lines.entries()) await server.put(`shop/2026/11/27/00/${i}`, gzipSync(`${line}\n`));
    const text = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(join(fixture.directory, 's3.yaml'), text.replace('lake/changes', `s3://${server.bucket}/shop/`));
    const env: Record<string, string | undefined> = { ...S3_ENVIRONMENT, AWS_REGION: 'us-east-1' };
    for (const name of Object.keys(process.env)) if (/^AWS_|_PROXY$/i.test(name)) env[name] ??= undefined;
    env.AWS_ENDPOINT_URL_S3 = server.endpoint;
    const target = await file('s3.duckdb');
    for (const objects of [lines.length, 0]) {
      const words = ['merge', `${SCHEMA}.item`, '--into', target.into, '-c', 's3.yaml'];
      const merged = await startCdcWith(env, fixture.directory, ...words).ended;
      expect(merged, merged.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining(`${objects} object`) });
    }
    const rows = `SELECT id, name FROM ${SCHEMA}.item ORDER BY id`;
    await merge(duckdb, `${SCHEMA}.item`);
    expect(await target.rows(rows)).toEqual(await duckdb.rows(rows));
  } finally {
    await server.stop();
  }
});

describe('a target', () => {
  test('that has another table or view of such a name is not touched', async () => {
    for (const [name, ddl] of [
      ['item', `CREATE TABLE ${SCHEMA}.item (other INT)`],
      ['item__cdc', `CREATE TABLE ${SCHEMA}.item__cdc (other INT)`],
    ]) {
      const target = await file(`foreign-${name}.duckdb`);
      await target.rows(`CREATE SCHEMA ${SCHEMA}`);
      await target.rows(ddl!);
      const refused = await merge(target, `${SCHEMA}.item`);
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`has another ${SCHEMA}.${name}`) });
      expect(refused.stderr).toMatch(/cdc did not make it[\s\S]*rename or drop it/);
      expect(await target.rows(`SELECT * FROM ${SCHEMA}.${name}`)).toEqual([]);
    }
  });

  test('whose table has lost a column is named; a column that somebody added stays', async () => {
    const target = await file('altered.duckdb');
    await merge(target, `${SCHEMA}.item`);
    await target.rows(`ALTER TABLE ${SCHEMA}.item__cdc ADD COLUMN note VARCHAR DEFAULT 'mine'`);
    expect(await merge(target, `${SCHEMA}.item`)).toMatchObject({ code: 0 });
    expect(await target.rows(`SELECT DISTINCT note FROM ${SCHEMA}.item__cdc`)).toEqual([['mine']]);
    await target.rows(`DROP VIEW ${SCHEMA}.item`);
    await target.rows(`ALTER TABLE ${SCHEMA}.item__cdc DROP COLUMN name`);
    expect(await merge(target, `${SCHEMA}.item`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it lacks the column name, which cdc gave it'),
    });
  });

  test('whose account may not create names the GRANT', async (context) => {
    if (postgres.name !== 'PostgreSQL') context.skip('PGlite has one account');
    await query(postgres.into, 'CREATE ROLE weak LOGIN');
    const into = postgres.into.replace('postgres@', 'weak@');
    expect(await merge({ into }, `${SCHEMA}.item`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/permission denied[\s\S]*grant the account CREATE/),
    });
  });

  test('that another merge writes to is left alone', async () => {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const busy = await file('busy.duckdb');
    const instance = await DuckDBInstance.create(join(fixture.directory, 'busy.duckdb'));
    expect(await merge(busy, `${SCHEMA}.item`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/cannot open .*busy\.duckdb[\s\S]*another process has it open/),
    });
    instance.closeSync();
    if (postgres.name !== 'PostgreSQL') return;
    const client = new pg.Client({ connectionString: postgres.into });
    await client.connect();
    await client.query(`SELECT pg_advisory_lock(${0x6364_636d_6572_6765n})`);
    expect(await merge(postgres, `${SCHEMA}.item`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('another cdc merge runs'),
    });
    await client.end();
    expect(await merge(postgres, `${SCHEMA}.item`)).toMatchObject({ code: 0 });
  });

  test('with a changed key says how to begin again', async () => {
    const target = await file('rekeyed.duckdb');
    await fixture.query(
      `CREATE TABLE ${SCHEMA}.rekeyed (a INT, b INT NOT NULL, PRIMARY KEY (a))`,
      `INSERT INTO ${SCHEMA}.rekeyed VALUES (1, 2)`,
    );
    await fixture.delivered();
    await merge(target, `${SCHEMA}.rekeyed`);
    await fixture.query(`ALTER TABLE ${SCHEMA}.rekeyed DROP PRIMARY KEY, ADD PRIMARY KEY (b)`);
    expect(await merge(target, `${SCHEMA}.rekeyed`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the key of .*rekeyed has changed[\s\S]*run cdc backfill/),
    });
    await fixture.query(`DROP TABLE ${SCHEMA}.rekeyed`);
  });

  test.each([
    [['--into', 'mysql://x'], /--into names no target/],
    [['--into', 'postgres://u:geheim@127.0.0.1:1/db'], /cannot connect to postgres:\/\/u@127\.0\.0\.1:1\/db/],
    [['--into', 'duckdb:x.duckdb', '--every', 'often'], /--every often is not valid/],
    [['--into', 'duckdb:x.duckdb', '--batch', '-1'], /--batch -1 is not valid/],
    [['--into', `duckdb:${SCHEMA}.duckdb`], /has the name of the schema/],
    [['--into', 'duckdb:cdc.yaml'], /cannot open .*cdc\.yaml with DuckDB/],
    [['--into', 'duckdb:x.duckdb', 'no.such'], /no\.such/],
    [['--into', 'duckdb:x.duckdb', '-c', 'maxwell.yaml'], /events of format maxwell cannot be merged/],
    [['--into', 'duckdb:x.duckdb', '-c', 'lakeless.yaml'], /names no lake/],
  ])('that is wrong is named: %j', async (words, message) => {
    const text = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(join(fixture.directory, 'maxwell.yaml'), `${text}format: maxwell\n`);
    writeFileSync(join(fixture.directory, 'lakeless.yaml'), text.replace(/^lake:.*$/m, ''));
    const refused = await cdc(fixture.directory, 'merge', ...words);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr).not.toMatch(/geheim|at .*\.js:/);
  });
});

/** Objects that are merged in many transactions, and what they fold to. */
function manyObjects(folder: string): Map<number, number> {
  const rows = new Map<number, number>();
  const line = (seq: number, id: number, value: number | undefined) => {
    const source = `"source":{"connector":"mysql","name":"shop","db":"${SCHEMA}","table":"many"}`;
    const hex = seq.toString(16).padStart(36, '0');
    const after = value === undefined ? 'null' : `{"id":${id},"value":${value}}`;
    return `{"op":"${value === undefined ? 'd' : 'u'}","before":null,"after":${after},"key":{"id":${id}},"seq":"${hex}",${source},"ts_ms":1}\n`;
  };
  for (let object = 0, seq = 1; object < 40; object++) {
    const out: string[] = [];
    for (let i = 0; i < 500; i++, seq++) {
      const id = (seq * 7919) % 3000;
      const value = seq % 11 === 0 ? undefined : seq;
      out.push(line(seq, id, value));
      if (value === undefined) rows.delete(id);
      else rows.set(id, value);
    }
    // The newest events come first.
    writeFileSync(join(folder, `${String(40 - object).padStart(3, '0')}`), out.join(''));
  }
  return rows;
}

test.each(['DuckDB', 'PostgreSQL', 'PGlite'])(
  'a merge that is killed at any moment continues, and gives the same rows: %s',
  async (name) => {
    await fixture.query(`CREATE TABLE IF NOT EXISTS ${SCHEMA}.many (id INT PRIMARY KEY, value BIGINT)`);
    const lake = ownLake(`killed-${name}`);
    const rows = manyObjects(lake.folder);
    const embedded = name === 'PGlite' ? await pgliteTarget(join(fixture.directory, 'killed')) : undefined;
    const target = embedded ?? (name === 'DuckDB' ? await file('killed.duckdb') : postgres);
    const words = ['merge', `${SCHEMA}.many`, '--into', target.into, '--batch', '200KiB', ...lake.config];
    const counts = new Set<number>();
    try {
      for (let kill = 0; kill < 8; kill++) {
        const running = startCdc(fixture.directory, ...words);
        await sleep(500 + kill * 150);
        running.child.kill('SIGKILL');
        await running.ended;
        const [[found] = []] = await target.rows('SELECT count(*) FROM cdc_state.objects').catch(() => []);
        counts.add(Number(found ?? 0));
      }
      const last = await cdc(fixture.directory, ...words);
      expect(last.code, last.stderr).toBe(0);
      const found = await target.rows(`SELECT id, CAST(value AS VARCHAR) FROM ${SCHEMA}.many ORDER BY id`);
      expect(found).toEqual([...rows].sort(([a], [b]) => a - b).map(([id, value]) => [id, String(value)]));
    } finally {
      await embedded?.close();
    }
  },
);
