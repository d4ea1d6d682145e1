import { TABLE_IDS_MAX, TABLE_VERSIONS_MAX, TABLE_VERSIONS_MAX_BYTES } from '../limits.ts';
import type { TableMapEntry } from './binlog-handler.ts';

/** The bytes of a table id, at the start of a TABLE_MAP body. The rest of the body is the version of the table. */
const ID_LENGTH = 6;

/**
 * The table maps that rows events can refer to, by table id. The server gives a table a new id each time it opens it
 * again (after FLUSH TABLES, an eviction from its table cache, DDL), so all ids of a version share one entry.
 *
 * An id is valid until the end of its statement, so ids and versions can be forgotten there. They are forgotten when
 * they are too many; the next TABLE_MAP introduces them again.
 */
export class TableVersions<T> {
  readonly #byId = new Map<number, TableMapEntry<T>>();
  readonly #byContent = new Map<string, TableMapEntry<T>>();
  /** Bytes of the table maps in `#byContent`. */
  #bytes = 0;

  /** The number of table ids and of versions, for tests. */
  get sizes(): { ids: number; versions: number } {
    return { ids: this.#byId.size, versions: this.#byContent.size };
  }

  get(id: number): TableMapEntry<T> | undefined {
    return this.#byId.get(id);
  }

  /** Whether the TABLE_MAP body `bytes[start..end)` introduces the id as a version that is known. */
  introduces(id: number, bytes: Buffer, start: number, end: number): boolean {
    const from = start + ID_LENGTH;
    const known = this.#byId.get(id);
    if (known !== undefined && known.bytes.compare(bytes, from, end) === 0) return true;
    const shared = this.#byContent.get(bytes.toString('latin1', from, end));
    if (shared === undefined) return false;
    this.#byId.set(id, shared);
    return true;
  }

  /** Adds the version that the TABLE_MAP body introduces under this id. */
  add(id: number, bytes: Buffer, start: number, end: number, table: Omit<TableMapEntry<T>, 'bytes'>): TableMapEntry<T> {
    const content = Buffer.from(bytes.subarray(start + ID_LENGTH, end));
    const entry: TableMapEntry<T> = { bytes: content, ...table };
    this.#byId.set(id, entry);
    this.#byContent.set(content.toString('latin1'), entry);
    this.#bytes += content.length;
    return entry;
  }

  /** A statement has ended: its table ids are not used again without another TABLE_MAP. */
  endStatement(): void {
    if (this.#byContent.size > TABLE_VERSIONS_MAX || this.#bytes > TABLE_VERSIONS_MAX_BYTES) this.clear();
    else if (this.#byId.size > TABLE_IDS_MAX) this.#byId.clear();
  }

  /** A statement can have changed a table in a way that its table map does not show, such as the names of columns. */
  forgetVersions(): void {
    this.#byContent.clear();
    this.#bytes = 0;
  }

  clear(): void {
    this.#byId.clear();
    this.forgetVersions();
  }
}
