import type { Connection, RowDataPacket } from 'mysql2/promise';
import { resolveTables } from '../../backfill/request/resolve-tables.ts';
import type { Config } from '../../config/schema.ts';
import { compileColumnRules } from '../../model/column-rules.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import { compileFallbackKeys, withRowKey } from '../../source/event-table.ts';
import { type DeclaredColumn, readDeclaredColumns } from '../../source/schema/declared-columns.ts';
import { readDeclaredTable } from '../../source/schema/declared-table.ts';
import { columnFill, implicitValue } from './column-fill.ts';
import { columnKind } from './column-kind.ts';
import type { LandedColumn, LandedTable } from './landed-table.ts';

/** The tables of a request as their events land, and those that cannot be a table of a warehouse. */
export interface LandedTables {
  tables: LandedTable[];
  /** Tables that are left out, each with the reason and what to do. */
  leftOut: { name: string; why: string; hint: string }[];
  /** How the source compares names. */
  caseSensitive: boolean;
}

/**
 * Reads the tables from the live schema of the source.
 * @param wanted names or patterns; every captured table if there is none
 * @throws CdcError with exit code 2 if a name matches no table, or the account cannot read it
 */
export async function readLandedTables(
  connection: Connection,
  config: Config,
  wanted: readonly string[],
): Promise<LandedTables> {
  const found = await resolveTables(connection, config, { tables: [...wanted] });
  const [[lowerCase = 0] = []] = await connection.query<RowDataPacket[][]>({
    sql: 'SELECT @@global.lower_case_table_names',
    rowsAsArray: true,
  });
  const caseSensitive = Number(lowerCase) === 0;
  const describe = tableDescriber(connection, config, caseSensitive);
  const tables: LandedTable[] = [];
  const leftOut: LandedTables['leftOut'] = [];
  for (const { schema, table } of found) {
    const described = await describe(schema, table);
    if ('columns' in described) tables.push(described);
    else leftOut.push({ name: formatTableName(schema, table), ...described });
  }
  return { tables, leftOut, caseSensitive };
}

type Problem = { why: string; hint: string };

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROLS = /[\x00-\x1f]/;

function tableDescriber(connection: Connection, config: Config, caseSensitive: boolean) {
  const fallbackKeys = compileFallbackKeys(config, caseSensitive);
  const ruleOf = compileColumnRules(config.columns, { caseSensitive });
  const { values } = config;
  return async (schema: string, table: string): Promise<LandedTable | Problem> => {
    if (CONTROLS.test(schema + table)) {
      return { why: 'its name has a control character', hint: 'rename the table, or exclude it' };
    }
    const declared = await readDeclaredTable(connection, schema, table);
    if (declared === undefined) return { why: 'it does not exist any more', hint: 'run the command again' };
    const { key } = withRowKey(declared, declared.columns, declared.primaryKey, fallbackKeys);
    if (key.length === 0) {
      return {
        why: 'it has no primary key and no unique key of NOT NULL columns, so its events are of no row',
        hint: 'add a primary key, or name columns that identify a row under keys in the configuration',
      };
    }
    const columns: LandedColumn[] = [];
    const indexOf = new Map<string, number>();
    for (const column of await readDeclaredColumns(connection, declared)) {
      const rule = ruleOf(schema, table, column.name);
      if (rule?.kind === 'drop') continue;
      const kind = columnKind(column, rule, values);
      if (kind === undefined) {
        return {
          why: `the type ${column.columnType} of its column ${column.name} is not known`,
          hint: `drop the column by a column rule, or exclude the table`,
        };
      }
      indexOf.set(column.name, columns.length);
      columns.push(landedColumn(column, rule?.kind, kind, values));
    }
    const keyIndexes = key.map((index) => indexOf.get(declared.columns[index]?.name ?? ''));
    if (keyIndexes.includes(undefined)) {
      return { why: 'a column rule drops a column of its key', hint: 'hash or mask the column instead' };
    }
    return { schema, table, comment: await commentOf(connection, schema, table), columns, key: keyIndexes as number[] };
  };
}

function landedColumn(
  column: DeclaredColumn,
  rule: 'hash' | 'mask' | undefined,
  kind: LandedColumn['kind'],
  values: Config['values'],
): LandedColumn {
  const zero = column.isNullable ? undefined : implicitValue(rule ? RULED : column, kind, values);
  return {
    name: column.name,
    kind,
    sourceType:
      rule === undefined ? column.columnType : `${column.columnType}, ${rule === 'hash' ? 'hashed' : 'masked'}`,
    isNullable: zero === undefined,
    comment: column.comment,
    // What a rule makes of a default is not known here.
    fill: rule === undefined ? columnFill(column, kind, values) : zero,
    zero,
  };
}

const RULED = { dataType: 'varchar', columnType: 'varchar' };

async function commentOf(connection: Connection, schema: string, table: string): Promise<string> {
  const [[row = []] = []] = await connection.query<RowDataPacket[][]>({
    sql: `SELECT CONVERT(TABLE_COMMENT USING utf8mb4) FROM information_schema.TABLES
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    values: [schema, table],
    rowsAsArray: true,
  });
  return String(row[0] ?? '');
}

/** @throws CdcError with exit code 2 that names every table of the request that cannot be a table of a warehouse */
export function assertNoneLeftOut({ leftOut }: LandedTables): void {
  const [first] = leftOut;
  if (first === undefined) return;
  const more = leftOut.slice(1).map(({ name, why }) => `${name}: ${why}`);
  throw new CdcError(`${first.name} cannot be a table of a warehouse`, {
    exitCode: 2,
    why: [first.why, ...more].join('; '),
    hint: first.hint,
  });
}
