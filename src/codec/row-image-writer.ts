import type { EncodedEvent } from '../model/encoded-event.ts';
import type { RowsEvent } from '../model/rows-event.ts';
import { ColumnType, type Table } from '../model/table.ts';
import { CdcError } from '../runtime/error.ts';
import type { ByteWriter } from './bytes/byte-writer.ts';
import { jsonString } from './bytes/json-text.ts';
import type { ValueWriter } from './bytes/value-writer.ts';
import type { Charsets } from './charset/charset.ts';
import { PartialJsonUpdates } from './json/partial-json-updates.ts';
import { assertKeyColumnsKept, type FindColumnRule, ruledValueWriter } from './values/column-rule-writer.ts';
import { createValueWriter } from './values/create-value-writer.ts';
import { maxwellValueWriter } from './values/maxwell-value.ts';
import type { ValueFormat } from './values/value-format.ts';

/** Receives each finished event, which is valid during the call only. */
export type EmitEvent = (event: EncodedEvent) => void;

/** What decides how the columns of a table are written. */
export interface RowImageOptions {
  format: 'debezium' | 'flat' | 'maxwell';
  values: ValueFormat;
  charsets: Charsets;
  columnRule?: FindColumnRule;
}

/** A column as one image holds it. */
interface ImageColumn {
  /** `"name":`, behind a comma unless it comes first; nothing for a dropped column. */
  name: Buffer;
  /** What a NULL is written as: nothing for a dropped column. */
  nullText: Buffer;
  put: ValueWriter;
  /** Where its text is noted in a `Spans`, or -1. Key columns come first, in key order. */
  slot: number;
  /** Its number among the JSON columns of the table, or -1. */
  json: number;
}

/** The columns that an image holds, in table order, and the key columns that it lacks. */
export interface ImageLayout {
  columns: ImageColumn[];
  missing: ImageColumn[];
}

const NULL = Buffer.from('null');
const KEY = Buffer.from(',"key":');
const NO_KEY = Buffer.from(',"key":null');
const NOTHING = Buffer.alloc(0);
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Where the text of columns stands in the output, by slot. */
export class ColumnSpans {
  readonly from: Int32Array;
  readonly to: Int32Array;
  constructor(slots: number) {
    this.from = new Int32Array(slots);
    this.to = new Int32Array(slots);
  }
}

/**
 * Writes the row images of one table version as JSON objects, and the row keys in them. Compiled with the format and
 * the column rules, so that a table without rules pays nothing for them.
 */
export class RowImageWriter {
  readonly table: Table;
  readonly out: ByteWriter;
  /** Hash of the table's name: the lane of a row without a key. */
  readonly tableHash: number;
  /** The image that holds every column. */
  readonly fullImage: ImageLayout;
  /** Where the noted columns of the before and after image of the current row stand. */
  readonly before: ColumnSpans;
  readonly after: ColumnSpans;
  /** The columns that are not dropped. */
  readonly columnNames: readonly string[];
  /** `"name":` of each slot. */
  readonly names: readonly Buffer[];
  readonly #columns: readonly ImageColumn[];
  readonly #images = new Map<string, ImageLayout>();
  /** `{"a":`, then `,"b":` of each key column. */
  readonly #keyNames: readonly Buffer[];
  /** The event of every `emit`. */
  readonly #event: EncodedEvent = { bytes: NOTHING, from: 0, to: 0, keyFrom: 0, keyTo: 0, keyHash: 0 };
  readonly #partialJsonUpdates: PartialJsonUpdates;

