/** What `cdc verify` has compared: every row of the table, or some of them. */
export const VERIFY_SCOPES = ['whole', 'part'] as const;

/** What `cdc verify` has found in a table. */
export interface VerifiedRows {
  /** When, ISO 8601 in UTC with milliseconds. */
  at: string;
  scope: (typeof VERIFY_SCOPES)[number];
  /** Rows of the source that were compared. */
  rows: number;
  /** Rows that only the source has, rows that only the lake has, and rows of other values. */
  missing: number;
  extra: number;
  different: number;
}

export interface VerifiedTable extends VerifiedRows {
  schema: string;
  table: string;
}

/** How many rows differ. */
export const differingRows = ({ missing, extra, different }: VerifiedRows): number => missing + extra + different;

/** The last result of each table. The list is saved in the checkpoint. */
export class VerifiedTables {
  readonly #tables = new Map<string, VerifiedTable>();

  constructor(tables: readonly VerifiedTable[] = []) {
    for (const table of tables) this.#tables.set(keyOf(table.schema, table.table), table);
  }

  get list(): VerifiedTable[] {
    return [...this.#tables.values()];
  }

  find(schema: string, table: string): VerifiedTable | undefined {
    return this.#tables.get(keyOf(schema, table));
  }

  /**
   * A part without differences says nothing of the other rows, so it is not kept. Neither does a result without
   * differences replace a later one that has some.
   * @returns whether the result is kept
   */
  record(result: VerifiedTable): boolean {
    const key = keyOf(result.schema, result.table);
    if (differingRows(result) === 0) {
      const known = this.#tables.get(key);
      const isOlder = known !== undefined && differingRows(known) > 0 && known.at > result.at;
      if (result.scope === 'part' || isOlder) return false;
    }
    this.#tables.set(key, result);
    return true;
  }

  /** The rows are others now. @param table `*` for every table of the schema */
  remove(schema: string, table: string): void {
    if (table === '*') this.keep((otherSchema) => otherSchema !== schema);
    else this.#tables.delete(keyOf(schema, table));
  }

  /** Keeps the results of these tables only. */
  keep(isKept: (schema: string, table: string) => boolean): void {
    for (const [key, { schema, table }] of this.#tables) if (!isKept(schema, table)) this.#tables.delete(key);
  }
}

const keyOf = (schema: string, table: string): string => `${schema}\0${table}`;
