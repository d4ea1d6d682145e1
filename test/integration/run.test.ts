import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { cdc, Fixture, startCdc, tableOf, until } from './pipeline-fixture.ts';

const TABLE = `CREATE TABLE item (
  id BIGINT UNSIGNED, part VARCHAR(20) CHARACTER SET utf8mb4, name VARCHAR(100), price DECIMAL(10,2),
  at DATETIME(3), doc LONGTEXT, PRIMARY KEY (id, part))`;

interface ChangeEvent {
  op: string;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  key: Record<string, unknown>;
  seq: string;
  source: Record<string, unknown>;
  ts_ms: number;
}

describe.each(['mysql', 'mariadb'] as const)('cdc run against %s', (flavor) => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `run_${flavor}_${process.pid}`);
    await fixture.createSchema(TABLE);
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(() => fixture.remove());

  test('inserts, updates, deletes and key changes arrive in the documented shape and order', async () => {
    const daemon = await fixture.run();
    await fixture.query(
      `USE ${fixture.schema}`,
      `INSERT INTO item VALUES (42, 'a', 'q"\\n😀', -0.50, '2026-01-02 03:04:05.6', NULL)`,
      `UPDATE item SET price = 7`,
      `UPDATE item SET part = 'b'`,
      `DELETE FROM item`,
      'BEGIN',
      `INSERT INTO item (id, part) VALUES (1, 'rolled back')`,
      'ROLLBACK',
      'BEGIN',
      `INSERT INTO item (id, part) VALUES (2, 'kept')`,
      'SAVEPOINT s',
      `INSERT INTO item (id, part) VALUES (3, 'taken back')`,
      'ROLLBACK TO s',
      'COMMIT',
    );
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });

    const events = (await fixture.landed()).filter((event) => tableOf(event) === 'item') as unknown as ChangeEvent[];
    const first = { id: 42, part: 'a' };
    expect(events.map(({ op, key }) => [op, key])).toEqual([
      ['c', first],
      ['u', first],
      ['d', first],
      ['c', { ...first, part: 'b' }],
      ['d', { ...first, part: 'b' }],
      ['c', { id: 2, part: 'kept' }],
    ]);
    const [insert, update, remove, moved] = events as [ChangeEvent, ChangeEvent, ChangeEvent, ChangeEvent];
    const row = { ...first, name: 'q"\n😀', price: '-0.50', at: '2026-01-02T03:04:05.600', doc: null };
    expect(insert).toMatchObject({ before: null, after: row });
    expect(update).toMatchObject({ before: row, after: { ...row, price: '7.00' } });
    expect(remove).toMatchObject({ before: { ...row, price: '7.00' }, after: null });
    expect(moved).toMatchObject({ before: null, after: { ...row, price: '7.00', part: 'b' } });
    expect(Object.keys(insert)).toEqual(['op', 'before', 'after', 'key', 'seq', 'source', 'ts_ms']);
    expect(insert.seq).toMatch(/^[0-9a-f]{36}$/);
    expect(insert.source).toMatchObject({
      connector: 'mysql',
      name: 'shop',
      db: fixture.schema,
      table: 'item',
      row: 0,
      snapshot: 'false',
    });
    expect(insert.source.gtid).toMatch(flavor === 'mysql' ? /^[0-9a-f-]{36}:\d+$/ : /^\d+-\d+-\d+$/);
    // The same clock and unit; how long the row was on its way depends on the machine.
    expect(Math.abs(Number(insert.source.ts_ms) - insert.ts_ms)).toBeLessThan(600_000);
    // The two halves of a key change are one row of one event.
    expect(remove.source.pos).toBe(moved.source.pos);
  });

  test('after SIGKILLs under load the fold equals the source, and a repeat has the same bytes', async () => {
    // The first start saves where it begins. What is written before that is no business of the daemon.
    let daemon = await fixture.run();
    const load = changeRows(fixture, 4);
    for (let i = 0; i < 5; i++) {
      const changes = load.changes();
      await new Promise((done) => setTimeout(done, 400 + i * 150));
      await until(() => load.changes() >= changes + 200);
      daemon.child.kill('SIGKILL');
      await daemon.ended;
      daemon = await fixture.run();
    }
    await load.stop();
    expect(load.changes()).toBeGreaterThan(1000);
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
    expect(await fixture.compare('item')).toMatchObject({
      equal: true,
      missing: 0,
      extra: 0,
      different: 0,
      conflicts: 0,
    });
  });
});

