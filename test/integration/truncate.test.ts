import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { History } from './follow.ts';
import { Fixture, tableOf } from './pipeline-fixture.ts';

describe.each(['mysql', 'mariadb'] as const)('truncate: skip on %s', (flavor) => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `truncate_${flavor}_${process.pid}`);
  });
  afterEach(() => fixture.remove());

  test('leaves out the event of a TRUNCATE and nothing else, in every format', async () => {
    const kept = new History(fixture.url, fixture.schema);
    await kept.run(
      ['CREATE TABLE item (id INT PRIMARY KEY)'],
      'INSERT INTO item VALUES (1)',
      'TRUNCATE TABLE item',
      'INSERT INTO item VALUES (2)',
    );
    // The clock of format debezium is no part of what happened.
    const written = async (yaml: string) =>
      (await kept.lines(yaml)).map(({ text }) => text.replace(/,"ts_ms":\d+}\n$/, ''));
    for (const format of ['debezium', 'flat', 'maxwell']) {
      const [first, truncated, second, ...more] = await written(`format: ${format}`);
      expect(truncated).toMatch(/"(_op|op)":"t"|"type":"table-truncate"/);
      expect(more).toEqual([]);
      expect(await written(`format: ${format}\ntruncate: skip`)).toEqual([first, second]);
    }
  });

  test('names each of them in the log of the daemon, whose checkpoint passes them', async () => {
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    fixture.configure((await fixture.startFirehose()).endpoint, 'truncate: skip');
    const daemon = await fixture.run();
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1)`, `TRUNCATE TABLE ${fixture.schema}.item`);
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(0);
    const [line, ...more] = stderr.split('\n').filter((text) => text.includes('a TRUNCATE is left out'));
    expect(JSON.parse(line as string)).toMatchObject({ table: `${fixture.schema}.item`, gtid: expect.any(String) });
    expect(more).toEqual([]);
    const again = await fixture.run();
    await fixture.delivered();
    again.child.kill('SIGTERM');
    expect((await again.ended).stderr).not.toContain('a TRUNCATE is left out');
    const items = (await fixture.landed()).filter((event) => tableOf(event) === 'item');
    expect(items.map(({ op }) => op)).toEqual(['c']);
  });
});
