import { foldCase } from '../../model/name-pattern.ts';
import type { Transaction } from '../../model/rows-event.ts';
import {
  changesOf,
  ddl,
  type Statement,
  type StatementDml,
  type TableChange,
  type TableName,
} from '../statement/statement.ts';
import type { BinlogHandler, EventContinuation } from './binlog-handler.ts';
import type { QueryEvent } from './query-event.ts';
import { TemporaryTables } from './temporary-tables.ts';
import type { TransactionState } from './transaction-state.ts';
import { statementInsteadOfRows, unknownStatement } from './unsupported.ts';

export interface TableStatementOptions {
  /** The server compares names without case (lower_case_table_names), and row events have them in lower case. */
  foldNames: boolean;
  /** A captured table can have other columns or another row key behind the statement than before it. */
  onSchemaChange?: () => void;
  /** Nothing that is logged as a statement stops the decoder. */
  ignoreStatementDml: boolean;
}

type TableStatement = Extract<Statement, { kind: 'ddl' | 'dml' | 'unknown' }>;

/** A Query event and where it stands: its file, and its position in it. */
export interface LoggedQuery extends QueryEvent {
  /** The names that the text has in front of parentheses, in lower case: the functions that it calls, and more. */
  calls: () => ReadonlySet<string>;
  file: string;
  position: number;
}

/**
 * Statements that can concern captured tables. What they do without row events is reported to the handler; DML that is
 * logged instead of its rows stops the stream, unless it is certain that it wrote no captured table.
 */
export class TableStatements<T> {
  readonly #handler: BinlogHandler<T>;
  readonly #transactions: TransactionState<T>;
  readonly #options: TableStatementOptions;
  readonly #temporary = new TemporaryTables();
  /** Tables that were emptied inside of a transaction, which can still be rolled back; of the last such transaction. */
  #emptied: { name: TableName; position: number; ordinal: number; transaction: Transaction }[] = [];

  constructor(handler: BinlogHandler<T>, transactions: TransactionState<T>, options: TableStatementOptions) {
    this.#handler = handler;
    this.#transactions = transactions;
    this.#options = options;
  }