/** Changes rows at random on several connections until it is stopped. Counts the statements that committed. */
function changeRows(fixture: Fixture, clients: number): { changes(): number; stop(): Promise<void> } {
  let changes = 0;
  let stopped = false;
  const client = async (n: number): Promise<void> => {
    const connection = await createConnection({ uri: fixture.url, database: fixture.schema });
    for (let i = 0; !stopped; i++) {
      const id = (i * 7 + n) % 50;
      const part = `p${(i * 13) % 5}`;
      const statement = [
        `REPLACE INTO item VALUES (${id}, '${part}', 'n${i}', ${i}.25, '2026-01-01 00:00:00.${i % 1000}', REPEAT('x', ${i % 300}))`,
        `UPDATE item SET price = price + 1, name = '${i}' WHERE id = ${id}`,
        `DELETE FROM item WHERE id = ${id} AND part = '${part}'`,
        `UPDATE IGNORE item SET part = 'moved${i % 3}' WHERE id = ${id} AND part = '${part}'`,
      ][(i * 31 + n) % 4] as string;
      try {
        await connection.query(i % 9 === 0 ? 'BEGIN' : 'DO 0');
        await connection.query(statement);
        await connection.query(i % 18 === 0 ? 'ROLLBACK' : 'COMMIT');
        changes++;
      } catch (error) {
        // Clients block each other; InnoDB takes one back, and that one has changed nothing.
        if ((error as { code?: string }).code !== 'ER_LOCK_DEADLOCK') throw error;
      }
    }
    connection.destroy();
  };
  const work = Promise.all(Array.from({ length: clients }, (_, n) => client(n)));
  return {
    changes: () => changes,
    stop: async () => {
      stopped = true;
      await work;
    },
  };
}

describe('cdc run refuses', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = new Fixture(inject('mysqlUrl'), `refuse_${process.pid}`);
    await fixture.createSchema(TABLE);
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(() => fixture.remove());

  const writeCheckpoint = async (text: string): Promise<void> => {
    await mkdir(dirname(fixture.checkpoint), { recursive: true });
    writeFileSync(fixture.checkpoint, text);
  };

  test('a damaged checkpoint, which stays as it is', async () => {
    await writeCheckpoint('{"version":1,');
    const { code, stderr } = await cdc(fixture.directory, 'run');
    expect(code).toBe(2);
    expect(stderr).toMatch(/checkpoint .* is damaged/);
    expect(readFileSync(fixture.checkpoint, 'utf8')).toBe('{"version":1,');
  });

  test('a checkpoint whose position was edited by hand', async () => {
    const daemon = await fixture.run();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const edited = readFileSync(fixture.checkpoint, 'utf8').replace(/"position": \d+/, '"position": 4');
    writeFileSync(fixture.checkpoint, edited);
    const { code, stderr } = await cdc(fixture.directory, 'run');
    expect(code).toBe(2);
    expect(stderr).toMatch(/checksum does not match/);
  });

  test('a checkpoint of another pipeline', async () => {
    const daemon = await fixture.run();
    daemon.child.kill('SIGTERM');
    await daemon.ended;
    const before = readFileSync(fixture.checkpoint, 'utf8');
    const config = readFileSync(`${fixture.directory}/cdc.yaml`, 'utf8').replace('name: shop', 'name: other');
    writeFileSync(`${fixture.directory}/cdc.yaml`, config);
    const { code, stderr } = await cdc(fixture.directory, 'run');
    expect(code).toBe(2);
    expect(JSON.parse(stderr.trim().split('\n').at(-1) ?? '').msg).toMatch(/belongs to "shop", not to "other"/);
    expect(readFileSync(fixture.checkpoint, 'utf8')).toBe(before);
  });

  test('an unknown key, naming the nearest', async () => {
    fixture.configure(fixture.firehose?.endpoint ?? '', 'formt: debezium\n');
    const { code, stderr } = await cdc(fixture.directory, 'run');
    expect(code).toBe(2);
    expect(stderr).toMatch(/formt: unknown key, did you mean format\?/);
  });

  test('a stream that does not exist', async () => {
    const config = readFileSync(`${fixture.directory}/cdc.yaml`, 'utf8').replace('stream: changes', 'stream: nowhere');
    writeFileSync(`${fixture.directory}/cdc.yaml`, config);
    const { code, stderr } = await cdc(fixture.directory, 'run');
    expect(code).toBe(3);
    expect(stderr).toMatch(/nowhere/);
  });

  test('a wrong password, without naming it', async () => {
    await fixture.query(`CREATE USER IF NOT EXISTS refused@'%' IDENTIFIED BY 'right'`);
    const url = new URL(fixture.url);
    url.username = 'refused';
    url.password = 'wrong-secret';
    const config = readFileSync(`${fixture.directory}/cdc.yaml`, 'utf8').replace(fixture.url, url.href);
    writeFileSync(`${fixture.directory}/cdc.yaml`, config);
    const { code, stderr } = await cdc(fixture.directory, 'run');
    await fixture.query(`DROP USER refused@'%'`);
    expect(code).toBe(3);
    expect(stderr).toMatch(/rejects user/);
    expect(stderr).not.toContain('wrong-secret');
    expect(existsSync(fixture.checkpoint)).toBe(false);
  });
});

