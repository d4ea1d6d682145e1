import type { EventOp } from '../../model/encoded-event.ts';
import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import type { SnapshotPoint } from '../../model/snapshot-point.ts';
import { jsonString } from '../bytes/json-text.ts';
import { putHex, putUint32 } from '../bytes/number-text.ts';
import type { EmitEvent, ImageLayout, RowImageWriter } from '../row-image-writer.ts';
import {
  type EventFormatOptions,
  type EventFormatter,
  ORDINAL_LENGTH,
  seqPrefix,
  snapshotSeqPrefix,
} from './event-format.ts';

const NO_ORDINAL = '0'.repeat(ORDINAL_LENGTH);
const INSERT = Buffer.from('{"op":"c","before":null,"after":');
const UPDATE = Buffer.from('{"op":"u","before":');
const DELETE = Buffer.from('{"op":"d","before":');
const READ = Buffer.from('{"op":"r","before":null,"after":');
const AFTER = Buffer.from(',"after":');
const NO_AFTER = Buffer.from(',"after":null');

/** Format `debezium`: `{"op":…,"before":…,"after":…,"key":…,"seq":…,"source":{…},"ts_ms":…}`. */
export class DebeziumFormat implements EventFormatter {
  readonly #images: RowImageWriter;
  readonly #epoch: number;
  readonly #sourceHead: string;
  /** From `seq` to the row number: the same for all rows of a rows event, with a gap for the ordinal. */
  #ordinalAt = 0;
  #sourceTail: Buffer;
  #timeTail: Buffer;
  #partial = false;

  constructor(images: RowImageWriter, { name, epoch }: EventFormatOptions) {
    const { schema, name: table } = images.table;
    this.#images = images;
    this.#epoch = epoch;
    this.#sourceHead = `","source":{"connector":"mysql","name":${jsonString(name)},"db":${jsonString(schema)},"table":${jsonString(table)},"server_id":`;
    this.#sourceTail = this.#timeTail = Buffer.alloc(0);
  }

  begin(position: number, transaction: Transaction, now: number, partial: boolean): void {
    const { gtid, file, serverId, committedAt } = transaction;
    this.#partial = partial;
    const name = gtid === '' ? 'null' : `"${gtid}"`;
    this.#share(seqPrefix(this.#epoch, transaction, position), `${serverId},"gtid":${name}`, file, position);
    this.#timeTail = Buffer.from(`,"ts_ms":${committedAt},"snapshot":"false"},"ts_ms":${now}}\n`);
  }

  beginSnapshot(at: SnapshotPoint, now: number): void {
    this.#partial = false;
    this.#share(snapshotSeqPrefix(this.#epoch, at), '0,"gtid":null', at.file, at.position);
    this.#timeTail = Buffer.from(`,"ts_ms":${at.readAt},"snapshot":"true"},"ts_ms":${now}}\n`);
  }

  #share(seqHead: string, server: string, file: string, position: number): void {
    const seq = `,"seq":"${seqHead}`;
    this.#ordinalAt = seq.length;
    this.#sourceTail = Buffer.from(
      `${seq}${NO_ORDINAL}${this.#sourceHead}${server},"file":${JSON.stringify(file)},"pos":${position},"row":`,
    );
  }

  snapshotRow(row: RowsEvent, at: number, ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.out.copy(READ);
    images.writeSnapshotImage(row, at);
    images.writeKeyMember(images.afterSpans);
    this.#end('r', ordinal, 0, emit, 0);
  }

  snapshotDelete(key: Buffer, ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.out.copy(DELETE);
    images.writeKeyText(key);
    images.out.copy(NO_AFTER);
    images.writeKeyMember(images.afterSpans);
    this.#partial = true;
    this.#end('d', ordinal, 0, emit, 0);
    this.#partial = false;
  }

  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, row: number, emit: EmitEvent): number {
    const { op, ordinalBase } = rows;
    const images = this.#images;
    const { out } = images;
    out.at = 0;
    out.copy(op === 'u' ? UPDATE : op === 'c' ? INSERT : DELETE);
    if (op !== 'u') {
      const next = images.writeImage(rows, op === 'c' ? after : before, at);
      if (op === 'd') out.copy(NO_AFTER);
      images.writeKeyMember(images.afterSpans);
      this.#end(op, at - ordinalBase, row, emit, 0);
      return next;
    }
    const middle = images.writeBeforeImage(rows, before, at);
    out.copy(AFTER);
    const next = images.writeAfterImage(rows, after, middle);
    if (images.hasSameKey()) {
      images.writeKeyMember(images.afterSpans);
      this.#end('u', at - ordinalBase, row, emit, 0);
      return next;
    }
    // A changed key is a delete and an insert. The after image can copy key text from the before image, so the first
    // line stays in the buffer while the second is written.
    out.at = 0;
    out.copy(DELETE);
    images.writeBeforeImage(rows, before, at);
    out.copy(NO_AFTER);
    images.writeKeyMember(images.beforeSpans);
    this.#end('d', at - ordinalBase, row, emit, 0);
    const from = out.at;
    out.copy(INSERT);
    images.writeAfterImage(rows, after, middle);
    images.writeKeyMember(images.afterSpans);
    this.#end('c', middle - ordinalBase, row, emit, from);
    return next;
  }

  truncate(ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    images.out.ascii('{"op":"t","before":null,"after":null,"key":null');
    images.noKey();
    this.#end('t', ordinal, 0, emit, 0);
  }

  #end(op: EventOp, ordinal: number, row: number, emit: EmitEvent, from: number): void {
    const { out } = this.#images;
    if (this.#partial) out.ascii(',"partial":true');
    const ordinalAt = out.at + this.#ordinalAt;
    out.copy(this.#sourceTail);
    const end = out.at;
    out.at = ordinalAt;
    putHex(out, ordinal, ORDINAL_LENGTH);
    out.at = end;
    putUint32(out, row);
    out.copy(this.#timeTail);
    this.#images.emitLine(op, from, emit);
  }
}
