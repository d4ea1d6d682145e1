import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createConnection } from 'mysql2/promise';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { parseRawObject } from '../../src/runtime/raw-json.ts';
import { History } from '../integration/follow.ts';
import { compareKeys, type Schema, schemasTable } from './debezium-schemas.ts';
import { startJava } from './java.ts';

const SCHEMA = 'peers';

/** A type, a value, and the option of cdc whose text is nearest to Debezium's; none if the default is. */
const CASES: readonly [type: string, sql: string, option?: string][] = [
  ['TINYINT(1)', '1'],
  ['BOOLEAN', 'TRUE', 'boolean: [tinyint1]'],
  ['BIT(1)', "b'1'", 'boolean: [bit1]'],
  ['BIT(12)', "b'100000000001'"],
  ['INT UNSIGNED', '4294967295'],
  ['BIGINT', '-9007199254740993'],
  ['BIGINT UNSIGNED', '18446744073709551615'],
  ['DECIMAL(10,2)', '12.50', 'decimal: number'],
  ['FLOAT', '1.1'],
  ['DOUBLE', '0.1'],
  ['YEAR', '2026'],
  ['DATE', "'2026-01-02'", 'temporal: epoch_micros'],
  ['DATETIME', "'2026-01-02 03:04:05'", 'temporal: epoch_micros'],
  ['DATETIME(6)', "'2026-01-02 03:04:05.123456'", 'temporal: epoch_micros'],
  ['TIMESTAMP(6) NULL', "'2026-01-02 03:04:05.123456'"],
  ['TIME(6)', "'-838:59:59'", 'temporal: epoch_micros'],
  ['DATE', "'0000-00-00'", 'zero_dates: "null"'],
  ['DATE NOT NULL', "'0000-00-00'"],
  ['DATE', "'2026-00-02'", 'zero_dates: "null"'],
  ['CHAR(5) CHARACTER SET latin1', "'ä'"],
  ['TEXT', "'ä€'"],
  ['BINARY(4)', "x'ff00'"],
  ['BLOB', "x'ff00'"],
  ["ENUM('a','b')", "'b'"],
  ["SET('x','y')", "'y,x'"],
  ['JSON', '\'{"b": 1.0, "a": [1, null]}\''],
  ['POINT', "ST_GeomFromText('POINT(1 2)')"],
  ['VECTOR(2)', "STRING_TO_VECTOR('[1.1, -2]')"],
];

/** Members of the envelope that only one of the two has: Debezium's and ours in `source`, then beside it. */
const MEMBERS = [
  ['version', 'sequence', 'ts_us', 'ts_ns', 'thread', 'query'],
  [],
  ['transaction', 'ts_us', 'ts_ns'],
  ['key', 'seq'],
];

export interface Theirs {
  /** The whole line, digit for digit. */
  line: string;
  topic: string;
  key: { payload: object } | null;
  value: {
    schema: Schema & { fields: (Schema & { fields: Schema[] })[] };
    payload: {
      op: string;
      before: object | null;
      after: Record<string, unknown> | null;
      source: Record<string, unknown>;
    };
  } | null;
}

/**
 * Runs Debezium and cdc over one binlog. Returns the table of docs/DEBEZIUM.md, and that of docs/KAFKA-MESSAGES.md.
 * @throws Error where an event, a topic or a key differs
 */
export async function compareWithDebezium(server: LocalServer): Promise<{ values: string; schemas: string }> {
  const admin = await createConnection({ uri: server.url });
  await admin.query(`CREATE DATABASE ${SCHEMA}`);
  await admin.query(`CREATE TABLE ${SCHEMA}.ready (id INT AUTO_INCREMENT PRIMARY KEY)`);
  const debezium = startJava('debezium/DebeziumEvents.java', String(server.port), SCHEMA);
  let log = '';
  debezium.stderr.on('data', (data) => (log += data));
  const theirs: Theirs[] = [];
  createInterface(debezium.stdout).on('line', (line) => theirs.push({ line, ...JSON.parse(line) }));
  const until = async (condition: () => boolean, meanwhile?: () => Promise<unknown>): Promise<void> => {
    while (!condition()) {
      if (debezium.exitCode !== null) throw new Error(`Debezium has ended\n${log}`);
      await meanwhile?.();
      await new Promise((done) => setTimeout(done, 500));
    }
  };
  const has = (table: string) => (): boolean =>
    theirs.some(({ value }) => value?.payload.op !== undefined && value.payload.source.table === table);
  await until(has('ready'), () => admin.query(`INSERT INTO ${SCHEMA}.ready () VALUES ()`));
  admin.destroy();

  const history = new History(server.url, SCHEMA);
  const columns = CASES.map(([type], i) => `c${i} ${type}`).join(', ');
  await history.run(
    [`CREATE TABLE types (id INT PRIMARY KEY, ${columns})`, 'CREATE TABLE keyed (id INT PRIMARY KEY, n INT)'],
    "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
    `INSERT INTO types VALUES (1, ${CASES.map(([, sql]) => sql).join(', ')})`,
    'INSERT INTO keyed VALUES (1, 1), (2, 2), (3, 3)',
    'UPDATE keyed SET n = n + 1',
    'UPDATE keyed SET id = 9 WHERE id = 1',
    'DELETE FROM keyed WHERE id > 2',
    'TRUNCATE TABLE keyed',
  );
  await until(has('marker'));
  debezium.stdin.end();
  await once(debezium, 'close');
  await compareEnvelopes(theirs, history);
  const lines = await history.lines('truncate: skip');
  compareKeys(theirs, lines);
  const types = CASES.map(([type]) => shownType(type));
  return { values: await valuesTable(theirs, history), schemas: schemasTable(theirs, lines, types) };
}

