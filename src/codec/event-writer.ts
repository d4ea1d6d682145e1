import type { RowsEvent, Transaction } from '../change/rows-event.ts';
import { formatSeq } from '../change/seq.ts';
import type { Table } from '../change/table.ts';
import { CdcError } from '../error.ts';
import type { Charsets } from './charset.ts';
import { quoted } from './json-text.ts';
import { putHex, putUint32 } from './number-text.ts';
import type { Output } from './output.ts';
import { type ValueFormat, type ValueWriter, valueWriter } from './value-writer.ts';

/** What does not change over a run of the daemon. */
export interface EventFormat {
  format: 'debezium' | 'flat';
  /** `source.name` of every event. */
  name: string;
  epoch: number;
  flatPrefix: string;
  values: ValueFormat;
  charsets: Charsets;
}

/** Receives each finished line `bytes[from..to)`, newline included, valid during the call, and the hash of its key. */
export type EmitLine = (keyHash: number, bytes: Buffer, from: number, to: number) => void;

interface ImageColumn {
  /** `"name":`, and the same behind a comma. */
  first: Buffer;
  next: Buffer;
  put: ValueWriter;
  /** Place in the row key, or -1. */
  key: number;
}

/** The columns that an image holds, in table order, and the key columns that it lacks. */
interface Image {
  columns: ImageColumn[];
  missing: number[];
}

const NULL = Buffer.from('null');
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Where the text of each key column stands in the output. */
class KeyText {
  readonly from: Int32Array;
  readonly to: Int32Array;
  constructor(columns: number) {
    this.from = new Int32Array(columns);
    this.to = new Int32Array(columns);
  }
}

/** Turns the raw row images of one table version into event lines. Compiled once per table map, then reused. */
export class EventWriter {
  readonly table: Table;
  readonly #format: EventFormat;
  readonly #columns: ImageColumn[];
  readonly #images = new Map<string, Image>();
  readonly #whole: Image;
  readonly #before: KeyText;
  readonly #after: KeyText;
  readonly #keyNames: Buffer[];
  readonly #tableHash: number;
  readonly #sourceHead: Buffer;
  readonly #flatTail: Buffer;
  readonly #out: Output;
  /** The parts of a line that all rows of one event share. */
  #seqHead: Buffer = NULL;
  #sourceTail: Buffer = NULL;
  #timeTail: Buffer = NULL;
  #partial = false;

