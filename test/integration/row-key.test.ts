import { createConnection } from 'mysql2';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import { describeTable } from '../../src/lake/source-table.ts';
import { seededRandom } from '../../src/local/demo/random.ts';
import { gatherTables } from '../../src/preflight/gather-tables.ts';
import { readInformationSchema } from '../../src/source/schema/information-schema.ts';
import { queryOn } from '../../src/source/server/query.ts';
import { connect } from '../../src/source/server/server-info.ts';
import { History } from './follow.ts';

const { values } = configSchema.parse({ source: { url: 'mysql://u@localhost' }, firehose: { stream: 's' } });
const RANDOM_TABLES = 60;
const SEED = Number(process.env.CDC_SEED ?? 1);

/** Tables whose key is easily guessed wrong. */
const BOTH = [
  'a INT NOT NULL, b INT NOT NULL, UNIQUE u1 (b), UNIQUE u2 (a)',
  'a INT, b INT NOT NULL, UNIQUE u1 (a), UNIQUE u2 (b)',
  'a INT NOT NULL, b INT, UNIQUE u1 (a, b)',
  'a INT NOT NULL, b VARCHAR(20) NOT NULL, UNIQUE u1 (b(5)), UNIQUE u2 (a)',
  'a INT NOT NULL, b VARCHAR(20) NOT NULL, UNIQUE u1 (b(5))',
  'a INT NOT NULL, b VARCHAR(20) NOT NULL, UNIQUE u1 (b(20)), UNIQUE u2 (a)',
  'a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE z (b, a), UNIQUE y (a), KEY (c)',
  // A BLOB always has a prefix. One of its whole length makes it a key.
  'a TINYBLOB NOT NULL, b INT NOT NULL, UNIQUE u (a(255)), UNIQUE v (b)',
  'a TINYTEXT CHARACTER SET utf8mb4 NOT NULL, UNIQUE u (a(63))',
  'b INT NOT NULL, a VARCHAR(20) NOT NULL, PRIMARY KEY (a(5), b), UNIQUE (b)',
  'a INT NOT NULL, b INT NOT NULL, UNIQUE h (a) USING HASH, UNIQUE v (b)',
  'a INT NOT NULL, b INT NOT NULL, UNIQUE u1 (b), UNIQUE u2 (a)) ENGINE=MEMORY COMMENT=(',
  'a INT NOT NULL, b INT NOT NULL, KEY k (a, b)',
].map((definition) => definition.replace(' COMMENT=(', ''));
const OF_FLAVOR = {
  mysql: [
    'a INT NOT NULL, UNIQUE f ((a + 1)), UNIQUE x (a)',
    'a INT NOT NULL, UNIQUE f ((a + 1))',
    'a INT NOT NULL, b INT NOT NULL, UNIQUE x (a, (b + 1)), UNIQUE y (b)',
    'a INT NOT NULL, g INT GENERATED ALWAYS AS (a + 1) VIRTUAL NOT NULL, UNIQUE x (g)',
    'a INT NOT NULL, g INT GENERATED ALWAYS AS (a + 1) STORED NOT NULL, UNIQUE x (g)',
    'a INT NOT NULL, b INT NOT NULL, UNIQUE y (b), UNIQUE x (a) INVISIBLE',
    'a INT NOT NULL INVISIBLE, b INT NOT NULL, UNIQUE x (a), UNIQUE y (b)',
  ],
  mariadb: [
    'a INT NOT NULL INVISIBLE DEFAULT 3, b INT NOT NULL, UNIQUE x (a), UNIQUE y (b)',
    'a BIT(3) NOT NULL, b INT NOT NULL, UNIQUE (a), UNIQUE (b)',
  ],
} as const;

/** Columns and keys as they come: nullable or not, with prefixes, over several columns, with and without PRIMARY. */
function randomDefinition(seed: number): string {
  const { pick, chance } = seededRandom(seed);
  const columns = ['a', 'b', 'c', 'd'].map((name) => ({ name, text: chance(0.4), nullable: chance(0.3) }));
  const part = (): string => {
    const { name, text } = pick(columns);
    return text && chance(0.4) ? `${name}(${pick([3, 10])})` : name;
  };
  const parts = (): string => {
    const all = Array.from({ length: pick([1, 1, 2, 3]) }, part);
    return all.filter((each, i) => all.findIndex((other) => other[0] === each[0]) === i).join(', ');
  };
  const keys = Array.from({ length: pick([1, 2, 3, 4]) }, (_, i) =>
    chance(0.05) ? '' : `${chance(0.8) ? 'UNIQUE' : 'KEY'} k${9 - i} (${parts()})`,
  ).filter((key) => key !== '');
  const primary = chance(0.15) ? ['PRIMARY KEY (d)'] : [];
  const types = columns.map(
    ({ name, text, nullable }) =>
      `${name} ${text ? 'VARCHAR(10)' : 'INT'} ${nullable && name !== 'd' ? 'NULL' : 'NOT NULL'}`,
  );
  return [...types, ...keys, ...primary].join(', ');
}

