import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Cdc, cdc, Fixture, startCdc, tableOf, until } from './pipeline-fixture.ts';

// Two daemons of one server, whose patterns complement each other: docs/SCALING.md.

const PARTS = {
  orders: (schema: string) => [`${schema}.orders*`],
  others: (schema: string) => [`${schema}.*`, `!${schema}.orders*`],
};
type Part = keyof typeof PARTS;

describe.each(['mysql', 'mariadb'] as const)('two daemons that share the tables of one %s', (flavor) => {
  let fixture: Fixture;
  const daemons = new Map<Part, Cdc>();
  const parts = Object.keys(PARTS) as Part[];

  beforeEach(async () => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `shared_${flavor}`);
    await fixture.createSchema(
      'CREATE TABLE orders (id INT PRIMARY KEY, total INT)',
      'CREATE TABLE orders_2025 (id INT PRIMARY KEY, total INT)',
      'CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20))',
    );
    const { endpoint } = await fixture.startFirehose();
    for (const part of parts) {
      const tables = JSON.stringify(PARTS[part](fixture.schema));
      writeFileSync(
        join(fixture.directory, `${part}.yaml`),
        `name: ${part}\nsource: { url: "${fixture.url}" }\ntables: ${tables}\nfirehose: { stream: changes, endpoint: "${endpoint}" }\n`,
      );
      daemons.set(part, startCdc(fixture.directory, 'run', '-c', `${part}.yaml`));
    }
    await until(() => parts.every((part) => daemons.get(part)?.stderr().includes('following the binlog')));
  });
  afterEach(async () => {
    for (const daemon of daemons.values()) {
      daemon.child.kill('SIGKILL');
      await daemon.ended;
    }
    await fixture.remove();
  });

  /** A row in a table of each half: what was committed before it is delivered. */
  async function delivered(): Promise<void> {
    await fixture.delivered();
    const id = Math.floor(Math.random() * 2 ** 31);
    await fixture.query(
      `CREATE TABLE IF NOT EXISTS ${fixture.schema}.orders_marker (id INT PRIMARY KEY)`,
      `INSERT INTO ${fixture.schema}.orders_marker VALUES (${id})`,
    );
    await until(async () => (await fixture.landed()).some(({ after }) => (after as { id?: number })?.id === id));
  }

  /** What each daemon sent, as `daemon table op id`, in order of seq but for the epoch, which each has of its own. */
  async function sent(): Promise<string[]> {
    const events = (await fixture.landed()) as {
      op: string;
      seq: string;
      key: { id: number } | null;
      source: { name: string };
    }[];
    return events
      .filter((event) => !/marker/.test(tableOf(event)))
      .sort((a, b) => (a.seq.slice(8) < b.seq.slice(8) ? -1 : 1))
      .map((event) => `${event.source.name} ${tableOf(event)} ${event.op} ${event.key?.id ?? ''}`.trim());
  }

  test('each row is sent by exactly one of them: also of a transaction that touches both, and of tables made later', async () => {
    await fixture.query(
      `USE ${fixture.schema}`,
      'INSERT INTO orders VALUES (1, 10)',
      'BEGIN',
      "INSERT INTO users VALUES (2, 'ada')",
      'INSERT INTO orders VALUES (2, 20)',
      "UPDATE users SET name = 'bob'",
      'UPDATE orders_2025 SET total = 1',
      'COMMIT',
      'CREATE TABLE orders_2026 (id INT PRIMARY KEY)',
      'INSERT INTO orders_2026 VALUES (3)',
      'CREATE TABLE carts (id INT PRIMARY KEY)',
      'INSERT INTO carts VALUES (4)',
      'BEGIN',
      'INSERT INTO orders VALUES (9, 9)',
      'INSERT INTO carts VALUES (9)',
      'ROLLBACK',
      'TRUNCATE TABLE carts',
    );
    await delivered();
    expect(await sent()).toEqual([
      'orders orders c 1',
      'others users c 2',
      'orders orders c 2',
      'others users u 2',
      'orders orders_2026 c 3',
      'others carts c 4',
      'others carts t',
    ]);
    for (const table of ['orders', 'orders_2025', 'orders_2026', 'users', 'carts']) {
      expect(await fixture.compare(table), table).toMatchObject({ equal: true, repeats: 0, conflicts: 0 });
    }
  });

  test('a row that a crash of one repeats is repeated by that one alone', async () => {
    await fixture.query(`INSERT INTO ${fixture.schema}.users VALUES (1, 'x')`);
    await delivered();
    const killed = daemons.get('orders') as Cdc;
    killed.child.kill('SIGKILL');
    await killed.ended;
    await fixture.query(
      `INSERT INTO ${fixture.schema}.orders VALUES (5, 5)`,
      `INSERT INTO ${fixture.schema}.users VALUES (5, 'y')`,
    );
    daemons.set('orders', startCdc(fixture.directory, 'run', '-c', 'orders.yaml'));
    await delivered();
    const lines = await sent();
    expect(lines.filter((line) => line === 'orders orders c 5').length).toBe(1);
    expect(lines.filter((line) => line.startsWith('others '))).toEqual(['others users c 1', 'others users c 5']);
  });

  test('a table that is renamed into the other half continues there, and only its later rows are there', async () => {
    await fixture.query(
      `USE ${fixture.schema}`,
      "INSERT INTO users VALUES (1, 'before')",
      'RENAME TABLE users TO orders_users',
      "INSERT INTO orders_users VALUES (2, 'after')",
      "UPDATE orders_users SET name = 'changed' WHERE id = 1",
    );
    await delivered();
    expect(await sent()).toEqual(['others users c 1', 'orders orders_users c 2', 'orders orders_users u 1']);
    // Its new half does not call it complete, and says what completes it.
    const { stdout } = await cdc(fixture.directory, 'check', '-c', 'orders.yaml', '--json');
    const { problems } = JSON.parse(stdout) as { problems: { what: string; fix: string }[] };
    const fixes = problems.map(({ what, fix }) => `${what}: ${fix}`).filter((line) => line.includes('orders_users'));
    expect(fixes.join('\n')).toMatch(/cdc backfill .*orders_users/);
  });
});
