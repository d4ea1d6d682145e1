import { quoteIdentifier } from '../../model/identifier.ts';
import { type Key, type KeyRange, keysEqual } from '../../model/key-range.ts';
import { CdcError } from '../../runtime/error.ts';
import type { DeclaredTable } from '../../source/schema/declared-table.ts';
import { integerParameter, type KeyColumn } from './key-column.ts';
import { type KeyScale, keyScale } from './key-scale.ts';
import { BISECTIONS_MAX, SAMPLE_OFFSETS } from './limits.ts';
import { ALL_KEYS, both, type Condition, type Direction, orderBy, rangeCondition } from './range-sql.ts';
import { PACKET_HEADER_LENGTH } from './row-chunk.ts';
import { RowCollector } from './row-collector.ts';
import { readKey } from './row-packet-key.ts';
import type { ReadSession } from './session.ts';

/** The first and the last key of a table. */
export interface KeyBounds {
  first: Key;
  last: Key;
}

/** Finds keys of one table. The server compares; here only the bytes of keys pass. */
export class KeySearch {
  readonly #table: DeclaredTable;
  readonly #key: readonly KeyColumn[];
  readonly #scale: KeyScale | undefined;
  /** Whether a range of the key is a range of its index. */
  readonly isIndexed: boolean;
  /** The table in a FROM clause, with the index that is to be used. */
  readonly from: string;

  constructor(table: DeclaredTable, key: readonly KeyColumn[]) {
    this.#table = table;
    this.#key = key;
    this.#scale = key[0] && keyScale(key[0]);
    this.isIndexed = key.length > 0 && key.every(({ isIndexed }) => isIndexed);
    // Without the index the server sorts. A range of an index of prefixes can lack rows whose collation has expansions.
    const index = this.isIndexed ? `FORCE INDEX (${quoteIdentifier(table.keyIndex as string)})` : 'USE INDEX ()';
    this.from = `FROM ${table.from} ${index}`;
  }

  /** The key that follows `offset` rows of the range. */
  keyAt(session: ReadSession, range: KeyRange, offset: number): Promise<Key | undefined> {
    return this.#select(session, rangeCondition(this.#key, range), 'forward', offset);
  }

  async bounds(session: ReadSession): Promise<KeyBounds | undefined> {
    const first = await this.#select(session, ALL_KEYS, 'forward');
    const last = await this.#select(session, ALL_KEYS, 'backward');
    return first && last && { first, last };
  }

  /**
   * A key of the range with rows on both sides of it. Undefined if not more than `minRows` rows are left.
   */
  async split(session: ReadSession, range: KeyRange, minRows: number): Promise<Key | undefined> {
    const low = await this.keyAt(session, range, minRows - 1);
    if (low === undefined) return undefined;
    const high = await this.#select(session, rangeCondition(this.#key, range), 'backward');
    if (high === undefined || keysEqual(low, high)) return undefined;
    return (await this.#bisect(session, range, low, high)) ?? (await this.#sample(session, range, high)) ?? low;
  }

  /** The middle by value, moved to the next existing key. If there is none before `high`, it looks below. */
  async #bisect(session: ReadSession, range: KeyRange, low: Key, high: Key): Promise<Key | undefined> {
    const [column] = this.#key;
    if (column === undefined || this.#scale === undefined) return undefined;
    const scale = this.#scale;
    const position = (key: Key): bigint => scale.position(Buffer.from(key[0] as string, 'base64'));
    const from = position(low);
    let to = position(high);
    const above = `${column.expression} ${column.descending ? '<=' : '>='} ?`;
    const below = `${column.expression} ${column.descending ? '>' : '<'} ?`;
    const rows = rangeCondition(this.#key, range);
    for (let i = 0; i < BISECTIONS_MAX; i++) {
      const middle = (from + to) / 2n;
      if (middle === from || middle === to) return undefined;
      const parameters = [scale.parameterAt(middle)];
      const key = await this.#select(session, both(rows, { sql: above, parameters }), 'forward');
      if (key !== undefined && !keysEqual(key, high)) return key;
      const last = await this.#select(session, both(rows, { sql: below, parameters }), 'backward');
      if (last === undefined) return undefined;
      to = position(last);
    }
    return undefined;
  }

  /** The key behind a number of rows that the server can skip in a moment. */
  async #sample(session: ReadSession, range: KeyRange, high: Key): Promise<Key | undefined> {
    for (const offset of SAMPLE_OFFSETS) {
      const key = await this.keyAt(session, range, offset);
      if (key !== undefined && !keysEqual(key, high)) return key;
    }
    return undefined;
  }

  async #select(
    session: ReadSession,
    { sql, parameters }: Condition,
    direction: Direction,
    offset = 0,
  ): Promise<Key | undefined> {
    const columns = this.#key.map(({ index }) => this.#table.select[index]).join(', ');
    const collector = new RowCollector(0, 1);
    const statement = await session.prepare(
      `SELECT ${columns} ${this.from} WHERE ${sql} ORDER BY ${orderBy(this.#key, direction)} LIMIT 1 OFFSET ?`,
    );
    await session.execute(statement, [...parameters, integerParameter(BigInt(offset))], collector, () => {});
    if (collector.count === 0) return undefined;
    const positions = this.#key.map((_, i) => i);
    return readKey(collector.bytes, PACKET_HEADER_LENGTH, collector.columns, positions);
  }

  #position(key: Key): bigint | undefined {
    return this.#scale?.position(Buffer.from(key[0] as string, 'base64'));
  }

  /** The share of `whole` that `range` covers, by the values of the first column. */
  fraction(range: KeyRange, whole: KeyRange, bounds: KeyBounds | undefined): number | undefined {
    const start = whole.after ?? bounds?.first;
    const end = whole.upTo ?? bounds?.last;
    if (start === undefined || end === undefined) return undefined;
    const [first, last] = [this.#position(start), this.#position(end)];
    const [from, to] = [this.#position(range.after ?? start), this.#position(range.upTo ?? end)];
    if (first === undefined || last === undefined || from === undefined || to === undefined) return undefined;
    if (first === last) return 0;
    return Math.min(1, Math.max(0, Number(to - from) / Number(last - first)));
  }

  /**
   * The server must take the bytes of a string back as they are. It does not if the column holds bytes that are invalid
   * in its character set, and a range that begins there would lose rows.
   */
  async verify(session: ReadSession, key: Key): Promise<void> {
    const texts = this.#key.flatMap((column, i) =>
      column.kind === 'text' ? [{ column, value: key[i] as string }] : [],
    );
    if (texts.length === 0) return;
    const checks = texts.map(({ column }) => `CAST(${column.parameter} AS BINARY) <=> CAST(? AS BINARY)`);
    const parameters = texts.flatMap(({ column, value }) => {
      const parameter = column.toParameter(Buffer.from(value, 'base64'));
      return [parameter, parameter];
    });
    const collector = new RowCollector(0, 1);
    const statement = await session.prepare(`SELECT 1 FROM DUAL WHERE ${checks.join(' AND ')}`);
    await session.execute(statement, parameters, collector, () => {});
    if (collector.count === 1) return;
    throw new CdcError(`a key of ${this.#table.schema}.${this.#table.name} cannot be compared`, {
      why: `${texts.map(({ column }) => column.name).join(', ')} has bytes that are invalid in its character set`,
      hint: 'find the row by its bytes (HEX), correct it, and start the backfill again',
    });
  }
}
