import type { EncodedEvent, EventOp } from '../model/encoded-event.ts';
import type { RowsEvent } from '../model/rows-event.ts';
import { ColumnType, type Table } from '../model/table.ts';
import { CdcError } from '../runtime/error.ts';
import { endOfValueBytes } from '../runtime/raw-json.ts';
import type { ByteWriter } from './bytes/byte-writer.ts';
import { jsonString } from './bytes/json-text.ts';
import type { ValueWriter } from './bytes/value-writer.ts';
import type { Charsets } from './charset/charset.ts';
import { PartialJsonUpdates } from './json/partial-json-updates.ts';
import { assertKeyColumnsKept, type FindColumnRule, ruledValueWriter } from './values/column-rule-writer.ts';
import { createValueWriter } from './values/create-value-writer.ts';
import { maxwellValueWriter } from './values/maxwell-value.ts';
import { createPacketValueWriter, maxwellPacketWriter } from './values/packet-value.ts';
import type { ValueFormat } from './values/value-format.ts';

/** A class, not an object literal with a spread: its fields are written in place (12 % of a narrow row, measured). */
class RowEvent implements EncodedEvent {
  op: EventOp = 'c';
  readonly table: Table;
  bytes: Buffer = EMPTY;
  from = 0;
  to = 0;
  keyFrom = 0;
  keyTo = 0;
  keyHash = 0;
  isPartial = false;
  readonly locateKey: () => void;

  constructor(table: Table, locateKey: () => void) {
    this.table = table;
    this.locateKey = locateKey;
  }
}

/** Receives each finished event, which is valid during the call only. */
export type EmitEvent = (event: EncodedEvent) => void;

/** The options for writing the columns of a table. */
export interface RowImageOptions {
  format: 'debezium' | 'flat' | 'maxwell';
  values: ValueFormat;
  charsets: Charsets;
  columnRule?: FindColumnRule;
}

/**
 * What the rows are: images of the binlog, or packets of a prepared SELECT. Their columns are encoded differently.
 */
export type RowSource = 'row-image' | 'row-packet';

/** The functions that create the writer of a column. */
const VALUE_WRITERS = {
  'row-image': { plain: createValueWriter, maxwell: maxwellValueWriter },
  'row-packet': { plain: createPacketValueWriter, maxwell: maxwellPacketWriter },
};

/** A column of one image layout. */
interface ImageColumn {
  /** `"name":`, after a comma unless it is the first. Empty for a dropped column. */
  name: Buffer;
  /** The text of a NULL. Empty for a dropped column. */
  nullText: Buffer;
  put: ValueWriter;
  /** The index of its text in `ColumnSpans`, or -1. Key columns have the first slots, in key order. */
  slot: number;
  /** Its number among the JSON columns of the table, or -1. */
  json: number;
}

/** The columns that an image contains, in table order, and the key columns that it lacks. */
export interface ImageLayout {
  columns: ImageColumn[];
  missing: ImageColumn[];
}

/** Layouts of partial row images that a table version keeps. */
const LAYOUTS_MAX = 256;

/** For the columns that the server hides. */
const DROP = { kind: 'drop' } as const;
const NULL = Buffer.from('null');
const KEY = Buffer.from(',"key":');
const NO_KEY = Buffer.from(',"key":null');
const EMPTY = Buffer.alloc(0);
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Start and end of the text of columns in the output, by slot. */
export class ColumnSpans {
  readonly from: Int32Array;
  readonly to: Int32Array;
  constructor(slots: number) {
    this.from = new Int32Array(slots);
    this.to = new Int32Array(slots);
  }
}

/**
 * Writes the row images of one table version as JSON objects, and the row keys in them. The writers of the columns are
 * chosen once, with the format and the column rules, so a table without rules has no extra cost per row.
 */
