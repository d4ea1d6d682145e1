import type { Connection } from 'mysql2/promise';
import { ByteWriter } from '../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../src/codec/event-writer.ts';
import type { EventFormatOptions } from '../../src/codec/formats/event-format.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { sourceConnection } from '../../src/config/source-connection.ts';
import { compileColumnRules } from '../../src/model/column-rules.ts';
import type { EncodedEvent } from '../../src/model/encoded-event.ts';
import { quoteIdentifier } from '../../src/model/identifier.ts';
import { ColumnType, type Table } from '../../src/model/table.ts';
import { type DeclaredTable, readDeclaredTable, SNAPSHOT_SESSION } from '../../src/source/schema/declared-table.ts';
import { TableSchemaCache } from '../../src/source/schema/table-schema-cache.ts';
import { readServerInfo, type ServerInfo } from '../../src/source/server/server-info.ts';
import { keyOf, lineOf } from '../encoded-event.ts';
import { connect, follow, inSchema, type OracleTable, run, VALUE_SETS } from './oracle.ts';
import { selectRowPackets } from './row-packets.ts';

/** Rules for some of the columns of the oracle's tables: `v`, or `c` with a number. A key can be hashed. */
const RULES: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { id: { hash: 'sha256', secret: 's' }, v: { hash: 'sha256', secret: 's' }, 'c*1': { mask: 4 }, 'c*2': 'drop' },
  { v: { mask: 3 }, 'c*3': { hash: 'sha256', secret: 's' }, 'c*4': { mask: 0 }, 'c*5': 'drop' },
];

/** Every format with every set of options, each format with every set of rules. */
const VARIANTS = (['debezium', 'flat', 'maxwell'] as const).flatMap((format, f) =>
  VALUE_SETS.map((values, v) => ({
    format,
    // Format maxwell has conventions of its own for times.
    values: format === 'maxwell' ? { ...values, temporal: 'mysql' as const } : values,
    rules: RULES[(f + v) % RULES.length] as Readonly<Record<string, unknown>>,
  })),
);

/** What an event says of its row: image and key as text, and the hash of the key. */
interface RowText {
  text: string;
  key: string;
  keyHash: number;
}

interface Snapshot {
  declared: DeclaredTable;
  packets: Buffer[];
}

export interface SnapshotComparison {
  /** The number of compared rows. */
  rows: number;
  differences: string[];
}

const MAX_DIFFERENCES = 40;
/** The session of a SELECT, and statements of a test that damage it. */
interface SnapshotOptions {
  session?: string;
}

/**
 * Fills the tables and reads their rows by a prepared SELECT, as row packets. Then deletes them, and compares the `r`
 * event of each packet with the event of the DELETE, which has the row as the binlog has it: column by column and key,
 * in every format, with all options and with column rules.
 */
export async function compareSnapshot(
  url: string,
  tables: readonly OracleTable[],
  { session = SNAPSHOT_SESSION }: SnapshotOptions = {},
): Promise<SnapshotComparison> {
  return inSchema(url, async (connection, schema) => {
    for (const { create } of tables) await run(connection, create);
    await connection.query('CREATE TABLE done (id INT PRIMARY KEY)');
    for (const { mode = 'STRICT_ALL_TABLES', fill } of tables) {
      await connection.query('SET sql_mode = ?', [mode]);
      await run(connection, fill);
    }
    const snapshots = await readSnapshots(url, schema, tables, session);
    const server = await readServerInfo(sourceConnection(configOf(url, schema, VARIANTS[0]!).source));
    for (const { name } of tables) await connection.query(`DELETE FROM ${quoteIdentifier(name)}`);
    await connection.query('INSERT INTO done VALUES (1)');

    const comparison: SnapshotComparison = { rows: 0, differences: [] };
    const tableSchemas = new TableSchemaCache([]);
    for (const variant of VARIANTS) {
      const config = configOf(url, schema, variant);
      const { rows, versions } = await followDeletes(config, server, tableSchemas);
      for (const [name, snapshot] of snapshots) {
        const written = writeSnapshot(snapshot, config, server);
        compareRows(`${name} ${JSON.stringify(variant)}`, written, rows.get(name) ?? [], comparison);
        const differs = compareColumns(snapshot.declared, versions.get(name));
        if (differs !== undefined) comparison.differences.push(`${name}: ${differs}`);
      }
    }
    return comparison;
  });
}

async function readSnapshots(
  url: string,
  schema: string,
  tables: readonly OracleTable[],
  session: string,
): Promise<Map<string, Snapshot>> {
  const connection = await connect(url);
  try {
    await connection.query(session);
    const snapshots = new Map<string, Snapshot>();
    for (const { name } of tables) snapshots.set(name, await readSnapshot(connection, schema, name));
    return snapshots;
  } finally {
    connection.destroy();
  }
}

/** Reads the rows of a table as packets of a prepared SELECT. */
export async function readSnapshot(connection: Connection, schema: string, name: string): Promise<Snapshot> {
  const declared = await readDeclaredTable(connection, schema, name);
  if (declared === undefined) throw new Error(`${name} is not declared`);
  const sql = `SELECT ${declared.select.join(', ')} FROM ${declared.from}`;
  return { declared, packets: await selectRowPackets(connection, sql) };
}

type Variant = (typeof VARIANTS)[number];

function configOf(url: string, schema: string, { format, values, rules }: Variant): Config {
  const columns = Object.fromEntries(Object.entries(rules).map(([column, rule]) => [`${schema}.*.${column}`, rule]));
  const fixed = { source: { url }, tables: [`${schema}.*`], firehose: { stream: 'none' } };
  return configSchema.parse({ ...fixed, format, values, columns }) as Config;
}

