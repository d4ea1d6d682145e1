import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { until } from '../pipeline-fixture.ts';
import { BackfillFixture, rowsOf } from './backfill-fixture.ts';

const TABLE = '(id INT PRIMARY KEY, v VARCHAR(40))';

describe('a request of cdc backfill, while the daemon runs', () => {
  let bed: BackfillFixture;
  beforeAll(async () => {
    bed = new BackfillFixture(inject('mysqlUrl'), 'bf_life');
    await bed.createSchema(
      ...['big', 'second', 'third', 'part', 'killed'].map((name) => `CREATE TABLE ${name} ${TABLE}`),
      ...rowsOf('big', 20_000),
      ...rowsOf('killed', 6_000),
      ...['second', 'third', 'part'].flatMap((name) => rowsOf(name, 500)),
      'CREATE VIEW seen AS SELECT id FROM big',
    );
    await bed.start();
  });
  afterAll(() => bed?.remove());

  test('is handed over, shown to its end, and the command ends with 0', async () => {
    const { code, stdout, stderr } = await bed.backfill('bf_life.second');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '1 of 1 table complete, 500 rows delivered\n' });
    expect(stderr).toMatch(/^tables {4}1\n/);
    await bed.delivered();
    expect(await bed.compare('second')).toMatchObject({ equal: true, sourceRows: 500, repeats: 0 });
    expect(await bed.coverage('second')).toMatchObject({ complete: true, why: 'backfilled' });
  });

  test('attaches to a table that is read, queues others, pauses, resumes, and outlives Ctrl-C', async () => {
    const first = bed.command('bf_life.big', '--rate', '800', '--parallel', '1');
    await until(async () => (await bed.table('big'))?.state === 'reading');
    const attached = bed.command('bf_life.big', '--rate', '800', '--parallel', '1');
    await until(() => attached.stderr().includes('bf_life.big') || attached.stderr().includes('of 1 table'));
    const queued = bed.command('bf_life.third', '--rate', '800', '--parallel', '1');
    await until(async () => (await bed.table('third')) !== undefined);
    const { tables } = await bed.client.backfill();
    expect(tables.filter(({ table }) => table === 'big')).toHaveLength(1);
    expect(tables.find(({ table }) => table === 'third')?.state).toBe('queued');

    expect((await bed.backfill('--pause')).stdout).toContain('the backfill is paused');
    await until(async () => (await bed.client.backfill()).waitingFor === 'paused');
    const { rows } = (await bed.table('big'))!;
    attached.child.kill('SIGINT');
    const left = await attached.ended;
    expect(left.code).toBe(130);
    expect(left.stderr).toContain('the backfill continues in the daemon: cdc backfill --status shows it');
    expect((await bed.backfill('--status')).stdout).toMatch(/paused/);
    const { rows: later, state } = (await bed.table('big'))!;
    expect(state).toBe('reading');
    // A chunk that was read is delivered.
    expect(later - rows).toBeLessThanOrEqual(400);

    expect(await bed.hurry('big')).toMatchObject([{ state: 'done' }]);
    for (const command of [first, queued]) expect(await command.ended).toMatchObject({ code: 0 });
    await bed.delivered();
    expect(await bed.compare('big')).toMatchObject({ equal: true, sourceRows: 20_000, repeats: 0 });
  });

  test('that is cancelled ends its command with 1, and leaves the coverage as it was', async () => {
    const waiting = bed.command('bf_life.big', 'bf_life.killed', '--rate', '1000', '--parallel', '1');
    await until(async () => (await bed.table('killed'))?.state === 'queued');
    await bed.backfill('--cancel', 'bf_life.killed');
    await bed.backfill('--cancel');
    const { code, stdout } = await waiting.ended;
    expect(code).toBe(1);
    expect(stdout).toContain('0 of 2 tables complete');
    expect(stdout).toContain('2 cancelled');
    expect((await bed.client.backfill()).state).toBe('idle');
    expect(await bed.coverage('killed')).toMatchObject({ complete: false });
    // It was complete before.
    expect(await bed.coverage('big')).toMatchObject({ complete: true });
  });

  test('for a part of a table leaves the table incomplete', async () => {
    const { code, stdout } = await bed.backfill('bf_life.part', '--where', "id <= 7 AND v <> ''");
    expect({ code, stdout }).toEqual({ code: 0, stdout: '1 of 1 table complete, 7 rows delivered\n' });
    await bed.delivered();
    expect((await bed.snapshotEvents('part')).map(({ after }) => after?.id).sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await bed.coverage('part')).toMatchObject({ complete: false });
  });

  test('continues by itself after SIGKILL of the daemon, and only chunks in flight are read again', async () => {
    const waiting = bed.command('bf_life.killed', '--rate', '2000', '--parallel', '1');
    await until(async () => ((await bed.table('killed'))?.rows ?? 0) > 1_000);
    await bed.stopDaemon('SIGKILL');
    await bed.startDaemon();
    expect(await waiting.ended).toMatchObject({ code: 0 });
    await bed.delivered();
    expect(await bed.compare('killed')).toMatchObject({ equal: true, sourceRows: 6_000 });
    const events = (await bed.snapshotEvents('killed')).length;
    expect(events).toBeGreaterThanOrEqual(6_000);
    // A chunk of this rate has about a thousand rows, and a cancelled request had sent some before.
    expect(events).toBeLessThan(11_000);
    expect(bed.daemon?.stderr()).toContain('backfill: continuing');
  });

  test('that was accepted is not lost if the daemon is killed right then', async () => {
    await bed.client.startBackfill({ tables: ['bf_life.second'], rate: 100, parallel: 1 });
    await bed.stopDaemon('SIGKILL');
    await bed.startDaemon();
    expect(await bed.table('second')).toBeDefined();
    await bed.client.startBackfill({ tables: ['bf_life.second'] });
    expect(await bed.over('second')).toMatchObject([{ state: 'done' }]);
  });

  test('what cannot be read is refused by the command, all of it at once, and nothing is asked of the daemon', async () => {
    const { code, stderr } = await bed.backfill('bf_life.sekond', 'bf_life.seen', 'mysql.user');
    expect(code).toBe(2);
    expect(stderr).toContain('did you mean bf_life.second?');
    expect(stderr).toContain('bf_life.seen is a view');
    expect(stderr).toContain('mysql.user is outside tables of the configuration');
    expect((await bed.client.backfill()).state).toBe('idle');
  });
});

