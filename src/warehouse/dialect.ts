import type { ValueOptions } from '../config/schema.ts';
import type { ColumnKind, LandedTable } from './tables/landed-table.ts';

export type DialectName = 'redshift' | 'athena' | 'snowflake' | 'bigquery' | 'spark' | 'postgres' | 'duckdb';

/** What Firehose delivers, and where. */
export interface Delivered {
  /** The name of the pipeline. */
  pipeline: string;
  format: 'debezium' | 'flat';
  flatPrefix: string;
  /** The lake of the configuration: an absolute folder or `s3://bucket/prefix`. */
  lake: string;
  tables: readonly LandedTable[];
}

/** What an engine reads the events from. */
export interface LandingSource {
  /**
   * `queue`: a table that Firehose fills, whose rows are removed once they are merged. `files`: the objects of the
   * lake, which stay.
   */
  kind: 'queue' | 'files';
  /** Its definition. */
  define(delivered: Delivered): string[];
  /**
   * A query of the events, with the columns that `MergeSource` describes, and for files also `day`, as `2026/11/27`:
   * when Firehose wrote the object; empty if its name does not tell.
   */
  events(delivered: Delivered): string;
  /** For a queue: removes what the batch has. */
  remove(delivered: Delivered, batch: string): string[];
}

/** A member of a row whose text is wanted. */
export interface WantedMember {
  name: string;
  /** Whether the value is a document, and its JSON is wanted. Otherwise it is a scalar, and a string has no quotes. */
  isDocument: boolean;
}

/** How a query takes members out of the JSON of a row. The names `v` and `p` are free for it. */
export interface MemberSource {
  /** Items of the SELECT list. */
  select: readonly string[];
  /** What follows the FROM item that has the row. */
  from: string;
  /** The text of a member, by its index, in a query around that SELECT; NULL if the member is missing or null. */
  text(index: number): string;
  /** Whether the row has the member, even as null, likewise. */
  isPresent(index: number): string;
}

/**
 * What differs between the SQL of two engines. Everything that is given and returned is SQL text, unless it is said to
 * be a name.
 */
export interface Dialect {
  readonly name: DialectName;
  /** For humans. */
  readonly title: string;
  /** The type of texts such as `seq`. */
  readonly textType: string;
  readonly booleanType: string;
  /** Follows the columns of a table in its CREATE. @param path names of schema and table */
  tableSuffix(path: readonly string[], delivered: Delivered): string;
  /** Whether a key is declared, and how. */
  readonly primaryKey: 'enforced' | 'informational' | 'not enforced' | 'none';
  /** Whether a column can be declared NOT NULL. */
  readonly hasNotNull: boolean;
  /** Where comments go: in statements of their own, or behind the definition of a column and of a table. */
  readonly comments: 'statements' | { column(literal: string): string; table(literal: string): string };
  /** Whether the source of a MERGE must be a table, its target has no alias, and it needs both WHEN clauses. */
  readonly mergesTablesOnly: boolean;
  /** Kinds of which two values are equal exactly if their texts in the events are. */
  readonly keyKinds: ReadonlySet<ColumnKind['kind']>;
  /** What somebody who runs the script must know. */
  readonly notes?: readonly string[];
  /** What a session needs before the other statements. */
  readonly session?: readonly string[];
  /** What the other statements call, in the schema of cdc, which is there. */
  readonly helpers?: readonly string[];
  /** Begins a transaction. */
  readonly begin: string;
  readonly now: string;
  readonly hasTemporaryViews: boolean;
  /** Keeps what a view has now for the rest of a merge, and lets it go. */
  readonly cache?: { keep(view: string): string; release(view: string): string };
  readonly timestampType: string;
  /** The day of a time, some days before it, as `2026/11/27` in UTC. */
  dayText(time: string, daysBefore: number): string;
  readonly landing: LandingSource;
  /** Quotes a name. */
  quote(name: string): string;
  /** The same in definitions, which some engines read in another way. */
  quoteInDefinition(name: string): string;
  literal(text: string): string;
  /** Makes a name one that the engine can have. */
  legalName(name: string): string;
  /** The type of a column. `note` says what it cannot hold as the source does. */
  columnType(kind: ColumnKind): { type: string; note?: string };
  /** The value of a column from the text of its member. What the type cannot hold becomes NULL. */
  value(text: string, kind: ColumnKind, values: ValueOptions): string;
  /** The length of a text as text. */
  lengthText(text: string): string;
  /**
   * Adds a column to a table that has rows, which get a value.
   * @param value undefined for NULL
   */
  addColumn(table: string, column: string, type: string, value: string | undefined): string[];
  /** Makes a column nullable. Its rows have values then. @param type which it has */
  dropNotNull(table: string, column: string, type: string): string[];
  /** Gives a column another type of numbers. A value that the type cannot hold becomes NULL. */
  alterType(table: string, column: string, type: string): string[];
  /** Whether one transaction changes a table several times. */
  readonly altersInTransaction: boolean;
  /** @param format of the events: some engines keep the whole line as `row` */
  members(row: string, wanted: readonly WantedMember[], format: Delivered['format']): MemberSource;
  /** Continues a FROM clause with a row for each member of `row`: its name, and its text as that of a scalar. */
  eachMember(row: string, format: Delivered['format']): { from: string; name: string; text: string };
}
