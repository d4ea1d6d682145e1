import type { ValueOptions } from '../../config/schema.ts';
import type { Dialect, MemberSource, WantedMember } from '../dialect.ts';
import { STATE_SCHEMA, type TableNames, tableId } from '../names.ts';
import type { LandedColumn, LandedTable } from '../tables/landed-table.ts';
import { indented, type MergeWriter, mergeWriter, tableMergeWriter } from './merge-writer.ts';

/** Where the statements read the events from: a table or view with the columns that `Batch` has. */
export interface MergeSource {
  dialect: Dialect;
  format: 'debezium' | 'flat';
  values: ValueOptions;
  /**
   * A FROM item with the events to merge, of any tables, in any order, with repeats. Its columns: `schema_name`,
   * `table_name`, `op`, `seq`, `is_partial`, and `row_json`, which is the row, for a `d` at least its key.
   */
  batch: string;
  /** A column of it that finds an event again, if it is a table that has one: then only positions are sorted by key. */
  position?: string;
}

/** One step of the merge of a table. */
export interface MergeStep {
  /** The statements, without a semicolon. */
  sql: string[];
  /** What it does, for a comment. */
  purpose: string;
  /** Without such an event in the batch it has nothing to do; undefined if it is always needed. */
  onlyFor?: 'truncate' | 'partial';
}

/** How a row of the warehouse is found. */
interface Identity {
  /** Names in the target, quoted. */
  names: string[];
  /** The values from the texts of an event. */
  values: string[];
}

/**
 * The steps that merge the events of a batch into the state of one table. They are one transaction, or, where an engine
 * has none, each is repeatable: any of them can run again, over any events that were merged before.
 */
export function mergeSteps(table: LandedTable, names: TableNames, source: MergeSource): MergeStep[] {
  const merge = new TableMerge(table, names, source);
  return [
    merge.noteTruncate(),
    merge.removeTruncated(),
    merge.mergeRows(),
    merge.dropTruncatedCells(),
    merge.mergeCells(),
    merge.dropOldCells(),
    merge.applyCells(),
  ];
}

class TableMerge {
  readonly #table: LandedTable;
  readonly #names: TableNames;
  readonly #source: MergeSource;
  readonly #members: MemberSource;
  /** Only the columns of the key, by their place in it. */
  readonly #keyMembers: MemberSource;
  readonly #identity: Identity;
  readonly #writer: MergeWriter;
  readonly #state: string;
  readonly #cells: string;
  readonly #id: string;

  constructor(table: LandedTable, names: TableNames, source: MergeSource) {
    const { dialect } = source;
    this.#table = table;
    this.#names = names;
    this.#source = source;
    const wanted = wantedMembers(table);
    this.#members = dialect.members(source.position === undefined ? 'w.row_json' : 'b.row_json', wanted, source.format);
    const keyMembers = table.key.map((i) => wanted[i] as WantedMember);
    this.#keyMembers = dialect.members('b.row_json', keyMembers, source.format);
    this.#identity = identityOf(table, names, source, this.#keyMembers);
    this.#writer = dialect.mergesTablesOnly ? tableMergeWriter : mergeWriter;
    this.#state = `${dialect.quote(names.schema)}.${dialect.quote(names.state)}`;
    this.#cells = `${STATE_SCHEMA}.${dialect.quote(names.cells)}`;
    this.#id = dialect.literal(tableId(table));
  }