describe('cdc backfill where no daemon runs', () => {
  let bed: BackfillFixture;
  beforeAll(async () => {
    bed = new BackfillFixture(inject('mysqlUrl'), 'bf_alone');
    await bed.createSchema(
      `CREATE TABLE a ${TABLE}`,
      `CREATE TABLE b ${TABLE}`,
      ...rowsOf('a', 300),
      ...rowsOf('b', 9_000),
    );
    bed.configure((await bed.startFirehose()).endpoint);
  });
  afterAll(() => bed?.remove());

  test('reads the table itself, and cdc run continues from its checkpoint', async () => {
    expect(await bed.backfill('bf_alone.a')).toMatchObject({
      code: 0,
      stdout: '1 of 1 table complete, 300 rows delivered\n',
    });
    await bed.query("UPDATE bf_alone.a SET v = 'later' WHERE id < 10", 'DELETE FROM bf_alone.a WHERE id = 20');
    await bed.startDaemon();
    expect(await bed.coverage('a')).toMatchObject({ complete: true, why: 'backfilled' });
    await bed.delivered();
    expect(await bed.compare('a')).toMatchObject({ equal: true, sourceRows: 299 });
    await bed.stopDaemon();
  });

  test('leaves the rest after Ctrl-C; --status shows it, and the same command and cdc run finish it', async () => {
    const interrupt = async (before: number): Promise<void> => {
      const command = bed.command('bf_alone.b', '--rate', '1500', '--parallel', '1');
      await bed.answers();
      await until(async () => ((await bed.table('b'))?.rows ?? 0) > before);
      command.child.kill('SIGINT');
      const { code, stderr } = await command.ended;
      expect(code).toBe(130);
      expect(stderr).toContain('cdc run, or the same command, continues it where it was');
    };
    await interrupt(0);
    const status = await bed.backfill('--status');
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/none runs/);
    const { tables } = JSON.parse((await bed.backfill('--status', '--json')).stdout);
    expect(tables).toMatchObject([{ table: 'b', state: 'queued' }]);
    const before = tables[0].rows;
    expect(before).toBeGreaterThan(0);
    await interrupt(before);
    expect(JSON.parse((await bed.backfill('--status', '--json')).stdout).tables[0].rows).toBeGreaterThan(before);
    await bed.startDaemon();
    // It has taken up the table by itself; the rest can be quick.
    expect(await bed.table('b')).toMatchObject({ state: expect.stringMatching(/^(queued|reading|done)$/) });
    await bed.hurry('b');
    await bed.delivered();
    expect(await bed.compare('b')).toMatchObject({ equal: true, sourceRows: 9_000 });
    expect((await bed.snapshotEvents('b')).length).toBeLessThan(13_000);
    await bed.stopDaemon();
  });

  test('finishes with the same command what another one has left', async () => {
    const command = bed.command('bf_alone.b', '--rate', '1500', '--parallel', '1');
    await bed.answers();
    await until(async () => ((await bed.table('b'))?.rows ?? 0) > 0);
    command.child.kill('SIGKILL');
    await command.ended;
    expect(await bed.backfill('bf_alone.b', '--rate', '1000000')).toMatchObject({
      code: 0,
      stdout: '1 of 1 table complete, 9,000 rows delivered\n',
    });
  });
});

