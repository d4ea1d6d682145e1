import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Cdc, Fixture, startCdc, until } from './pipeline-fixture.ts';

describe.each(['mysql', 'mariadb'] as const)('cdc tail of %s', (flavor) => {
  let fixture: Fixture;
  let tail: Cdc | undefined;
  beforeEach(async () => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `tail_${flavor}_${process.pid}`);
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    fixture.configure('http://127.0.0.1:1');
  });
  afterEach(async () => {
    tail?.child.kill('SIGKILL');
    await fixture.remove();
  });

  const following = async (...words: string[]): Promise<Cdc> => {
    const started = startCdc(fixture.directory, 'tail', ...words);
    tail = started;
    await until(() => started.stderr().endsWith('\n') || started.child.exitCode !== null);
    return started;
  };

  test('says on standard error where it reads, before there is an event, and prints only events to standard output', async () => {
    const { child, ended, stderr, stdout } = await following();
    const { port } = new URL(fixture.url);
    const product = flavor === 'mysql' ? 'MySQL 9\\.' : 'MariaDB 10\\.';
    const said = new RegExp(
      `^connected to ${product}\\S+ on 127\\.0\\.0\\.1:${port}; ` +
        'the binlog is read from [\\w.-]+\\.\\d+:\\d+; ' +
        `changes of ${fixture.schema}\\.\\* follow; Ctrl-C ends\\n$`,
    );
    expect(stderr()).toMatch(said);
    // What is written from now on is printed, however late the dump begins.
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1)`);
    await until(() => stdout().endsWith('\n'));
    child.kill('SIGTERM');
    const end = await ended;
    expect(end).toMatchObject({ code: 0, stderr: expect.stringMatching(said) });
    expect(JSON.parse(end.stdout)).toMatchObject({ op: 'c', after: { id: 1 } });
  });

  test('names the place that was asked for: coordinates, GTIDs, other tables', async () => {
    const admin = await createConnection({ uri: fixture.url, rowsAsArray: true });
    const [[at]] = (await admin.query(
      flavor === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    )) as unknown as [[[string, number]]];
    const [[[executed]]] = (await admin.query(
      `SELECT ${flavor === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos'}`,
    )) as unknown as [[[string]]];
    admin.destroy();
    const gtids = executed.replaceAll('\n', '');
    for (const [from, place] of [
      [`${at[0]}:${at[1]}`, `${at[0]}:${at[1]}`],
      [gtids, `the end of ${gtids}`],
    ] as const) {
      const { child, ended, stderr } = await following('a.b', 'c.*', '--from', from);
      expect(stderr()).toContain(`; the binlog is read from ${place}; changes of a.b, c.* follow`);
      child.kill('SIGTERM');
      expect(await ended).toMatchObject({ code: 0, stdout: '' });
    }
  });
});
