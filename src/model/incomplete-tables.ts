/** A table whose rows were changed without row events: its copy can differ from the source until it is copied again. */
export interface IncompleteTable {
  schema: string;
  /** `*` stands for every table of the schema. */
  table: string;
  /** The coordinates of the last statement that changed it so. */
  file: string;
  position: number;
  /** The commit time of the first one, ISO 8601. */
  since: string;
  /** The kind of the last one, such as `ALTER TABLE … DROP PARTITION`. */
  why: string;
}

/** The `why` of a table whose copy has begun with an event that empties it in the lake, and is not done. */
export const COPY_BEGUN = 'a copy has begun and is not done';

/** Beyond this many tables of one schema, the schema counts as a whole: the list is a part of each checkpoint. */
export const INCOMPLETE_TABLES_MAX = 500;
/** The same for the tables of all schemas. */
export const INCOMPLETE_TABLES_TOTAL_MAX = 2_000;

const ALL = '*';

/** The tables that need another copy. The list is saved in the checkpoint. */
export class IncompleteTables {
  readonly #schemas = new Map<string, Map<string, IncompleteTable>>();
  #count = 0;

  constructor(tables: readonly IncompleteTable[] = []) {
    for (const table of tables) this.#set(table);
  }

  get list(): IncompleteTable[] {
    return [...this.#schemas.values()].flatMap((tables) => [...tables.values()]);
  }

  add(table: IncompleteTable): void {
    const { schema } = table;
    const known = this.#schemas.get(schema);
    // The whole schema is incomplete already, for its own reason.
    if (known?.has(ALL) && table.table !== ALL && table.why !== COPY_BEGUN) return;
    this.#set({ ...table, since: known?.get(table.table)?.since ?? table.since });
    const size = this.#schemas.get(schema)?.size ?? 0;
    const isTooMany = size > INCOMPLETE_TABLES_MAX || (this.#count > INCOMPLETE_TABLES_TOTAL_MAX && size > 1);
    if (table.table === ALL || isTooMany) this.#collapse(table);
  }

  /** The mark of a table, or of its whole schema. */
  find(schema: string, table: string): IncompleteTable | undefined {
    const tables = this.#schemas.get(schema);
    return tables?.get(table) ?? tables?.get(ALL);
  }

  /** The table is complete: it was copied, or it has no rows and an event says so. */
  remove(schema: string, table: string): void {
    const tables = this.#schemas.get(schema);
    if (!tables?.delete(table)) return;
    this.#count--;
    if (tables.size === 0) this.#schemas.delete(schema);
  }

  /** One mark for the whole schema in place of those of its tables. */
  #collapse(table: IncompleteTable): void {
    const tables = this.#schemas.get(table.schema) ?? new Map<string, IncompleteTable>();
    const since = [...tables.values()].map((other) => other.since).sort()[0] ?? table.since;
    this.#count -= tables.size;
    this.#schemas.delete(table.schema);
    this.#set({ ...table, table: ALL, since, ...(table.why === COPY_BEGUN && { why: 'many statements' }) });
  }

  #set(table: IncompleteTable): void {
    let tables = this.#schemas.get(table.schema);
    if (tables === undefined) this.#schemas.set(table.schema, (tables = new Map()));
    if (!tables.has(table.table)) this.#count++;
    tables.set(table.table, table);
  }
}