const histories: History[] = [];
afterAll(() => Promise.all(histories.map((each) => each.remove())));

describe.each(['mysql', 'mariadb'] as const)('%s', (flavor) => {
  const url = inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
  const history = (schema: string): History => {
    const made = new History(url, schema);
    histories.push(made);
    return made;
  };

  test('the key of the events, of INFORMATION_SCHEMA, of cdc check and of the lake is the one that FULL metadata names', async () => {
    const schema = `row_key_${flavor}`;
    const definitions = [...BOTH, ...OF_FLAVOR[flavor]];
    for (let i = 0; i < RANDOM_TABLES; i++) definitions.push(randomDefinition(SEED * 1000 + i));
    const kept = history(schema);
    await kept.run(
      definitions.map(
        (definition, i) => `CREATE TABLE t${i} (${definition}${definition.includes(') ENGINE') ? '' : ')'}`,
      ),
      "SET sql_mode = ''",
      ...definitions.map((_, i) => `INSERT INTO t${i} VALUES ()`),
    );
    const named = new Map<string, string[]>();
    for (const { event } of await kept.lines('')) {
      named.set((event.source as { table: string }).table, Object.keys((event.key as object | null) ?? {}));
    }
    expect(named.size).toBe(definitions.length);
    expect(new Set([...named.values()].map((key) => key.length)).size).toBeGreaterThan(2);
    const connection = await connect(sourceConnection({ url }));
    const source = createConnection({ uri: url });
    try {
      const { describe } = await gatherTables(queryOn(connection), true);
      const facts = await describe((owner) => owner === schema);
      for (const [i, definition] of definitions.entries()) {
        const key = named.get(`t${i}`) as string[];
        const declared = await readInformationSchema(connection, schema, `t${i}`);
        expect(
          declared?.primaryKey.map((index) => declared.columns[index]?.name),
          definition,
        ).toEqual(key);
        expect((await describeTable(source, schema, `t${i}`, values)).key, definition).toEqual(key);
        const fact = facts.find(({ name }) => name === `t${i}`);
        expect(fact?.primaryKey.toSorted(), definition).toEqual(key.toSorted());
      }
    } finally {
      connection.destroy();
      source.destroy();
    }
  });

  test('an insert of defaults alone with MINIMAL row images is an event, though its row image has no bytes', async () => {
    const kept = history(`no_bytes_${flavor}`);
    await kept.run(
      ['CREATE TABLE ticks (n INT, m INT DEFAULT 3)'],
      "SET SESSION binlog_row_image = 'MINIMAL'",
      'INSERT INTO ticks VALUES ()',
      'INSERT INTO ticks VALUES ()',
      'INSERT INTO ticks (n) VALUES (1)',
    );
    const debezium = (await kept.lines('format: debezium')).map(({ event }) => event);
    // MariaDB logs every column of a table without a key.
    const [none, one] =
      flavor === 'mysql'
        ? [{}, { n: 1 }]
        : [
            { n: null, m: 3 },
            { n: 1, m: 3 },
          ];
    expect(debezium.map(({ op, after }) => ({ op, after }))).toEqual([
      { op: 'c', after: none },
      { op: 'c', after: none },
      { op: 'c', after: one },
    ]);
    expect(debezium[0]?.partial).toBe(flavor === 'mysql' ? true : undefined);
    expect(new Set(debezium.map(({ seq }) => seq)).size).toBe(3);
    for (const format of ['flat', 'maxwell']) expect(await kept.lines(`format: ${format}`)).toHaveLength(3);
  });

  test('such an insert into a table with a key stops the stream, because the binlog lacks the value of the key', async () => {
    const kept = history(`no_key_value_${flavor}`);
    await kept.run(
      ['CREATE TABLE settings (id INT PRIMARY KEY DEFAULT 7, v INT)'],
      "SET SESSION binlog_row_image = 'MINIMAL'",
      'INSERT INTO settings VALUES ()',
    );
    await expect(kept.lines('')).rejects.toMatchObject({
      message: expect.stringContaining('lacks a column of its key'),
      hint: expect.stringContaining('binlog_row_image=FULL'),
    });
  });
});
