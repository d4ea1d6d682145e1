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
  /** An earlier result found rows that differ too, so only a result of the whole table ends this one. */
  hasEarlier?: boolean;
}

/** A result as `cdc verify` reports it. */
export interface ReportedTable extends Omit<VerifiedTable, 'hasEarlier'> {
  /** The `at` of a result whose rows were sent again: this one counts which of them still differ. Scope is `part`. */
  repairOf?: string | undefined;
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
   * A part without differences says nothing of the other rows, so it is not kept, unless it is the repair of what is
   * known to differ. Neither does a result without differences replace a later one that has some.
   * @returns whether the result is kept
   */
  record({ repairOf, ...result }: ReportedTable): boolean {
    const key = keyOf(result.schema, result.table);
    const known = this.#tables.get(key);
    const open = known !== undefined && differingRows(known) > 0 ? known : undefined;
    const isPart = result.scope === 'part';
    if (open !== undefined && repairOf === open.at) return this.#repaired(key, open, result);
    const isOlder = open !== undefined && open.at > result.at;
    if (differingRows(result) === 0 && (isPart || isOlder)) return false;
    // The same result, sent again.
    if (isPart && open?.at === result.at) return true;
    const hasEarlier = open !== undefined && (isPart || isOlder);
    this.#tables.set(key, hasEarlier ? { ...result, hasEarlier } : result);
    return true;
  }

  /** Of the rows of a result, those that still differ. */
  #repaired(key: string, found: VerifiedTable, { at, missing, extra, different }: VerifiedTable): boolean {
    const left = { ...found, at, missing, extra, different };
    const isMended = differingRows(left) === 0;
    if (isMended && found.hasEarlier) return false;
    // A part without differences would hide that the other rows were not compared.
    if (isMended && found.scope === 'part') this.#tables.delete(key);
    else this.#tables.set(key, left);
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
