import { readFileSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { rowsOf } from '../backfill/backfill-fixture.ts';
import { until } from '../pipeline-fixture.ts';
import { type LakeLine, seqOf, VerifyFixture } from './verify-fixture.ts';

let bed: VerifyFixture;
const added: string[] = [];
beforeAll(async () => {
  bed = new VerifyFixture(inject('mysqlUrl'), 'verify_bad');
  await bed.createSchema(
    'CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40), n DECIMAL(8,2) DEFAULT 1.50)',
    ...rowsOf('a', 50),
    'CREATE TABLE keyless (v INT)',
  );
  await bed.start();
  await bed.copy('a');
  await bed.delivered();
  await bed.query(`DROP TABLE ${bed.schema}.marker`);
});
afterAll(() => bed?.remove());
afterEach(() => {
  for (const name of added.splice(0)) rmSync(join(bed.lake, name), { force: true });
});

const add = (name: string, bytes: string | Buffer): void => {
  bed.addObject(name, bytes);
  added.push(name);
};
const verify = (...words: string[]) => bed.verify('verify_bad.a', ...words);
const lineOf = async (id: number): Promise<LakeLine> => (await bed.lines('a', `"id":${id},`)).at(-1) as LakeLine;

describe('what is damaged is named by object and line, and the rest is compared', () => {
  test('a truncated gzip object', async () => {
    const { text } = await lineOf(7);
    add('cut.gz', gzipSync(`${text}\n`.repeat(2_000)).subarray(0, -30));
    const { code, report } = await verify();
    expect(report.damage).toEqual([
      { object: 'cut.gz', line: expect.any(Number), lines: 1, why: expect.stringMatching(/gzip/) },
    ]);
    expect(report.tables).toMatchObject([{ rows: 50, missing: 0, extra: 0, different: 0 }]);
    expect(code).toBe(1);
  });

  test('half a line in the middle and at the end, and a line that is no JSON', async () => {
    const { text } = await lineOf(7);
    add('half', `${text}\n${text.slice(0, 90)}\n${text}\nhello\n${text}`);
    const { code, report } = await verify();
    expect(report.damage).toEqual([
      { object: 'half', line: 2, lines: 2, why: 'it is not JSON' },
      { object: 'half', line: 5, lines: 1, why: 'no newline ends it' },
    ]);
    expect(code).toBe(1);
  });

  test('foreign objects', async () => {
    add('data.parquet', Buffer.concat([Buffer.from('PAR1'), Buffer.alloc(100), Buffer.from('PAR1')]));
    add('note.json', '{"hello":"world"}\n');
    add('utf16', Buffer.from(`${(await lineOf(7)).text}\n`, 'utf16le'));
    const { code, report } = await verify();
    expect([...new Set(report.damage.map(({ object }) => object))]).toEqual(['data.parquet', 'note.json', 'utf16']);
    expect(report.damage[0]?.why).toContain('Parquet');
    expect(report.damage[1]).toMatchObject({ line: 1, why: 'it is no event of format debezium' });
    expect(code).toBe(1);
  });

  test('an event of another format, and of another pipeline', async () => {
    const { text } = await lineOf(7);
    const { seq } = JSON.parse(text);
    add('flat', `{"id":7,"v":"x","n":"1.50","_op":"c","_seq":"${seq}","_db":"verify_bad","_table":"a"}\n`);
    add('other', `${text.replace('"name":"shop"', '"name":"other"')}\n`);
    const { report } = await verify();
    expect(report.damage.map(({ object, why }) => `${object}: ${why}`)).toEqual([
      'flat: it is no event of format debezium',
      'other: it is an event of another pipeline',
    ]);
  });

  test('an event from behind the end of the binlog', async () => {
    const { text } = await lineOf(7);
    const future = text.replace(/("seq":"[0-9a-f]{8})[0-9a-f]{8}/, '$10000ffff').replace('"v":"', '"v":"z');
    add('future', `${future}\n`);
    const { code, report } = await verify();
    expect(report.damage).toMatchObject([
      { object: 'future', line: 1, why: expect.stringContaining('behind the end') },
    ]);
    expect([report.tables[0]?.different, code]).toEqual([0, 1]);
  });

  test('values in the form of another option count as that, not as a difference', async () => {
    const line = await lineOf(7);
    const changed = line.text.replace('"n":"1.50"', '"n":1.50');
    bed.replace(line, changed);
    const { code, report, stderr } = await verify();
    bed.replace({ ...line, text: changed }, line.text);
    expect(report.tables, stderr).toMatchObject([{ different: 0 }]);
    expect(report.damage).toMatchObject([{ line: line.number + 1, why: expect.stringContaining('`values` options') }]);
    expect(code).toBe(1);
    expect((await verify()).code).toBe(0);
  });

  test('and a row that differs beside it makes the exit code 4', async () => {
    add('hello', 'hello\n');
    const line = await lineOf(8);
    const changed = line.text.replace('"v":"', '"v":"z');
    bed.replace(line, changed);
    const { code, report } = await verify();
    bed.replace({ ...line, text: changed }, line.text);
    expect([report.damage.length, report.tables[0]?.different, code]).toEqual([1, 1, 4]);
  });
});

describe('what Firehose may do is no damage', () => {
  test('a byte-identical copy of an object is named, and adds nothing', async () => {
    add('copy', readFileSync((await lineOf(7)).path));
    const { code, report } = await verify();
    expect(JSON.stringify(report.copies)).toContain('"copy"');
    expect(code).toBe(0);
    expect((await bed.verifyCommand('verify_bad.a')).stderr).toContain('a copy: ');
  });

  test('an object without events', async () => {
    add('empty', '');
    add('empty.gz', gzipSync(''));
    expect((await verify()).code).toBe(0);
  });
});

describe('what cannot be compared is refused before anything is read', () => {
  const refused = async (what: RegExp, code: number, ...words: string[]): Promise<string> => {
    const ended = await bed.verifyCommand(...words);
    expect(ended.stderr).toMatch(what);
    expect([ended.code, ended.stdout]).toEqual([code, '']);
    return ended.stderr;
  };

  test.each([
    ['a table without a key', /verify_bad\.keyless has no key/, 2, ['verify_bad.keyless']],
    ['a table that is not there', /verify_bad\.none/, 2, ['verify_bad.none']],
    ['two tables with a condition', /a condition needs exactly one table/, 2, ['--where', 'id < 3']],
    ['a wrong condition', /--where is not a condition/, 2, ['verify_bad.a', '--where', 'idd < 3']],
    ['a wrong share', /--sample 200% is not valid/, 2, ['--sample', '200%']],
    ['a wrong time', /--since yesterday is not valid/, 2, ['--since', 'yesterday']],
    ['--since beside --where', /cannot be combined/, 2, ['verify_bad.a', '--since', '1h', '--where', 'id < 3']],
    ['a wrong wait', /--wait long is not valid/, 2, ['--wait', 'long']],
    ['an unknown flag', /unknown option '--fix'/, 2, ['--fix']],
  ])('%s', async (_, what, code, words) => {
    await refused(what, code, ...words);
  });

  test('a configuration without lake, and one whose lake is not there', async () => {
    const { endpoint } = bed.firehose as { endpoint: string };
    const lakes: [string, RegExp, number][] = [
      ['', /names no lake/, 2],
      ['lake: nowhere', /nowhere/, 1],
      ['lake: "s3:/bucket"', /lake: /, 2],
    ];
    for (const [lake, what, code] of lakes) {
      bed.configureAs(endpoint, lake);
      await refused(what, code, 'verify_bad.a');
    }
    bed.configure(endpoint);
  });

  test('the lake of another pipeline', async () => {
    const { endpoint } = bed.firehose as { endpoint: string };
    const { text } = await lineOf(7);
    bed.addFolder('foreign', `${text.replace('"db":"verify_bad"', '"db":"elsewhere"')}\n`);
    bed.configureAs(endpoint, 'lake: foreign');
    await refused(/the lake is that of another pipeline/, 2, 'verify_bad.a');
    bed.configure(endpoint);
  });

  test('without a daemon', async () => {
    await bed.stopDaemon();
    expect(await refused(/no daemon runs/, 1, 'verify_bad.a')).toContain('cdc run');
    await bed.startDaemon();
    expect((await verify()).code).toBe(0);
  });
});

describe('what readers of the lake could take for one thing or the other', () => {
  test('a deleted row with another event of the same seq is found', async () => {
    await bed.query('INSERT INTO verify_bad.a VALUES (900, NULL, 1)', 'DELETE FROM verify_bad.a WHERE id = 900');
    await until(async () => (await bed.lines('a', '"id":900,')).length === 2);
    const [insert, gone] = await bed.lines('a', '"id":900,');
    expect((await verify()).code).toBe(0);
    add('rival', `${insert?.text.replace(seqOf(insert.text), seqOf(gone?.text ?? ''))}\n`);
    const { code, report } = await verify();
    expect([report.tables[0]?.extra, code]).toEqual([1, 4]);
  });

  test('a row with another event of the same seq that deletes it is found', async () => {
    const line = await lineOf(9);
    const { seq } = JSON.parse(line.text);
    const gone = `{"op":"d","before":{"id":9},"after":null,"key":{"id":9},"seq":"${seq}"`;
    add('rival', `${gone}${line.text.slice(line.text.indexOf(',"source"'))}\n`);
    const { code, report } = await verify();
    expect([report.tables[0]?.missing, code]).toEqual([1, 4]);
  });
});

test('an old event in a new object alarms no verify of the last minutes', async () => {
  await bed.query('UPDATE verify_bad.a SET n = 2 WHERE id = 11');
  await until(async () => (await bed.lines('a', '"id":11,')).length === 2);
  const [first] = await bed.lines('a', '"id":11,');
  const hourAgo = new Date(Date.now() - 3_600_000);
  for (const { path } of await bed.lines('a')) utimesSync(path, hourAgo, hourAgo);
  add('late', `${first?.text}\n`);
  const { code, report } = await verify('--since', '1m');
  expect([report.tables[0]?.rows, report.tables[0]?.different, code]).toEqual([1, 0, 0]);
});

test('a lake of which nothing can be read is an error, and nothing is called missing', async () => {
  const { endpoint } = bed.firehose as { endpoint: string };
  bed.addFolder('unreadable', `PAR1${'\0'.repeat(100)}PAR1`);
  bed.configureAs(endpoint, 'lake: unreadable');
  const { code, stdout, stderr } = await bed.verifyCommand('verify_bad.a', '--repair');
  bed.configure(endpoint);
  expect(stderr).toContain('nothing in the lake can be read as events');
  expect([code, stdout]).toEqual([1, '']);
});

test('tables that only the lake has are named, if all are asked for', async () => {
  await bed.query('CREATE TABLE verify_bad.hidden (id INT PRIMARY KEY)', 'INSERT INTO verify_bad.hidden VALUES (1)');
  await until(async () => (await bed.lines('hidden')).length === 1);
  await bed.query('SET SESSION sql_log_bin = 0', 'DROP TABLE verify_bad.hidden');
  const { stderr } = await bed.verifyCommand('!*.keyless');
  expect(stderr).not.toContain('hidden');
  await bed.query('DROP TABLE verify_bad.keyless');
  expect((await bed.verifyCommand()).stderr).toMatch(/^not compared: the lake has events of .*verify_bad\.hidden/m);
});