/** The events of the DELETE statements, and the tables as the stream has them. */
async function followDeletes(
  config: Config,
  server: ServerInfo,
  tableSchemas: TableSchemaCache,
): Promise<{ rows: Map<string, RowText[]>; versions: Map<string, Table> }> {
  const rows = new Map<string, RowText[]>();
  const versions = new Map<string, Table>();
  await follow(
    config,
    server,
    tableSchemas,
    (line, event) => {
      const table = TABLE_NAMES[config.format](line);
      if (table === 'done') return true;
      const known = rows.get(table);
      if (known === undefined) rows.set(table, [rowText(config.format, line, event)]);
      else known.push(rowText(config.format, line, event));
      return false;
    },
    (table) => versions.set(table.name, table),
  );
  return { rows, versions };
}

function writeSnapshot({ declared, packets }: Snapshot, config: Config, server: ServerInfo): RowText[] {
  const { schema, name, columns, primaryKey } = declared;
  const options: EventFormatOptions = {
    format: config.format,
    name: config.name,
    epoch: 1,
    flatPrefix: config.flat_prefix,
    values: config.values,
    charsets: server.charsets,
    columnRule: compileColumnRules(config.columns, server),
  };
  const writer = new EventWriter({ schema, name, columns, key: primaryKey }, options, new ByteWriter(), 'row-packet');
  const rows: RowText[] = [];
  writer.beginSnapshot({ file: 'binlog.000001', fileNumber: 1, position: 1000, readAt: 0 }, 0);
  for (const [i, packet] of packets.entries()) {
    writer.writeSnapshotRow(packet, 0, packet.length, i, (event) => {
      if (event.isPartial) throw new Error('a row of a SELECT is not partial');
      rows.push(rowText(config.format, lineOf(event), event));
    });
  }
  writer.endSnapshot();
  return rows;
}

/** The part of a line that says what the row is. */
function rowText(format: Config['format'], line: string, event: EncodedEvent): RowText {
  return { text: ROW_TEXTS[format](line), key: keyOf(event), keyHash: event.keyHash };
}

/** The JSON string that follows a place in a line. */
const stringAt = (line: string, at: number): string =>
  JSON.parse(/"(?:[^"\\]|\\.)*"/y.exec(line.slice(at))?.[0] ?? 'null');
const after = (line: string, text: string, at: number): string => stringAt(line, at + text.length);

const TABLE_NAMES: Readonly<Record<Config['format'], (line: string) => string>> = {
  debezium: (line) => after(line, '"table":', line.indexOf('"table":', line.lastIndexOf('"source":{"connector"'))),
  flat: (line) => after(line, '"_table":', line.lastIndexOf('"_table":')),
  maxwell: (line) => after(line, '"table":', line.indexOf('"table":')),
};

const ROW_TEXTS: Readonly<Record<Config['format'], (line: string) => string>> = {
  debezium(line) {
    const text = line.slice(0, line.lastIndexOf(',"seq":"'));
    const [insert, remove] = ['{"op":"r","before":null,"after":', '{"op":"d","before":'];
    if (text.startsWith(insert)) return text.slice(insert.length);
    if (!text.startsWith(remove)) throw new Error(`not a row: ${line.slice(0, 100)}`);
    const key = text.lastIndexOf(',"after":null,"key":');
    return text.slice(remove.length, key) + text.slice(key + ',"after":null'.length);
  },
  flat: (line) => line.slice(0, line.lastIndexOf('"_op":"')),
  maxwell(line) {
    const data = line.slice(line.indexOf(',"data":{'));
    return data.replace(/(,"xoffset":\d+|,"commit":true)?\}\n$/, '');
  },
};

function compareRows(
  place: string,
  selected: readonly RowText[],
  logged: readonly RowText[],
  comparison: SnapshotComparison,
): void {
  const { differences } = comparison;
  if (selected.length !== logged.length || selected.length === 0)
    differences.push(`${place}: ${selected.length} rows selected, ${logged.length} logged`);
  const byKey = new Map(logged.map((row) => [row.key, row]));
  for (const row of selected) {
    comparison.rows++;
    const other = byKey.get(row.key);
    if (other?.text === row.text && other.keyHash === row.keyHash) continue;
    if (differences.length === MAX_DIFFERENCES) return;
    const at = [...row.text].findIndex((char, i) => char !== other?.text[i]);
    const shown = (text = 'no such row'): string => JSON.stringify(text.slice(Math.max(0, at - 40), at + 80));
    differences.push(`${place} ${row.key}\n  SELECT ${shown(row.text)}\n  binlog ${shown(other?.text)}`);
  }
}

/** Types for which some table maps have a collation, which means nothing. */
const NO_TEXT: ReadonlySet<number> = new Set([ColumnType.GEOMETRY, ColumnType.VECTOR]);

/** How the declared table differs from the table of the stream; undefined if it does not. */
function compareColumns(declared: DeclaredTable, streamed: Table | undefined): string | undefined {
  const texts = [declared.columns, (streamed?.columns ?? []).filter(({ name }) => name !== '')].map((columns) =>
    columns.map(({ name, type, nullable, unsigned, collation, labels }) =>
      JSON.stringify([name, nullable, unsigned, NO_TEXT.has(type) ? 0 : collation, labels]),
    ),
  );
  const [ours = [], theirs = []] = texts;
  const differing = ours.findIndex((column, i) => column !== theirs[i]);
  if (differing >= 0 || ours.length !== theirs.length)
    return `declared as ${ours[differing]}, streamed as ${theirs[differing]}`;
  const keys = [declared.primaryKey, streamed?.key].map((key) => JSON.stringify(key));
  return keys[0] === keys[1] ? undefined : `key ${keys[0]}, in the stream ${keys[1]}`;
}