  constructor(table: Table, format: EventFormat, out: Output) {
    this.table = table;
    this.#format = format;
    this.#out = out;
    this.#columns = table.columns.map((column, i) => {
      const name = quoted(column.name);
      return {
        first: Buffer.concat([name, Buffer.from(':')]),
        next: Buffer.concat([Buffer.from(','), name, Buffer.from(':')]),
        put: valueWriter(column, format.values, format.charsets),
        key: table.key.indexOf(i),
      };
    });
    this.#whole = { columns: this.#columns, missing: [] };
    this.#before = new KeyText(table.key.length);
    this.#after = new KeyText(table.key.length);
    this.#keyNames = table.key.map((column, i) => {
      const { first, next } = this.#columns[column] as ImageColumn;
      return i === 0 ? first : next;
    });
    const db = quoted(table.schema);
    const name = quoted(table.name);
    this.#tableHash = fnv(fnv(0x811c9dc5, db, 0, db.length), name, 0, name.length);
    this.#sourceHead = Buffer.from(
      `","source":{"connector":"mysql","name":${quoted(format.name)},"db":${db},"table":${name},"server_id":`,
    );
    const prefix = format.flatPrefix;
    this.#flatTail = Buffer.from(`,"${prefix}db":${db},"${prefix}table":${name}`);
    if (format.format === 'flat') refuseCollisions(table, prefix);
  }

  /** Writes one line per row, two where an update changes the key, and hands each to `emit`. */
  write(rows: RowsEvent, transaction: Transaction, now: number, emit: EmitLine): void {
    this.#shareParts(rows, transaction, now);
    const { op, bytes, end } = rows;
    const before = op === 'c' ? this.#whole : this.#image(bytes, rows.beforeColumns);
    const after = op === 'd' ? this.#whole : this.#image(bytes, rows.afterColumns);
    this.#partial = before !== this.#whole || after !== this.#whole;
    const one = this.#format.format === 'flat' ? this.#flatRow : this.#debeziumRow;
    let { at } = rows;
    for (let row = 0; at < end; row++) at = one.call(this, rows, before, after, at, row, emit);
    if (at !== end) throw new CdcError('the last row image of an event passes its end');
  }

  /** Writes the event of a TRUNCATE, op `t`. */
  writeTruncate(position: number, transaction: Transaction, now: number, emit: EmitLine): void {
    const shape = { position, bytes: NULL, at: 0, end: 0, eventStart: 0, beforeColumns: 0, afterColumns: 0, op: 'd' };
    this.#shareParts(shape as RowsEvent, transaction, now);
    this.#partial = false;
    const out = this.#out;
    out.at = 0;
    if (this.#format.format === 'flat') {
      out.ascii('{');
      this.#flatEnd('t', false, 0, emit, this.#tableHash);
    } else {
      out.ascii('{"op":"t","before":null,"after":null,"key":null');
      this.#debeziumEnd(0, 0, emit, this.#tableHash);
    }
  }

  #debeziumRow(rows: RowsEvent, before: Image, after: Image, at: number, row: number, emit: EmitLine): number {
    const { op, bytes, end, eventStart } = rows;
    const out = this.#out;
    out.at = 0;
    out.ascii(
      op === 'u' ? '{"op":"u","before":' : op === 'c' ? '{"op":"c","before":null,"after":' : '{"op":"d","before":',
    );
    if (op !== 'u') {
      const next = this.#putImage(op === 'c' ? after : before, bytes, at, end, this.#after, undefined);
      if (op === 'd') out.ascii(',"after":null');
      this.#debeziumEnd(at - eventStart, row, emit, this.#putKey(this.#after));
      return next;
    }
    const middle = this.#putImage(before, bytes, at, end, this.#before, undefined);
    out.ascii(',"after":');
    const next = this.#putImage(after, bytes, middle, end, this.#after, this.#before);
    if (this.#sameKey()) {
      this.#debeziumEnd(at - eventStart, row, emit, this.#putKey(this.#after));
      return next;
    }
    // A changed key is the end of one row and the begin of another. The after image may borrow key text from the
    // before image, so that one stays in front while the second line is made.
    out.at = 0;
    out.ascii('{"op":"d","before":');
    this.#putImage(before, bytes, at, end, this.#before, undefined);
    out.ascii(',"after":null');
    this.#debeziumEnd(at - eventStart, row, emit, this.#putKey(this.#before));
    const from = out.at;
    out.ascii('{"op":"c","before":null,"after":');
    this.#putImage(after, bytes, middle, end, this.#after, this.#before);
    this.#debeziumEnd(middle - eventStart, row, emit, this.#putKey(this.#after), from);
    return next;
  }

  #flatRow(rows: RowsEvent, before: Image, after: Image, at: number, _row: number, emit: EmitLine): number {
    const { op, bytes, end, eventStart } = rows;
    const out = this.#out;
    out.at = 0;
    if (op !== 'u') {
      const next = this.#putImage(op === 'c' ? after : before, bytes, at, end, this.#after, undefined);
      this.#flatEnd(op, op === 'd', at - eventStart, emit, this.#hashKey(this.#after));
      return next;
    }
    // The before image is written in front to compare its key, and sent only if the key changed.
    const middle = this.#putImage(before, bytes, at, end, this.#before, undefined);
    const from = out.at;
    const next = this.#putImage(after, bytes, middle, end, this.#after, this.#before);
    if (this.#sameKey()) {
      this.#flatEnd('u', false, at - eventStart, emit, this.#hashKey(this.#after), from);
      return next;
    }
    out.at = from;
    this.#flatEnd('d', true, at - eventStart, emit, this.#hashKey(this.#before));
    const second = out.at;
    this.#putImage(after, bytes, middle, end, this.#after, this.#before);
    this.#flatEnd('c', false, middle - eventStart, emit, this.#hashKey(this.#after), second);
    return next;
  }

  /**
   * Appends an image as a JSON object and notes where its key columns stand. Key columns that a partial image lacks
   * are taken from `lender`, the before image of the same row.
   */
  #putImage(image: Image, src: Buffer, at: number, end: number, key: KeyText, lender: KeyText | undefined): number {
    const out = this.#out;
    const { columns, missing } = image;
    const count = columns.length;
    const nulls = at;
    let from = at + ((count + 7) >> 3);
    out.byte(OPEN);
    for (let i = 0; i < count; i++) {
      const column = columns[i] as ImageColumn;
      out.put(i === 0 ? column.first : column.next);
      const start = out.at;
      if (((src[nulls + (i >> 3)] as number) & (1 << (i & 7))) !== 0) out.put(NULL);
      else from = column.put(src, from, end, out);
      if (column.key >= 0) {
        key.from[column.key] = start;
        key.to[column.key] = out.at;
      }
    }
    if (from > end)
      throw new CdcError('a row image is longer than its event', { why: `it passes the end by ${from - end} bytes` });
    if (missing.length > 0) this.#putMissingKey(count, missing, key, lender);
    out.byte(CLOSE);
    return from;
  }

  #putMissingKey(count: number, missing: number[], key: KeyText, lender: KeyText | undefined): void {
    const out = this.#out;
    missing.forEach((slot, i) => {
      if (lender === undefined) {
        throw new CdcError(`an event of ${this.table.schema}.${this.table.name} lacks a column of its key`, {
          hint: 'set binlog_row_image=FULL, or MINIMAL with the key columns logged',
        });
      }
      const column = this.#columns[this.table.key[slot] as number] as ImageColumn;
      out.put(count + i === 0 ? column.first : column.next);
      key.from[slot] = out.at;
      out.repeat(lender.from[slot] as number, lender.to[slot] as number);
      key.to[slot] = out.at;
    });
  }

  #sameKey(): boolean {
    const { bytes } = this.#out;
    for (let i = 0; i < this.#keyNames.length; i++) {
      const a = this.#before.from[i] as number;
      const b = this.#after.from[i] as number;
      const length = (this.#before.to[i] as number) - a;
      if ((this.#after.to[i] as number) - b !== length) return false;
      for (let j = 0; j < length; j++) if (bytes[a + j] !== bytes[b + j]) return false;
    }
    return true;
  }

  /** Appends `,"key":…` and returns the hash that picks the lane. */
  #putKey(key: KeyText): number {
    const out = this.#out;
    if (this.#keyNames.length === 0) {
      out.ascii(',"key":null');
      return this.#tableHash;
    }
    out.ascii(',"key":{');
    for (let i = 0; i < this.#keyNames.length; i++) {
      out.put(this.#keyNames[i] as Buffer);
      out.repeat(key.from[i] as number, key.to[i] as number);
    }
    out.byte(CLOSE);
    return this.#hashKey(key);
  }

  #hashKey(key: KeyText): number {
    let hash = this.#tableHash;
    for (let i = 0; i < this.#keyNames.length; i++) {
      hash = fnv(hash, this.#out.bytes, key.from[i] as number, key.to[i] as number);
      hash = Math.imul(hash ^ 0x2c, 0x01000193);
    }
    return hash;
  }

  #debeziumEnd(ordinal: number, row: number, emit: EmitLine, hash: number, from = 0): void {
    const out = this.#out;
    if (this.#partial) out.ascii(',"partial":true');
    out.put(this.#seqHead);
    putHex(out, ordinal, 10);
    out.put(this.#sourceTail);
    putUint32(out, row);
    out.put(this.#timeTail);
    emit(hash, out.bytes, from, out.at);
  }

  /** Turns the closing brace of the image into the metadata fields. */
  #flatEnd(op: string, deleted: boolean, ordinal: number, emit: EmitLine, hash: number, from = 0): void {
    const out = this.#out;
    const prefix = this.#format.flatPrefix;
    if (out.at - from > 1) {
      out.at -= 1;
      out.byte(0x2c);
    }
    out.ascii(`"${prefix}op":"${op}","${prefix}seq":"`);
    out.put(this.#seqHead);
    putHex(out, ordinal, 10);
    out.ascii(deleted ? `","${prefix}deleted":true` : `","${prefix}deleted":false`);
    if (this.#partial) out.ascii(`,"${prefix}partial":true`);
    out.put(this.#timeTail);
    emit(hash, out.bytes, from, out.at);
  }

  #shareParts(rows: RowsEvent, transaction: Transaction, now: number): void {
    const seq = formatSeq({
      epoch: this.#format.epoch,
      file: transaction.fileNumber,
      position: rows.position,
      ordinal: 0,
    }).slice(0, -10);
    const { gtid, file, serverId, committedAt } = transaction;
    if (this.#format.format === 'flat') {
      this.#seqHead = Buffer.from(seq);
      this.#timeTail = Buffer.from(`,"${this.#format.flatPrefix}ts_ms":${committedAt}${this.#flatTail}}\n`);
      return;
    }
    this.#seqHead = Buffer.from(`,"seq":"${seq}`);
    const name = gtid === '' ? 'null' : `"${gtid}"`;
    this.#sourceTail = Buffer.concat([
      this.#sourceHead,
      Buffer.from(`${serverId},"gtid":${name},"file":${JSON.stringify(file)},"pos":${rows.position},"row":`),
    ]);
    this.#timeTail = Buffer.from(`,"ts_ms":${committedAt},"snapshot":"false"},"ts_ms":${now}}\n`);
  }

  /** The image for a bitmap of present columns; nearly always all of them. */
  #image(bytes: Buffer, bitmap: number): Image {
    const count = this.#columns.length;
    const text = bytes.toString('latin1', bitmap, bitmap + ((count + 7) >> 3));
    let image = this.#images.get(text);
    if (image === undefined) {
      const present = this.#columns.filter((_, i) => (text.charCodeAt(i >> 3) & (1 << (i & 7))) !== 0);
      const missing = this.table.key.map((_, slot) => slot).filter((slot) => !present.some((c) => c.key === slot));
      image = present.length === count ? this.#whole : { columns: present, missing };
      this.#images.set(text, image);
    }
    return image;
  }
}

/** FNV-1a over `bytes[from..to)`. */
function fnv(seed: number, bytes: Uint8Array, from: number, to: number): number {
  let hash = seed;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash;
}

function refuseCollisions(table: Table, prefix: string): void {
  const own = ['op', 'seq', 'deleted', 'partial', 'ts_ms', 'db', 'table'].map((name) => prefix + name);
  const collision = table.columns.find((column) => own.includes(column.name));
  if (collision) {
    throw new CdcError(`column ${collision.name} of ${table.schema}.${table.name} has the name of a metadata field`, {
      exitCode: 2,
      hint: 'set flat_prefix to another prefix, such as __cdc_',
    });
  }
}