describe('source.start: snapshot', () => {
  let bed: BackfillFixture;
  beforeAll(async () => {
    bed = new BackfillFixture(inject('mysqlUrl'), 'bf_start');
    await bed.startFirehose();
  });
  afterAll(() => bed?.remove());

  const configure = (tables: string, more = ''): void =>
    bed.write(`name: shop
source: { url: "${bed.url}", start: snapshot }
tables: [${tables}]
firehose: { stream: changes, endpoint: "${bed.firehose?.endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
${more}`);

  test('copies every captured table, also if it is killed at once', async () => {
    await bed.createSchema(
      `CREATE TABLE a ${TABLE}`,
      `CREATE TABLE b ${TABLE}`,
      `CREATE TABLE \`log\` ${TABLE}`,
      ...['a', 'b', 'log'].flatMap((name) => rowsOf(`\`${name}\``, 1_000)),
    );
    configure('"bf_start.*", "!bf_start.log"', 'backfill: { rate: 1500 }');
    for (let i = 0; i < 2; i++) {
      bed.daemon = await bed.run();
      await bed.stopDaemon('SIGKILL');
    }
    await bed.startDaemon();
    await bed.query("UPDATE bf_start.b SET v = 'later' WHERE id < 50");
    await until(async () => (await bed.client.backfill()).state === 'idle');
    await bed.delivered();
    for (const name of ['a', 'b']) {
      expect(await bed.compare(name)).toMatchObject({ equal: true, sourceRows: 1_000 });
      expect(await bed.coverage(name)).toMatchObject({ complete: true, why: 'backfilled' });
    }
  });

  test('a table that is captured later is backfilled alone', async () => {
    await bed.stopDaemon();
    configure('"bf_start.*"');
    await bed.startDaemon();
    expect(await bed.coverage('log')).toMatchObject({ complete: false });
    expect(await bed.coverage('a')).toMatchObject({ complete: true });
    const before = (await bed.snapshotEvents('a')).length;
    expect(await bed.copy('log')).toMatchObject([{ state: 'done', rows: 1_000 }]);
    await bed.delivered();
    expect(await bed.compare('log')).toMatchObject({ equal: true, sourceRows: 1_000 });
    expect((await bed.snapshotEvents('a')).length).toBe(before);
  });

  test('a table that leaves tables while it is read is not read on, and is not complete when it returns', async () => {
    await bed.client.startBackfill({ tables: ['bf_start.a'], rate: 100, parallel: 1 });
    await until(async () => ((await bed.table('a'))?.rows ?? 0) > 0);
    await bed.stopDaemon();
    configure('"bf_start.*", "!bf_start.a"');
    await bed.startDaemon();
    expect(await bed.client.backfill()).toMatchObject({ state: 'idle' });
    expect(bed.daemon?.stderr()).toContain('bf_start.a is outside tables of the configuration');
    await bed.query("UPDATE bf_start.a SET v = 'missed'");
    await bed.delivered();
    await bed.stopDaemon();
    configure('"bf_start.*"');
    await bed.startDaemon();
    expect((await bed.client.backfill()).tables).toEqual([]);
    expect(await bed.coverage('a')).toMatchObject({ complete: false });
  });

  test('of a schema without a table follows the binlog and is complete from the CREATE on', async () => {
    await bed.stopDaemon();
    await bed.createSchema();
    rmSync(bed.checkpoint);
    configure('"bf_start.*"');
    await bed.startDaemon();
    await bed.query(`CREATE TABLE bf_start.fresh ${TABLE}`);
    await bed.delivered();
    expect(await bed.coverage('fresh')).toMatchObject({ complete: true, why: 'created' });
  });
});
