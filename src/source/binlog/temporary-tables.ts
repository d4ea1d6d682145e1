import type { TableName, TemporaryTableDdl } from '../statement/statement.ts';

/** Beyond this many the oldest are forgotten: their sessions ended without a word, or never will. */
const TEMPORARY_TABLES_MAX = 10_000;

/** The temporary tables whose making was logged, by session. Sessions with binlog_format ROW log none. */
export class TemporaryTables {
  readonly #names = new Set<string>();

  apply(threadId: number, { verb, names }: TemporaryTableDdl): void {
    for (const name of names) {
      const key = keyOf(threadId, name);
      this.#names.delete(key);
      if (verb === 'CREATE') this.#names.add(key);
    }
    for (const oldest of this.#names) {
      if (this.#names.size <= TEMPORARY_TABLES_MAX) break;
      this.#names.delete(oldest);
    }
  }

  has(threadId: number, name: TableName): boolean {
    return this.#names.size > 0 && this.#names.has(keyOf(threadId, name));
  }

  /** The server was started: it has no temporary tables. */
  clear(): void {
    this.#names.clear();
  }
}

const keyOf = (threadId: number, { schema, table }: TableName): string => `${threadId}\0${schema}\0${table}`;