  /** The highest TRUNCATE is kept, because events before it can still arrive. */
  noteTruncate(): MergeStep {
    return {
      purpose: 'Remember the last TRUNCATE.',
      onlyFor: 'truncate',
      sql: this.#writer.update({
        target: TABLES,
        source: `SELECT max(b.seq) AS seq FROM ${this.#source.batch} b WHERE ${this.#ofTable()} AND b.op = 't'`,
        on: (t, s) => `${t}.table_id = ${this.#id} AND ${s}.seq > ${t}.emptied`,
        set: (_, s) => [['emptied', `${s}.seq`]],
      }),
    };
  }

  removeTruncated(): MergeStep {
    return {
      purpose: 'Remove the rows from before it.',
      onlyFor: 'truncate',
      sql: this.#writer.remove({
        target: this.#state,
        source: this.#emptied(),
        on: (t, s) => `${t}.${this.#q(this.#names.seq)} < ${s}.emptied`,
      }),
    };
  }

  /** A row is the last event of its key that has all of its columns. A deleted one stays, without its values. */
  mergeRows(): MergeStep {
    const { columns } = this.#table;
    const own = [this.#q(this.#names.seq), this.#q(this.#names.deleted)];
    const ownKey = hasOwnKey(this.#table, this.#source.dialect) ? [this.#q(this.#names.key)] : [];
    return {
      purpose: 'Take the last event of each key.',
      sql: this.#writer.upsert({
        target: this.#state,
        source: this.#winners(),
        on: (t, s) => this.#matches(t, s),
        isNewer: (t, s) => `${s}.seq > ${t}.${this.#q(this.#names.seq)}`,
        columns: [...columns.map((_, i) => this.#column(i)), ...own, ...ownKey],
        values: (s) => [
          ...columns.map((_, i) => `${s}.c${i}`),
          `${s}.seq`,
          `${s}.op = 'd'`,
          ...ownKey.map(() => `${s}.k0`),
        ],
      }),
    };
  }

  dropTruncatedCells(): MergeStep {
    return {
      purpose: 'Forget columns from before the TRUNCATE.',
      onlyFor: 'truncate',
      sql: this.#writer.remove({
        target: this.#cells,
        source: this.#emptied(),
        on: (t, s) => `${t}.seq < ${s}.emptied`,
      }),
    };
  }

  /** A partial event is the last word on its own columns only: each is a cell, and keeps its highest `seq`. */
  mergeCells(): MergeStep {
    const { dialect, format } = this.#source;
    const { from, name, text } = dialect.eachMember('b.row_json', format);
    const keys = this.#identity.values;
    const keyNames = keys.map((_, i) => `w.k${i}`);
    const names = this.#table.columns.map((column) => dialect.literal(column.name)).join(', ');
    const cells = `SELECT ${[...keys.map((value, i) => `${value} AS k${i}`), 'w.cell', 'w.seq', 'w.text'].join(', ')}
FROM (
  SELECT ${['b.seq', `${name} AS cell`, `${text} AS text`, ...this.#keyMembers.select].join(', ')}
  FROM ${[`${this.#source.batch} b`, this.#keyMembers.from, from].filter(Boolean).join(' ')}
  WHERE ${this.#ofTable()} AND ${IS_CELLS} AND ${this.#isAfterTruncate()} AND ${name} IN (${names})
) w`;
    return {
      purpose: 'Keep the columns of rows that came without the others.',
      onlyFor: 'partial',
      sql: this.#writer.upsert({
        target: this.#cells,
        source: `SELECT ${[...keyNames, 'w.cell', 'w.seq', 'w.text'].join(', ')}
FROM (
  SELECT w.*, row_number() OVER (PARTITION BY ${[...keyNames, 'w.cell'].join(', ')} ORDER BY w.seq DESC) AS age
  FROM (
${indented(cells, 4)}
  ) w
) w
WHERE w.age = 1 AND ${areKnown(keyNames)}`,
        on: (t, s) => `${keys.map((_, i) => `${t}.k${i} = ${s}.k${i}`).join(' AND ')} AND ${t}.cell = ${s}.cell`,
        isNewer: (t, s) => `${s}.seq > ${t}.seq`,
        columns: [...keys.map((_, i) => `k${i}`), 'cell', 'seq', 'text'],
        values: (s) => [...keys.map((_, i) => `${s}.k${i}`), `${s}.cell`, `${s}.seq`, `${s}.text`],
      }),
    };
  }

  dropOldCells(): MergeStep {
    const columns = [
      ...this.#identity.names.map((name, i) => `${name} AS k${i}`),
      `${this.#q(this.#names.seq)} AS seq`,
    ];
    const keys = this.#identity.names.map((_, i) => `k${i}`);
    return {
      purpose: 'Forget those that a whole row has overtaken.',
      onlyFor: 'partial',
      sql: this.#writer.remove({
        target: this.#cells,
        source: `SELECT ${columns.join(', ')} FROM ${this.#state}`,
        on: (t, s) => `${keys.map((key) => `${t}.${key} = ${s}.${key}`).join(' AND ')} AND ${t}.seq <= ${s}.seq`,
      }),
    };
  }

  applyCells(): MergeStep {
    const { dialect, values } = this.#source;
    const keys = this.#identity.names.map((_, i) => `k${i}`);
    const isKey = new Set(this.#table.key);
    const columns = this.#table.columns.map((column, i) => ({ column, i })).filter(({ i }) => !isKey.has(i));
    const pivots = columns.flatMap(({ column, i }) => {
      const is = `cell = ${dialect.literal(column.name)}`;
      return [`max(CASE WHEN ${is} THEN 1 END) AS h${i}`, `max(CASE WHEN ${is} THEN text END) AS x${i}`];
    });
    const deleted = this.#q(this.#names.deleted);
    return {
      purpose: 'Put the others into their rows.',
      onlyFor: 'partial',
      // A table that is all key has nothing to set.
      sql:
        columns.length === 0
          ? []
          : this.#writer.update({
              target: this.#state,
              source: `SELECT ${[...keys, ...pivots].join(', ')} FROM ${this.#cells} GROUP BY ${keys.join(', ')}`,
              on: (t, s) => `${this.#matches(t, s)} AND NOT ${t}.${deleted}`,
              set: (t, s) =>
                columns.map(({ column, i }) => {
                  const value = withZero(dialect.value(`${s}.x${i}`, column.kind, values), column, dialect, values);
                  return [this.#column(i), `CASE WHEN ${s}.h${i} = 1 THEN ${value} ELSE ${t}.${this.#column(i)} END`];
                }),
            }),
    };
  }

  /**
   * One row for each key of the batch. The winner is found by key and `seq` alone, and only its other columns are read.
   * A key that its type cannot hold is of an older type of the column, whose rows were written again since. The columns
   * are `c`, the parts of the identity `k`.
   */
  #winners(): string {
    const { batch, position } = this.#source;
    const columns = this.#table.columns.map((column, i) => `${this.#valueOf(column, i)} AS c${i}`);
    const keys = this.#identity.values.map((_, i) => `w.k${i}`);
    const own = position === undefined ? 'row_json' : position;
    const again = position === undefined ? '' : `JOIN ${batch} b ON b.${position} = w.at`;
    const found = position === undefined ? 'w.row_json' : 'w.at';
    return `SELECT w.seq, w.op, ${[...keys, ...columns].join(', ')}
FROM (
  SELECT ${['w.seq', 'w.op', ...keys, ...this.#members.select].join(', ')}
  FROM (
    SELECT w.*, row_number() OVER (PARTITION BY ${keys.join(', ')} ORDER BY w.seq DESC) AS age
    FROM (
      SELECT w.seq, w.op, ${[found, ...this.#identity.values.map((value, i) => `${value} AS k${i}`)].join(', ')}
      FROM (
        SELECT ${['b.seq', 'b.op', `b.${own}${position === undefined ? '' : ' AS at'}`, ...this.#keyMembers.select].join(', ')}
        FROM ${[`${batch} b`, this.#keyMembers.from].filter(Boolean).join(' ')}
        WHERE ${this.#ofTable()} AND ${IS_ROW} AND ${this.#isAfterTruncate()}
      ) w
    ) w
  ) w${[again, this.#members.from]
    .filter(Boolean)
    .map((item) => ` ${item}`)
    .join('')}
  WHERE w.age = 1 AND ${areKnown(keys)}
) w`;
  }

  #valueOf(column: LandedColumn, i: number): string {
    const { dialect, values, format } = this.#source;
    const isKey = this.#table.key.includes(i);
    const value = dialect.value(this.#members.text(i), column.kind, values);
    let whole = value;
    if (column.fill !== undefined && !isKey) {
      const fill = dialect.value(dialect.literal(column.fill), column.kind, values);
      whole = `CASE WHEN ${this.#members.isPresent(i)} THEN ${value} ELSE ${fill} END`;
    }
    whole = withZero(whole, column, dialect, values);
    // In format flat the event of a delete has the last values of the row.
    if (format !== 'flat' || isKey) return whole;
    return `CASE WHEN w.op = 'd' THEN ${blank(column, dialect, values)} ELSE ${whole} END`;
  }

  #emptied(): string {
    return `SELECT emptied FROM ${TABLES} WHERE table_id = ${this.#id}`;
  }

  #ofTable(): string {
    const { literal } = this.#source.dialect;
    return `b.schema_name = ${literal(this.#table.schema)} AND b.table_name = ${literal(this.#table.table)}`;
  }

  #isAfterTruncate(): string {
    return `b.seq > (${this.#emptied()})`;
  }

  #matches(target: string, source: string): string {
    return this.#identity.names.map((name, i) => `${target}.${name} = ${source}.k${i}`).join(' AND ');
  }

  #column(i: number): string {
    return this.#q(this.#names.columns[i] as string);
  }

  #q(name: string): string {
    return this.#source.dialect.quote(name);
  }
}