export class RowImageWriter {
  readonly table: Table;
  readonly out: ByteWriter;
  /** Hash of the table's name: the lane of a row without a key. */
  readonly tableHash: number;
  /** The layout of an image with every column. */
  readonly fullLayout: ImageLayout;
  /** The text of the columns with a slot in the before and after image of the current row. */
  readonly beforeSpans: ColumnSpans;
  readonly afterSpans: ColumnSpans;
  /** The columns that are not dropped. */
  readonly columnNames: readonly string[];
  /** `"name":` of each slot. */
  readonly names: readonly Buffer[];
  readonly #columns: readonly ImageColumn[];
  readonly #layouts = new Map<string, ImageLayout>();
  /** `{"a":`, then `,"b":` of each key column. */
  readonly #keyNames: readonly Buffer[];
  /** The same as the member of a line: `,"key":{"a":`, then `,"b":`. */
  readonly #keyMember: readonly Buffer[];
  /** The object that every `emit` passes on. */
  readonly #event: EncodedEvent;
  /** The columns of a key that is not written yet. */
  #unwrittenKey: ColumnSpans | undefined;
  readonly #partialJsonUpdates: PartialJsonUpdates;

  constructor(table: Table, format: RowImageOptions, out: ByteWriter, rows: RowSource = 'row-image') {
    this.table = table;
    this.out = out;
    this.#event = new RowEvent(table, () => this.#locateKey());
    const rules = table.columns.map(({ name }) =>
      name === '' ? DROP : format.columnRule?.(table.schema, table.name, name),
    );
    assertKeyColumnsKept(table, rules);
    this.columnNames = table.columns.filter((_, i) => rules[i]?.kind !== 'drop').map(({ name }) => name);
    let jsonColumns = 0;
    const maxwell = format.format === 'maxwell';
    const createWriter = VALUE_WRITERS[rows][maxwell ? 'maxwell' : 'plain'];
    const names: Buffer[] = [];
    table.key.forEach((column, slot) => {
      names[slot] = jsonMemberName(table, column);
    });
    this.#columns = table.columns.map((column, i) => {
      const plain = createWriter(column, format.values, format.charsets);
      const rule = rules[i];
      const put = rule === undefined ? plain : ruledValueWriter(rule, plain);
      const json = column.type === ColumnType.JSON ? jsonColumns++ : -1;
      if (rule?.kind === 'drop') return { name: EMPTY, nullText: EMPTY, put, slot: -1, json };
      const name = jsonMemberName(table, i);
      // Format maxwell compares every column to find the changed ones.
      const slot = maxwell && !table.key.includes(i) ? names.push(name) - 1 : table.key.indexOf(i);
      return { name, nullText: NULL, put, slot, json };
    });
    this.#partialJsonUpdates = new PartialJsonUpdates(jsonColumns);
    this.names = names;
    this.#keyNames = names
      .slice(0, table.key.length)
      .map((name, i) => (i === 0 ? Buffer.concat([Buffer.of(OPEN), name]) : withLeadingComma(name)));
    this.#keyMember = this.#keyNames.map((name, i) => (i === 0 ? Buffer.concat([KEY, name]) : name));
    this.fullLayout = withSeparators(this.#columns, []);
    this.beforeSpans = new ColumnSpans(names.length);
    this.afterSpans = new ColumnSpans(names.length);
    const schemaName = jsonString(table.schema);
    const tableName = jsonString(table.name);
    this.tableHash = fnv(fnv(0x811c9dc5, schemaName, 0, schemaName.length), tableName, 0, tableName.length);
  }

  /** The layout for a bitmap of present columns. In most events all columns are present. */
  layoutFor(bytes: Buffer, bitmap: number): ImageLayout {
    const count = this.#columns.length;
    const text = bytes.toString('latin1', bitmap, bitmap + ((count + 7) >> 3));
    let layout = this.#layouts.get(text);
    if (layout === undefined) {
      const present = this.#columns.filter((_, i) => (text.charCodeAt(i >> 3) & (1 << (i & 7))) !== 0);
      const missing = this.table.key
        .map((column) => this.#columns[column] as ImageColumn)
        .filter((column) => !present.includes(column));
      layout = present.length === count ? this.fullLayout : withSeparators(present, missing);
      // A statement that changes other columns has another layout, and there are 2^n of them.
      if (this.#layouts.size === LAYOUTS_MAX) this.#layouts.clear();
      this.#layouts.set(text, layout);
    }
    return layout;
  }

  /** The next events are of row images that lack columns, or of whole ones. */
  setPartial(partial: boolean): void {
    this.#event.isPartial = partial;
  }

  /** Like `writeBeforeImage`, for the only image of an inserted or deleted row. Its columns are in `afterSpans`. */
  writeImage(rows: RowsEvent, layout: ImageLayout, at: number): number {
    return this.#write(rows, layout, at, this.afterSpans, undefined);
  }

  /** Appends the image at `at` as a JSON object and sets the spans of its columns. Returns the offset after it. */
  writeBeforeImage(rows: RowsEvent, layout: ImageLayout, at: number): number {
    return this.#write(rows, layout, at, this.beforeSpans, undefined);
  }

  /** Like `writeBeforeImage`, for the after image. Missing key columns are copied from the before image of the row. */
  writeAfterImage(rows: RowsEvent, layout: ImageLayout, at: number): number {
    return this.#write(rows, layout, at, this.afterSpans, this.beforeSpans);
  }

  /** Like `writeImage`, for a row of a SELECT, which has the bytes of its columns and no others. */
  writeSnapshotImage(row: RowsEvent, at: number): void {
    const end = this.#write(row, this.fullLayout, at, this.afterSpans, undefined);
    if (end !== row.end) {
      throw new CdcError(`a row of ${this.table.schema}.${this.table.name} is not what its columns say`, {
        why: `its columns end ${row.end - end} bytes before its packet does`,
        hint: 'report it with the CREATE TABLE (nothing was skipped)',
      });
    }
  }

  /**
   * Appends a key as a JSON object, and sets the spans of its columns: `afterSpans`.
   * @throws CdcError if the text does not have the columns of the key, in their order and without white space
   */
  writeKeyText(key: Buffer): void {
    const { out, afterSpans } = this;
    const start = out.at;
    out.copy(key);
    let at = 0;
    for (let slot = 0; slot < this.#keyNames.length; slot++) {
      const name = this.#keyNames[slot] as Buffer;
      const from = at + name.length;
      if (name.compare(key, at, Math.min(from, key.length)) !== 0) throw this.#notItsKey();
      at = endOfValueBytes(key, from);
      afterSpans.from[slot] = start + from;
      afterSpans.to[slot] = start + at;
    }
    if (at === 0 || at + 1 !== key.length || key[at] !== CLOSE) throw this.#notItsKey();
  }

  /** Without the key: no value of a row is in an error. */
  #notItsKey(): CdcError {
    return new CdcError(`a text is not the key of an event of ${this.table.schema}.${this.table.name}`);
  }

  #write(
    rows: RowsEvent,
    layout: ImageLayout,
    at: number,
    spans: ColumnSpans,
    before: ColumnSpans | undefined,
  ): number {
    const { bytes: src, end } = rows;
    const { out } = this;
    const { columns, missing } = layout;
    const count = columns.length;
    const jsonUpdates = rows.partialJson ? this.#partialJsonUpdates : undefined;
    const nulls = jsonUpdates === undefined ? at : jsonUpdates.begin(src, at, end, before !== undefined);
    let from = nulls + ((count + 7) >> 3);
    out.byte(OPEN);
    for (let i = 0; i < count; i++) {
      const column = columns[i] as ImageColumn;
      out.copy(column.name);
      const start = out.at;
      if (((src[nulls + (i >> 3)] as number) & (1 << (i & 7))) !== 0) out.copy(column.nullText);
      else if (jsonUpdates !== undefined && column.json >= 0) {
        from = jsonUpdates.writeColumn(column, src, from, end, out);
      } else from = column.put(src, from, end, out);
      if (column.slot >= 0) {
        spans.from[column.slot] = start;
        spans.to[column.slot] = out.at;
      }
    }
    if (from > end)
      throw new CdcError('a row image is longer than its event', {
        why: `it ends ${from - end} bytes after the event`,
      });
    if (missing.length > 0) this.#putMissingKey(missing, spans, before);
    out.byte(CLOSE);
    return from;
  }

  #putMissingKey(missing: ImageColumn[], spans: ColumnSpans, before: ColumnSpans | undefined): void {
    const { out } = this;
    for (const { name, slot } of missing) {
      if (before === undefined) {
        throw new CdcError(`an event of ${this.table.schema}.${this.table.name} lacks a column of its key`, {
          hint: 'set binlog_row_image=FULL, or MINIMAL with the key columns logged',
        });
      }
      out.copy(name);
      spans.from[slot] = out.at;
      out.copyFromSelf(before.from[slot] as number, before.to[slot] as number);
      spans.to[slot] = out.at;
    }
  }

  /** Whether both images of the row have the same key. */
  hasSameKey(): boolean {
    for (let slot = 0; slot < this.#keyNames.length; slot++) if (!this.hasSameText(slot)) return false;
    return true;
  }

  /** Whether both images of the row have the same text in a slot. */
  hasSameText(slot: number): boolean {
    const { bytes } = this.out;
    const a = this.beforeSpans.from[slot] as number;
    const b = this.afterSpans.from[slot] as number;
    const length = (this.beforeSpans.to[slot] as number) - a;
    if ((this.afterSpans.to[slot] as number) - b !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
    return true;
  }

  /** Appends the member `,"key":…` of a line. The next `emitLine` has this key. */
  writeKeyMember(spans: ColumnSpans): void {
    if (this.#keyNames.length === 0) {
      this.out.copy(NO_KEY);
      this.noKey();
      return;
    }
    const event = this.#event;
    event.keyFrom = this.out.at + KEY.length;
    this.#writeKey(spans, this.#keyMember);
    event.keyTo = this.out.at;
    event.keyHash = this.#hashKey(spans);
  }

  /** The next `emitLine` has no key. All such events share the lane of the table. */
  noKey(): void {
    this.#event.keyFrom = this.#event.keyTo = 0;
    this.#event.keyHash = this.tableHash;
  }

  /** Emits the line that starts at `from`, with the key that was written last. */
  emitLine(op: EventOp, from: number, emit: EmitEvent): void {
    const event = this.#event;
    event.op = op;
    event.bytes = this.out.bytes;
    event.from = from;
    event.to = this.out.at;
    emit(event);
  }

  /** Emits the line that starts at `from`, in a format without a key member: its key is written if it is wanted. */
  emitLineWithKey(op: EventOp, spans: ColumnSpans, from: number, emit: EmitEvent): void {
    const event = this.#event;
    event.keyFrom = event.keyTo = 0;
    event.keyHash = this.#hashKey(spans);
    this.#unwrittenKey = this.#keyNames.length === 0 ? undefined : spans;
    this.emitLine(op, from, emit);
    this.#unwrittenKey = undefined;
  }

  /** All lines of a rows event were emitted. */
  releaseMemory(): void {
    if (this.out.reset()) this.#event.bytes = EMPTY;
  }

  #locateKey(): void {
    const spans = this.#unwrittenKey;
    if (spans === undefined) return;
    this.#unwrittenKey = undefined;
    const event = this.#event;
    event.keyFrom = this.out.at;
    this.#writeKey(spans, this.#keyNames);
    event.keyTo = this.out.at;
    event.bytes = this.out.bytes;
  }

  #writeKey(spans: ColumnSpans, names: readonly Buffer[]): void {
    const { out } = this;
    for (let i = 0; i < names.length; i++) {
      out.copy(names[i] as Buffer);
      out.copyFromSelf(spans.from[i] as number, spans.to[i] as number);
    }
    out.byte(CLOSE);
  }

  /** The hash of the key's text in the event. Equal keys have equal text, also after a column rule. */
  #hashKey(spans: ColumnSpans): number {
    let hash = this.tableHash;
    for (let i = 0; i < this.#keyNames.length; i++) {
      hash = fnv(hash, this.out.bytes, spans.from[i] as number, spans.to[i] as number);
      hash = Math.imul(hash ^ 0x2c, 0x01000193);
    }
    return hash;
  }
}

const jsonMemberName = (table: Table, column: number): Buffer =>
  Buffer.from(`${jsonString(table.columns[column]?.name ?? '')}:`);

const withLeadingComma = (name: Buffer): Buffer => Buffer.concat([Buffer.from(','), name]);

/** A layout of these columns. A comma precedes each written column except the first. */
function withSeparators(columns: readonly ImageColumn[], missing: readonly ImageColumn[]): ImageLayout {
  let first = true;
  const withSeparator = (column: ImageColumn): ImageColumn => {
    if (column.name.length === 0) return column;
    const name = first ? column.name : withLeadingComma(column.name);
    first = false;
    return { ...column, name };
  };
  return { columns: columns.map(withSeparator), missing: missing.map(withSeparator) };
}

/** FNV-1a over `bytes[from..to)`. */
function fnv(seed: number, bytes: Uint8Array, from: number, to: number): number {
  let hash = seed;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash;
}
