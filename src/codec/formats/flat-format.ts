import type { EventOp } from '../../model/encoded-event.ts';
import { FLAT_FIELDS } from '../../model/flat-fields.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import type { SnapshotPoint } from '../../model/snapshot-point.ts';
import { CdcError } from '../../runtime/error.ts';
import { jsonString } from '../bytes/json-text.ts';
import { putHex } from '../bytes/number-text.ts';
import type { EmitEvent, ImageLayout, RowImageWriter } from '../row-image-writer.ts';
import {
  type EventFormatOptions,
  type EventFormatter,
  ORDINAL_LENGTH,
  seqPrefix,
  snapshotSeqPrefix,
} from './event-format.ts';

/** Format `flat`: the columns of the row at the top level, then the metadata fields. A delete has the before image. */
export class FlatFormat implements EventFormatter {
  readonly #images: RowImageWriter;
  readonly #epoch: number;
  readonly #tableTail: string;
  readonly #prefix: string;
  /** `"_op":"u","_seq":"` by op. */
  readonly #heads: Readonly<Record<EventOp, Buffer>>;
  /** The fields after the seq. */
  readonly #deleted: Buffer;
  readonly #live: Buffer;
  readonly #partial: Buffer;
  /** The parts of a line that all rows of a rows event share. */
  #seqHead: Buffer;
  #timeTail: Buffer;
  #isPartial = false;

  constructor(images: RowImageWriter, { epoch, flatPrefix }: EventFormatOptions) {
    const { schema, name: table } = images.table;
    this.#images = images;
    this.#epoch = epoch;
    this.#prefix = flatPrefix;
    const head = (op: string): Buffer => Buffer.from(`"${flatPrefix}op":"${op}","${flatPrefix}seq":"`);
    this.#heads = { c: head('c'), u: head('u'), d: head('d'), r: head('r'), t: head('t') };
    this.#deleted = Buffer.from(`","${flatPrefix}deleted":true`);
    this.#live = Buffer.from(`","${flatPrefix}deleted":false`);
    this.#partial = Buffer.from(`,"${flatPrefix}partial":true`);
    this.#tableTail = `,"${flatPrefix}db":${jsonString(schema)},"${flatPrefix}table":${jsonString(table)}}\n`;
    this.#seqHead = this.#timeTail = Buffer.alloc(0);
    assertNoFieldNames(images, flatPrefix);
  }

  begin(position: number, transaction: Transaction, _now: number, partial: boolean): void {
    this.#isPartial = partial;
    this.#seqHead = Buffer.from(seqPrefix(this.#epoch, transaction, position));
    this.#timeTail = Buffer.from(`,"${this.#prefix}ts_ms":${transaction.committedAt}${this.#tableTail}`);
  }

  beginSnapshot(at: SnapshotPoint, _now: number): void {
    this.#isPartial = false;
    this.#seqHead = Buffer.from(snapshotSeqPrefix(this.#epoch, at));
    this.#timeTail = Buffer.from(`,"${this.#prefix}ts_ms":${at.readAt}${this.#tableTail}`);
  }

  snapshotRow(row: RowsEvent, at: number, ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.writeSnapshotImage(row, at);
    this.#end('r', ordinal, 0);
    images.emitLineWithKey('r', images.afterSpans, 0, emit);
  }

  snapshotDelete(key: Buffer, ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.writeKeyText(key);
    this.#isPartial = true;
    this.#end('d', ordinal, 0);
    this.#isPartial = false;
    images.emitLineWithKey('d', images.afterSpans, 0, emit);
  }

  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, _row: number, emit: EmitEvent): number {
    const { op, ordinalBase } = rows;
    const images = this.#images;
    const { out } = images;
    out.at = 0;
    if (op !== 'u') {
      const next = images.writeImage(rows, op === 'c' ? after : before, at);
      this.#end(op, at - ordinalBase, 0);
      images.emitLineWithKey(op, images.afterSpans, 0, emit);
      return next;
    }
    // The before image is written first, to compare its key. It is sent only if the key changed.
    const middle = images.writeBeforeImage(rows, before, at);
    const from = out.at;
    const next = images.writeAfterImage(rows, after, middle);
    if (images.hasSameKey()) {
      this.#end('u', at - ordinalBase, from);
      images.emitLineWithKey('u', images.afterSpans, from, emit);
      return next;
    }
    out.at = from;
    this.#end('d', at - ordinalBase, 0);
    images.emitLineWithKey('d', images.beforeSpans, 0, emit);
    const second = out.at;
    images.writeAfterImage(rows, after, middle);
    this.#end('c', middle - ordinalBase, second);
    images.emitLineWithKey('c', images.afterSpans, second, emit);
    return next;
  }

  truncate(ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.out.ascii('{}');
    this.#end('t', ordinal, 0);
    images.noKey();
    images.emitLine('t', 0, emit);
  }

  /** Turns the closing brace of the image into the metadata fields. */
  #end(op: EventOp, ordinal: number, from: number): void {
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

/** Compares the names without case, as the query engines of a lake do. */
function assertNoFieldNames({ table, columnNames }: RowImageWriter, prefix: string): void {
  const fields = new Set(FLAT_FIELDS.map((name) => (prefix + name).toLowerCase()));
  const collision = columnNames.find((name) => fields.has(name.toLowerCase()));
  if (collision !== undefined) {
    throw new CdcError(`column ${collision} of ${table.schema}.${table.name} has the name of a metadata field`, {
      exitCode: 2,
      hint: 'set flat_prefix to another prefix, such as __cdc_, or drop the column (columns:)',
    });
  }
}