const TABLES = `${STATE_SCHEMA}.tables`;
const areKnown = (keys: readonly string[]): string => keys.map((key) => `${key} IS NOT NULL`).join(' AND ');
const IS_ROW = "b.op IN ('c', 'u', 'r', 'd') AND (NOT b.is_partial OR b.op <> 'u')";
const IS_CELLS = "b.op = 'u' AND b.is_partial";

const wantedMembers = ({ columns }: LandedTable) =>
  columns.map(({ name, kind }) => ({ name, isDocument: kind.kind === 'json' && !kind.isText }));

/** Whether the key columns cannot tell rows apart in this dialect, so that the texts of the key do. */
export const hasOwnKey = ({ columns, key }: LandedTable, dialect: Dialect): boolean =>
  key.some((i) => {
    const { isNullable, kind } = columns[i] as LandedColumn;
    return isNullable || !dialect.keyKinds.has(kind.kind);
  });

/** @param members of the key */
function identityOf(table: LandedTable, names: TableNames, source: MergeSource, members: MemberSource): Identity {
  const { dialect, values } = source;
  if (!hasOwnKey(table, dialect)) {
    return {
      names: table.key.map((i) => dialect.quote(names.columns[i] as string)),
      values: table.key.map((i, n) => dialect.value(members.text(n), (table.columns[i] as LandedColumn).kind, values)),
    };
  }
  // The length in front keeps ('a', 'bc') apart from ('ab', 'c').
  const parts = table.key.map((_, n) => {
    const text = members.text(n);
    return `coalesce(${dialect.lengthText(text)} || ':' || ${text}, '-')`;
  });
  return { names: [dialect.quote(names.key)], values: [parts.join(' || ')] };
}

const withZero = (value: string, column: LandedColumn, dialect: Dialect, values: ValueOptions): string =>
  column.zero === undefined ? value : `coalesce(${value}, ${blank(column, dialect, values)})`;

const blank = ({ zero, kind }: LandedColumn, dialect: Dialect, values: ValueOptions): string =>
  zero === undefined ? 'NULL' : dialect.value(dialect.literal(zero), kind, values);