  constructor(table: Table, format: RowImageOptions, out: ByteWriter) {
    this.table = table;
    this.out = out;
    const rules = table.columns.map(({ name }) => format.columnRule?.(table.schema, table.name, name));
    assertKeyColumnsKept(table, rules);
    this.columnNames = table.columns.filter((_, i) => rules[i]?.kind !== 'drop').map(({ name }) => name);
    let jsonColumns = 0;
    const maxwell = format.format === 'maxwell';
    const names: Buffer[] = [];
    table.key.forEach((column, slot) => {
      names[slot] = jsonMemberName(table, column);
    });
    this.#columns = table.columns.map((column, i) => {
      const plain = (maxwell ? maxwellValueWriter : createValueWriter)(column, format.values, format.charsets);
      const rule = rules[i];
      const put = rule === undefined ? plain : ruledValueWriter(rule, plain);
      const json = column.type === ColumnType.JSON ? jsonColumns++ : -1;
      if (rule?.kind === 'drop') return { name: NOTHING, nullText: NOTHING, put, slot: -1, json };
      const name = jsonMemberName(table, i);
      // Format maxwell compares every column, to tell which have changed.
      const slot = maxwell && !table.key.includes(i) ? names.push(name) - 1 : table.key.indexOf(i);
      return { name, nullText: NULL, put, slot, json };
    });
    this.#partialJsonUpdates = new PartialJsonUpdates(jsonColumns);
    this.names = names;
    this.#keyNames = names
      .slice(0, table.key.length)
      .map((name, i) => (i === 0 ? Buffer.concat([Buffer.of(OPEN), name]) : withLeadingComma(name)));
    this.fullImage = withSeparators(this.#columns, []);
    this.before = new ColumnSpans(names.length);
    this.after = new ColumnSpans(names.length);
    const schemaName = jsonString(table.schema);
    const tableName = jsonString(table.name);
    this.tableHash = fnv(fnv(0x811c9dc5, schemaName, 0, schemaName.length), tableName, 0, tableName.length);
  }

  /** The image for a bitmap of present columns; nearly always all of them. */
  layoutFor(bytes: Buffer, bitmap: number): ImageLayout {
    const count = this.#columns.length;
    const text = bytes.toString('latin1', bitmap, bitmap + ((count + 7) >> 3));
    let image = this.#images.get(text);
    if (image === undefined) {
      const present = this.#columns.filter((_, i) => (text.charCodeAt(i >> 3) & (1 << (i & 7))) !== 0);
      const missing = this.table.key
        .map((column) => this.#columns[column] as ImageColumn)
        .filter((column) => !present.includes(column));
      image = present.length === count ? this.fullImage : withSeparators(present, missing);
      this.#images.set(text, image);
    }
    return image;
  }

  /** Appends the only image of an inserted or deleted row, as `writeBeforeImage` does. */
  writeImage(rows: RowsEvent, layout: ImageLayout, at: number): number {
    return this.#write(rows, layout, at, this.after, undefined);
  }

  /** Appends the image at `at` as a JSON object, notes where its columns stand, and returns the offset after it. */
  writeBeforeImage(rows: RowsEvent, layout: ImageLayout, at: number): number {
    return this.#write(rows, layout, at, this.before, undefined);
  }

  /** The same for the after image. Key columns that it lacks are taken from the before image of the same row. */
  writeAfterImage(rows: RowsEvent, layout: ImageLayout, at: number): number {
    return this.#write(rows, layout, at, this.after, this.before);
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
      throw new CdcError('a row image is longer than its event', { why: `it passes the end by ${from - end} bytes` });
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
    const a = this.before.from[slot] as number;
    const b = this.after.from[slot] as number;
    const length = (this.before.to[slot] as number) - a;
    if ((this.after.to[slot] as number) - b !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
    return true;
  }

  /** Appends the member `,"key":…` of a line; the key of the next `emit` is this one. */
  writeKeyMember(spans: ColumnSpans): void {
    if (this.#keyNames.length === 0) {
      this.out.copy(NO_KEY);
      this.noKey();
      return;
    }
    this.out.copy(KEY);
    this.#writeKey(spans);
  }

  /** The next `emit` is of an event without a key: all of them share the table's lane. */
  noKey(): void {
    this.#event.keyFrom = this.#event.keyTo = 0;
    this.#event.keyHash = this.tableHash;
  }

  /** Emits the line that began at `from`, with the key that was written or set last. */
  emit(from: number, emit: EmitEvent): void {
    const event = this.#event;
    event.bytes = this.out.bytes;
    event.from = from;
    event.to = this.out.at;
    emit(event);
  }

  /** Emits the line that began at `from`, in a format without a key member: the key is written after the line. */
  emitWithKey(spans: ColumnSpans, from: number, emit: EmitEvent): void {
    const event = this.#event;
    const to = this.out.at;
    if (this.#keyNames.length === 0) this.noKey();
    else this.#writeKey(spans);
    event.bytes = this.out.bytes;
    event.from = from;
    event.to = to;
    emit(event);
  }

  #writeKey(spans: ColumnSpans): void {
    const { out } = this;
    const event = this.#event;
    event.keyFrom = out.at;
    for (let i = 0; i < this.#keyNames.length; i++) {
      out.copy(this.#keyNames[i] as Buffer);
      out.copyFromSelf(spans.from[i] as number, spans.to[i] as number);
    }
    out.byte(CLOSE);
    event.keyTo = out.at;
    event.keyHash = this.#hashKey(spans);
  }

  /** The hash of the key's text as it is sent: equal keys have equal text, hashed ones too. */
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

/** An image of these columns, each but the first that is written behind a comma. */
function withSeparators(columns: readonly ImageColumn[], missing: readonly ImageColumn[]): ImageLayout {
  let first = true;
  const punctuate = (column: ImageColumn): ImageColumn => {
    if (column.name.length === 0) return column;
    const name = first ? column.name : withLeadingComma(column.name);
    first = false;
    return { ...column, name };
  };
  return { columns: columns.map(punctuate), missing: missing.map(punctuate) };
}

/** FNV-1a over `bytes[from..to)`. */
function fnv(seed: number, bytes: Uint8Array, from: number, to: number): number {
  let hash = seed;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash;
}
