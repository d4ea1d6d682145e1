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

/** Beyond this many tables of one schema, the schema counts as a whole: the list is a part of each checkpoint. */
export const INCOMPLETE_TABLES_MAX = 500;

const ALL = '*';

/** The tables that need another copy. The list is saved in the checkpoint. */
export class IncompleteTables {
  readonly #tables = new Map<string, IncompleteTable>();

  constructor(tables: readonly IncompleteTable[] = []) {
    for (const table of tables) this.#tables.set(keyOf(table.schema, table.table), table);
  }

  get list(): IncompleteTable[] {
    return [...this.#tables.values()];
  }

  add(table: IncompleteTable): void {
    const { schema } = table;
    const first = this.#tables.get(keyOf(schema, table.table)) ?? this.#tables.get(keyOf(schema, ALL));
    this.#set({ ...table, table: first?.table ?? table.table, since: first?.since ?? table.since });
    const ofSchema = this.list.filter((other) => other.schema === schema);
    if (table.table !== ALL && ofSchema.length <= INCOMPLETE_TABLES_MAX) return;
    for (const other of ofSchema) this.#tables.delete(keyOf(schema, other.table));
    this.#set({ ...table, table: ALL, since: ofSchema.map(({ since }) => since).sort()[0] ?? table.since });
  }

  /** The table has no rows any more, and an event says so. */
  emptied(schema: string, table: string): void {
    this.#tables.delete(keyOf(schema, table));
  }

  #set(table: IncompleteTable): void {
    this.#tables.set(keyOf(table.schema, table.table), table);
  }
}

const keyOf = (schema: string, table: string): string => `${schema}\0${table}`;
