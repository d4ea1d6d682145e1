import { type Query, quoteTable } from './query.ts';

/** A captured table, as INFORMATION_SCHEMA shows it to this account. */
export interface TableFacts {
  schema: string;
  name: string;
  columns: string[];
  /** Its columns in key order; empty for none. */
  primaryKey: string[];
  /** Foreign keys by which the server changes this table on its own, `ON DELETE CASCADE` and its like. */
  cascades: string[];
}

interface VisibleTables {
  /** Every table that this account can see, `[schema, table]`. */
  names: (readonly [string, string])[];
  describe(captured: (schema: string, table: string) => boolean): Promise<TableFacts[]>;
}

const CHANGING_RULES = ['CASCADE', 'SET NULL', 'SET DEFAULT'];

/** `constraintsShown`: whether REFERENTIAL_CONSTRAINTS shows rows to an account that may only SELECT. */
export async function gatherTables(ask: Query, constraintsShown: boolean): Promise<VisibleTables> {
  const rows = await ask(
    `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
     WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema')
     ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  const names = rows.map(([schema, name]) => [String(schema), String(name)] as const);
  return {
    names,
    async describe(captured) {
      const wanted = names.filter(([schema, name]) => captured(schema, name));
      const schemas = [...new Set(wanted.map(([schema]) => schema))];
      if (schemas.length === 0) return [];
      const tables = new Map<string, TableFacts>(
        wanted.map(([schema, name]) => [id(schema, name), { schema, name, columns: [], primaryKey: [], cascades: [] }]),
      );
      const each = async (sql: string, note: (table: TableFacts, ...rest: string[]) => unknown) => {
        for (const [schema, name, ...rest] of await ask(sql, [schemas])) {
          const table = tables.get(id(schema, name));
          if (table) note(table, ...rest.map(String));
        }
      };
      await each(
        'SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN (?) ORDER BY ORDINAL_POSITION',
        (table, column) => table.columns.push(column as string),
      );
      await each(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY' AND TABLE_SCHEMA IN (?) ORDER BY SEQ_IN_INDEX",
        (table, column) => table.primaryKey.push(column as string),
      );
      if (constraintsShown) {
        await each(
          'SELECT CONSTRAINT_SCHEMA, TABLE_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN (?)',
          (table, onDelete, onUpdate) => {
            if (CHANGING_RULES.includes(onDelete as string)) table.cascades.push(`ON DELETE ${onDelete}`);
            if (CHANGING_RULES.includes(onUpdate as string)) table.cascades.push(`ON UPDATE ${onUpdate}`);
          },
        );
      } else {
        for (const table of tables.values()) {
          const created = await ask(`SHOW CREATE TABLE ${quoteTable(table.schema, table.name)}`).catch(() => []);
          table.cascades.push(...cascadesIn(String(created[0]?.[1] ?? '')));
        }
      }
      return [...tables.values()];
    },
  };
}

/** The changing rules in what SHOW CREATE TABLE prints, where each foreign key has a line of its own. */
export function cascadesIn(createTable: string): string[] {
  return createTable
    .split('\n')
    .filter((line) => /^\s+CONSTRAINT `(?:[^`]|``)+` FOREIGN KEY /.test(line))
    .flatMap(
      (line) => line.slice(line.lastIndexOf(')')).match(/ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT)/g) ?? [],
    );
}

const id = (schema: unknown, name: unknown): string => JSON.stringify([schema, name]);