describe('cdc run with Firehose down', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = new Fixture(inject('mysqlUrl'), `down_${process.pid}`);
    await fixture.createSchema(TABLE);
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterEach(() => fixture.remove());

  test('SIGTERM ends it with 0 although Firehose is down, and nothing is lost', async () => {
    const daemon = await fixture.run();
    await fixture.delivered();
    const port = Number(new URL(fixture.firehose?.endpoint ?? '').port);
    await fixture.firehose?.close();
    await fixture.query(`INSERT INTO ${fixture.schema}.item (id, part) VALUES (1, 'x')`);
    await until(() => daemon.stderr().includes('the stream did not accept events; retrying'));
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('drain timed out after 20 s'),
    });
    await fixture.startFirehose(port);
    const next = await fixture.run();
    await fixture.delivered();
    next.child.kill('SIGTERM');
    await next.ended;
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 1 });
  });
});

test('SIGTERM at any time while it starts ends it with 0, unless it comes before the program itself', async () => {
  const fixture = new Fixture(inject('mysqlUrl'), `early_${process.pid}`);
  await fixture.createSchema(TABLE);
  fixture.configure((await fixture.startFirehose()).endpoint);
  let asked = 0;
  // Where Node needs longer to load, later too.
  for (let ms = 150; ms <= 900 || asked === 0; ms += 50) {
    const daemon = startCdc(fixture.directory, 'run');
    await new Promise((done) => setTimeout(done, ms));
    daemon.child.kill('SIGTERM');
    const { code, signal, stderr } = await daemon.ended;
    // While Node loads, nobody can handle a signal.
    if (signal !== 'SIGTERM') expect([ms, code, stderr]).toEqual([ms, 0, stderr]);
    if (code === 0) asked++;
  }
  expect(asked).toBeGreaterThan(0);
  await fixture.remove();
});

test('cdc check names a checkpoint that is damaged and one that the server cannot go on from', async () => {
  const fixture = new Fixture(inject('mysqlUrl'), `checked_${process.pid}`);
  await fixture.createSchema(TABLE);
  fixture.configure((await fixture.startFirehose()).endpoint);
  const daemon = await fixture.run();
  daemon.child.kill('SIGTERM');
  await daemon.ended;
  expect(await cdc(fixture.directory, 'check')).toMatchObject({ code: 0 });
  const whole = readFileSync(fixture.checkpoint, 'utf8');
  writeFileSync(fixture.checkpoint, whole.slice(0, 100));
  const damaged = await cdc(fixture.directory, 'check');
  expect(damaged).toMatchObject({ code: 3, stdout: expect.stringMatching(/checkpoint .* is damaged/) });
  const start = '00000000-0000-0000-0000-000000000001:1-9';
  const config = readFileSync(`${fixture.directory}/cdc.yaml`, 'utf8').replace(
    'source: {',
    `source: { start: "${start}",`,
  );
  writeFileSync(`${fixture.directory}/cdc.yaml`, config.replace('state/shop.json', 'state/other.json'));
  const ahead = await cdc(fixture.directory, 'check');
  expect(ahead).toMatchObject({ code: 3, stdout: expect.stringMatching(/is ahead of the server/) });
  await fixture.remove();
});

test('a server that is not there yet is waited for, not given up', async () => {
  const fixture = new Fixture(inject('mysqlUrl'), `late_${process.pid}`);
  await fixture.createSchema(TABLE);
  const { endpoint } = await fixture.startFirehose();
  const port = Number(new URL(endpoint).port);
  fixture.configure(endpoint);
  await fixture.firehose?.close();
  // The stream's endpoint is down when the daemon starts, and comes up later.
  const daemon = await fixture.run();
  await fixture.query(`INSERT INTO ${fixture.schema}.item (id, part) VALUES (1, 'x')`);
  await fixture.startFirehose(port);
  await fixture.delivered();
  daemon.child.kill('SIGTERM');
  expect(await daemon.ended).toMatchObject({ code: 0 });
  await fixture.remove();
});