const shownType = (type: string): string => type.replace(/(?<!NOT) NULL$| CHARACTER.*/, '');

/** Everything around the values: order, op, key, position. Debezium leaves out TRUNCATE, and has tombstones. */
async function compareEnvelopes(theirs: readonly Theirs[], history: History): Promise<void> {
  const shown = (key: object | null, op: string, source: Record<string, unknown>) => {
    const { file, pos, row, gtid, ts_ms, server_id, snapshot } = source;
    return JSON.stringify({ key, op, file, pos, row, gtid, ts_ms, server_id, snapshot });
  };
  const expected = theirs
    .filter(({ value }) => value?.payload.op !== undefined && value.payload.source.table === 'keyed')
    .map(({ key, value }) => shown(key?.payload ?? null, value?.payload.op ?? '', value?.payload.source ?? {}));
  const ours = (await history.lines('truncate: skip'))
    .map(({ event }) => event as { key: object | null; op: string; source: Record<string, unknown> })
    .filter(({ source }) => source.table === 'keyed')
    .map(({ key, op, source }) => shown(key, op, source));
  for (const [i, line] of expected.entries()) {
    if (line !== ours[i]) throw new Error(`event ${i} differs\n  Debezium ${line}\n  cdc      ${ours[i]}`);
  }
  if (!theirs.some(({ value }) => value === null)) throw new Error('Debezium has no tombstone');
  const [first] = theirs.flatMap(({ value }) => (value?.payload.op === undefined ? [] : [value.payload]));
  const event = (await history.lines(''))[0]?.event as { source: object };
  const only = (a: object = {}, b: object = {}) => Object.keys(a).filter((name) => !(name in b));
  const members = [
    only(first?.source, event.source),
    only(event.source, first?.source),
    only(first, event),
    only(event, first),
  ];
  if (JSON.stringify(members) !== JSON.stringify(MEMBERS)) throw new Error(`other members: ${JSON.stringify(members)}`);
  if (ours.length !== expected.length) throw new Error(`cdc has ${ours.length} events, Debezium ${expected.length}`);
}

async function valuesTable(theirs: readonly Theirs[], history: History): Promise<string> {
  const event = theirs.find(({ value }) => value?.payload.op !== undefined && value.payload.source.table === 'types');
  const payload = ['value', 'payload', 'after'].reduce(
    (text, name) => parseRawObject(text).get(name) ?? '',
    event?.line ?? '',
  );
  const after = parseRawObject(payload);
  const fields = event?.value?.schema.fields.find(({ field }) => field === 'after')?.fields ?? [];
  const rows: string[] = [];
  for (const [i, [type, sql, option]] of CASES.entries()) {
    const name = `c${i}`;
    const field = fields.find((each) => each.field === name);
    const written = async (yaml: string): Promise<string> => {
      const line = (await history.lines(yaml)).find(
        ({ event }) => (event.source as { table: string }).table === 'types',
      );
      return parseRawObject(parseRawObject(line?.text ?? '').get('after') ?? '').get(name) ?? '';
    };
    const semantic = field?.name?.replace(/^.*\./, '');
    const cells = [
      `${type.replace(/(?<!NOT) NULL$| CHARACTER.*/, '')} \`${sql.replaceAll("\\'", "'")}\``,
      `\`${after.get(name)}\``,
      [field?.type, semantic].filter(Boolean).join(', '),
      `\`${await written('')}\``,
      option === undefined ? '' : `\`${option.replaceAll('"', '')}\`: \`${await written(`values: { ${option} }`)}\``,
    ];
    rows.push(`| ${cells.join(' | ')} |`);
  }
  return ['| value | Debezium | as | cdc | nearest option |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}
