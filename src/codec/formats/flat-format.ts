import type { RowOp, RowsEvent, Transaction } from '../../model/rows-event.ts';
import { CdcError } from '../../runtime/error.ts';
import { jsonString } from '../bytes/json-text.ts';
import { putHex } from '../bytes/number-text.ts';
import type { EmitEvent, ImageLayout, RowImageWriter } from '../row-image-writer.ts';
import { type EventFormatOptions, type EventFormatter, ORDINAL_LENGTH, seqPrefix } from './event-format.ts';

/** Names of the metadata fields behind their prefix. */
const FIELDS = ['op', 'seq', 'deleted', 'partial', 'ts_ms', 'db', 'table'];

/** Format `flat`: the row's columns at top level, then the metadata fields; a delete carries the last image. */
export class FlatFormat implements EventFormatter {
  readonly #images: RowImageWriter;
  readonly #epoch: number;
  readonly #tableTail: string;
  readonly #prefix: string;
  /** `"_op":"u","_seq":"` by op; and the fields that follow the seq. */
  readonly #heads: Readonly<Record<RowOp | 't', Buffer>>;
  readonly #deleted: Buffer;
  readonly #live: Buffer;
  readonly #partial: Buffer;
  /** The parts of a line that all rows of one event share. */
  #seqHead: Buffer;
  #timeTail: Buffer;
  #isPartial = false;

  constructor(images: RowImageWriter, { epoch, flatPrefix }: EventFormatOptions) {
    const { schema, name: table } = images.table;
    this.#images = images;
    this.#epoch = epoch;
    this.#prefix = flatPrefix;
    const head = (op: string): Buffer => Buffer.from(`"${flatPrefix}op":"${op}","${flatPrefix}seq":"`);
    this.#heads = { c: head('c'), u: head('u'), d: head('d'), t: head('t') };
    this.#deleted = Buffer.from(`","${flatPrefix}deleted":true`);
    this.#live = Buffer.from(`","${flatPrefix}deleted":false`);
    this.#partial = Buffer.from(`,"${flatPrefix}partial":true`);
    this.#tableTail = `,"${flatPrefix}db":${jsonString(schema)},"${flatPrefix}table":${jsonString(table)}}\n`;
    this.#seqHead = this.#timeTail = Buffer.alloc(0);
    refuseCollisions(images, flatPrefix);
  }

  begin(position: number, transaction: Transaction, _now: number, partial: boolean): void {
    this.#isPartial = partial;
    this.#seqHead = Buffer.from(seqPrefix(this.#epoch, transaction, position));
    this.#timeTail = Buffer.from(`,"${this.#prefix}ts_ms":${transaction.committedAt}${this.#tableTail}`);
  }

  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, _row: number, emit: EmitEvent): number {
    const { op, ordinalBase } = rows;
    const images = this.#images;
    const { out } = images;
    out.at = 0;
    if (op !== 'u') {
      const next = images.writeImage(rows, op === 'c' ? after : before, at);
      this.#end(op, at - ordinalBase, 0);
      images.emitWithKey(images.after, 0, emit);
      return next;
    }
    // The before image is written in front, to compare its key. It is sent only if the key changed.
    const middle = images.writeBeforeImage(rows, before, at);
    const from = out.at;
    const next = images.writeAfterImage(rows, after, middle);
    if (images.hasSameKey()) {
      this.#end('u', at - ordinalBase, from);
      images.emitWithKey(images.after, from, emit);
      return next;
    }
    out.at = from;
    this.#end('d', at - ordinalBase, 0);
    images.emitWithKey(images.before, 0, emit);
    const second = out.at;
    images.writeAfterImage(rows, after, middle);
    this.#end('c', middle - ordinalBase, second);
    images.emitWithKey(images.after, second, emit);
    return next;
  }

  truncate(emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.out.ascii('{}');
    this.#end('t', 0, 0);
    images.noKey();
    images.emit(0, emit);
  }

  /** Turns the closing brace of the image into the metadata fields. */
  #end(op: RowOp | 't', ordinal: number, from: number): void {
    const { out } = this.#images;
    out.at -= 1;
    if (out.at - from > 1) out.byte(0x2c);
    out.copy(this.#heads[op]);
    out.copy(this.#seqHead);
    putHex(out, ordinal, ORDINAL_LENGTH);
    out.copy(op === 'd' ? this.#deleted : this.#live);
    if (this.#isPartial) out.copy(this.#partial);
    out.copy(this.#timeTail);
  }
}

/** Compares without case: the readers of a lake do. */
function refuseCollisions({ table, columnNames }: RowImageWriter, prefix: string): void {
  const own = new Set(FIELDS.map((name) => (prefix + name).toLowerCase()));
  const collision = columnNames.find((name) => own.has(name.toLowerCase()));
  if (collision !== undefined) {
    throw new CdcError(`column ${collision} of ${table.schema}.${table.name} has the name of a metadata field`, {
      exitCode: 2,
      hint: 'set flat_prefix to another prefix, such as __cdc_, or drop the column (columns:)',
    });
  }
}
