import { hasUncertainLabels } from '../model/enum-labels.ts';
import { quoteIdentifier } from '../model/identifier.ts';
import { SHOW_GENERATED_KEY } from '../model/row-key.ts';
import type { Query } from '../source/server/query.ts';

/** A captured table as INFORMATION_SCHEMA shows it to this account. */
export interface TableFacts {
  schema: string;
  name: string;
  columns: string[];
  /** The columns of the key that the server takes for the primary key; empty if there is none. */
  primaryKey: string[];
  /** ENUM and SET columns whose labels INFORMATION_SCHEMA possibly does not show as they are. */
  uncertainLabels: { column: string; charset: string }[];
  /** Foreign key rules by which the server changes rows of this table, such as `ON DELETE CASCADE`. */
  cascades: string[];
}

interface VisibleTables {
  /** Every table that this account can see, as `[schema, table]`. */
  names: (readonly [string, string])[];
  describe(captured: (schema: string, table: string) => boolean): Promise<TableFacts[]>;
}

const CASCADING_RULES = ['CASCADE', 'SET NULL', 'SET DEFAULT'];

/** @param showsConstraints whether REFERENTIAL_CONSTRAINTS has rows for an account with nothing but SELECT */
export async function gatherTables(query: Query, showsConstraints: boolean): Promise<VisibleTables> {
  // Other servers do not know the variable, and do not hide the key.
  await query(SHOW_GENERATED_KEY).catch(() => {});
  const rows = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
     WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')
     ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  const names = rows.map(([schema, name]) => [String(schema), String(name)] as const);
  return {
    names,
    async describe(captured) {
      const capturedNames = names.filter(([schema, name]) => captured(schema, name));
      const schemas = [...new Set(capturedNames.map(([schema]) => schema))];
      if (schemas.length === 0) return [];
      const tables = new Map<string, TableFacts>(
        capturedNames.map(([schema, name]) => [
          id(schema, name),
          { schema, name, columns: [], primaryKey: [], uncertainLabels: [], cascades: [] },
        ]),
      );
      const forEachRow = async (sql: string, record: (table: TableFacts, ...rest: string[]) => unknown) => {
        for (const [schema, name, ...rest] of await query(sql, [schemas])) {
          const table = tables.get(id(schema, name));
          if (table) record(table, ...rest.map(String));
        }
      };
      await forEachRow(
        `SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_KEY, COLUMN_TYPE,
           COALESCE(CHARACTER_SET_NAME, 'binary')
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN (?) ORDER BY ORDINAL_POSITION`,
        (table, column = '', key, type = '', charset = '') => {
          table.columns.push(column);
          if (key === 'PRI') table.primaryKey.push(column);
          if (hasUncertainLabels(type, charset)) table.uncertainLabels.push({ column, charset });
        },
      );
      if (showsConstraints) {
        await forEachRow(
          'SELECT CONSTRAINT_SCHEMA, TABLE_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN (?)',
          (table, onDelete, onUpdate) => {
            if (CASCADING_RULES.includes(onDelete as string)) table.cascades.push(`ON DELETE ${onDelete}`);
            if (CASCADING_RULES.includes(onUpdate as string)) table.cascades.push(`ON UPDATE ${onUpdate}`);
          },
        );
      } else {
        for (const table of tables.values()) {
          const created = await query(
            `SHOW CREATE TABLE ${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`,
          ).catch(() => []);
          table.cascades.push(...cascadesIn(String(created[0]?.[1] ?? '')));
        }
      }
      return [...tables.values()];
    },
  };
}

/** The cascading rules in the output of SHOW CREATE TABLE, which has one line for each foreign key. */
export function cascadesIn(createTable: string): string[] {
  return createTable
    .split('\n')
    .filter((line) => /^\s+CONSTRAINT `(?:[^`]|``)+` FOREIGN KEY /.test(line))
    .flatMap(
      (line) => line.slice(line.lastIndexOf(')')).match(/ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT)/g) ?? [],
    );
}

const id = (schema: unknown, name: unknown): string => JSON.stringify([schema, name]);