  /** @throws CdcError if the statement can have changed rows of a captured table; so does the continuation */
  read(logged: TableStatement, query: LoggedQuery, transaction: Transaction): EventContinuation | undefined {
    const statement = this.#asEmptying(logged);
    const changes = this.#capturedChanges(statement, query);
    const apply = (): void => {
      if ('temporary' in statement && statement.temporary) this.#temporary.apply(query.threadId, statement.temporary);
      this.#apply(statement, changes, query, transaction);
      this.#transactions.endStatement();
    };
    if (statement.kind === 'dml') {
      const isHarmless = this.#options.ignoreStatementDml || this.#isHarmless(statement, query);
      if (isHarmless instanceof Promise) return awaitProof(isHarmless, statement, query, apply);
      if (!isHarmless) throw statementInsteadOfRows(statement, query);
    }
    if (statement.kind === 'unknown' && (changes.length > 0 || statement.mentions === undefined)) {
      if (!this.#options.ignoreStatementDml) throw unknownStatement(statement.label);
    }
    apply();
    return undefined;
  }

  /** The server was started again. */
  serverStarted(): void {
    this.#temporary.clear();
  }

  /**
   * DDL commits by itself. MariaDB logs the DROP of a CREATE OR REPLACE TABLE that failed inside of a transaction that
   * is rolled back; the table is gone all the same.
   */
  rollback(): void {
    const transaction = this.#transactions.open as Transaction;
    this.#transactions.rollback(() => {
      if (this.#emptied[0]?.transaction !== transaction) return;
      for (const entry of this.#emptied) this.#handler.truncate(entry.name, entry.position, entry.ordinal, transaction);
    });
  }

  /**
   * A MEMORY table is empty after a restart. MySQL 5.6 logs that as DELETE without a condition, and without the BEGIN
   * that is before every DML of a client.
   */
  #asEmptying(statement: TableStatement): TableStatement {
    if (statement.kind !== 'dml' || !statement.deletesAll || this.#transactions.isExplicit) return statement;
    const { label, writes = [] } = statement;
    return ddl(
      label,
      writes.flatMap((name) => changesOf(name, 'emptied')),
    );
  }

  /** The changes of captured tables, with names as the row events have them. */
  #capturedChanges(statement: TableStatement, { threadId, errorCode }: LoggedQuery): TableChange[] {
    let changes =
      statement.kind === 'unknown'
        ? (statement.mentions ?? []).flatMap((name) => changesOf(name, 'columns'))
        : statement.changes;
    // DROP TABLE of a temporary table is logged as DROP TEMPORARY TABLE.
    if (statement.label !== 'DROP TABLE') {
      changes = changes.filter(
        ({ schema, table }) => table === undefined || !this.#temporary.has(threadId, { schema, table }),
      );
    }
    // It failed on the source, and can have done a part of its work.
    if (errorCode !== 0) {
      const isCertain = ({ effect }: TableChange): boolean => effect !== 'emptied' && effect !== 'created';
      changes = changes.map((change) => (isCertain(change) ? change : { ...change, effect: 'rewritten' }));
    }
    return changes
      .filter(({ schema, table }) =>
        table === undefined ? this.#handler.isSchemaCaptured(schema) : this.#handler.isCaptured(schema, table),
      )
      .map((change) => this.#folded(change));
  }

  /** The same with names as the row events have them. */
  #folded<Named extends { schema: string; table: string | undefined }>(named: Named): Named {
    if (!this.#options.foldNames) return named;
    return { ...named, schema: foldCase(named.schema), table: named.table && foldCase(named.table) };
  }

  /** The text names the tables that DML writes itself; the schemas, if the event has them, also those it reaches. */
  #isHarmless(dml: StatementDml, query: LoggedQuery): boolean | Promise<boolean> {
    const { updatedSchemas, file, position } = query;
    const handler = this.#handler;
    if (updatedSchemas?.some((schema) => handler.isSchemaCaptured(schema)) === false) return true;
    const writes = dml.writes?.filter((name) => !this.#temporary.has(query.threadId, name));
    if (writes === undefined || writes.some(({ schema, table }) => handler.isCaptured(schema, table))) return false;
    // A function without a schema is one of the default schema.
    const calls = new Set([...query.calls(), query.schema.toLowerCase()]);
    return handler.isHarmless({ writes: writes.map((name) => this.#folded(name)), calls }, { file, position });
  }

  #apply(
    statement: TableStatement,
    changes: readonly TableChange[],
    query: LoggedQuery,
    transaction: Transaction,
  ): void {
    const { file, position } = query;
    if (changes.some(({ effect }) => effect === 'columns' || effect === 'unique-key')) this.#options.onSchemaChange?.();
    let ordinal = 0;
    const others: TableChange[] = [];
    for (const change of changes) {
      const { effect, schema, table } = change;
      if (effect !== 'emptied' || table === undefined) {
        others.push(change);
        continue;
      }
      const entry = { name: { schema, table }, position, ordinal: ordinal++, transaction };
      this.#handler.truncate(entry.name, position, entry.ordinal, transaction);
      if (!this.#transactions.isExplicit) continue;
      if (this.#emptied[0]?.transaction !== transaction) this.#emptied = [];
      this.#emptied.push(entry);
    }
    const dropped = (statement.kind === 'ddl' ? (statement.dropped ?? []) : []).map((name) => this.#folded(name));
    this.#handler.ddl({ label: statement.label, at: { file, position }, changes: others, dropped }, transaction);
  }
}

function* awaitProof(
  proof: Promise<boolean>,
  statement: StatementDml,
  query: QueryEvent,
  apply: () => void,
): EventContinuation {
  let isHarmless = false;
  yield proof.then((proven) => {
    isHarmless = proven;
  });
  if (!isHarmless) throw statementInsteadOfRows(statement, query);
  apply();
}
