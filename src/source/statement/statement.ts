/** A table that a statement names, with the default schema where it names none. */
export interface TableName {
  schema: string;
  table: string;
}

/**
 * What a statement does to a table without row events:
 * - `emptied`: it has no rows any more (TRUNCATE TABLE, DROP TABLE)
 * - `created`: it begins here without a row, so that row events tell every row of it
 * - `rewritten`: its rows can be others than before, in a way that the binlog does not tell
 * - `columns`: its columns can be others than before
 * - `unique-key`: a unique key can be added or dropped, which can be its row key
 */
export type TableEffect = 'emptied' | 'created' | 'rewritten' | 'columns' | 'unique-key';

export interface TableChange {
  effect: TableEffect;
  schema: string;
  /** Undefined for every table of the schema. */
  table: string | undefined;
}

/** DML that is logged as a statement. */
export interface StatementDml {
  kind: 'dml';
  label: string;
  /** What it does besides writing rows: CREATE TABLE … SELECT makes the table. */
  changes: readonly TableChange[];
  /** The tables that it names as the ones to write, or more; undefined if the text does not tell. */
  writes: readonly TableName[] | undefined;
  /** The temporary table that CREATE TEMPORARY TABLE … SELECT makes. */
  temporary?: TemporaryTableDdl;
  /** DELETE of one table without a condition: it empties the table. */
  deletesAll: boolean;
}

/** What a statement in the binlog does. `label` holds keywords only, never a value or a secret. */
export type Statement =
  | { kind: 'begin' | 'commit' | 'rollback' }
  | { kind: 'savepoint' | 'rollback-to'; name: string }
  | XaStatement
  | {
      kind: 'ddl';
      label: string;
      changes: readonly TableChange[];
      temporary?: TemporaryTableDdl;
      /** Triggers, functions, views or packages that are dropped. They are named like tables. */
      dropped?: readonly TableName[];
    }
  | StatementDml
  /** `mentions` are all the tables that its names can mean; undefined if it can concern anything. */
  | { kind: 'unknown'; label: string; mentions: readonly TableName[] | undefined };

/** Temporary tables that are made or dropped. Only sessions with binlog_format STATEMENT or MIXED log them. */
export interface TemporaryTableDdl {
  verb: 'CREATE' | 'DROP';
  names: readonly TableName[];
}

export type XaVerb = 'START' | 'END' | 'PREPARE' | 'COMMIT' | 'ROLLBACK';

export interface XaStatement {
  kind: 'xa';
  verb: XaVerb;
  /** Both parts of the xid in lower-case hex, and the format number. */
  gtrid: string;
  bqual: string;
  format: number;
  onePhase: boolean;
}

export type Ddl = Extract<Statement, { kind: 'ddl' }>;

export const ddl = (label: string, changes: readonly TableChange[]): Ddl => ({ kind: 'ddl', label, changes });

/** The changes of one table by these effects. */
export const changesOf = ({ schema, table }: TableName, ...effects: readonly TableEffect[]): TableChange[] =>
  effects.map((effect) => ({ effect, schema, table }));
