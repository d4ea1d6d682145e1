import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { jsonString } from '../bytes/json-text.ts';
import { putHex, putUint32 } from '../bytes/number-text.ts';
import type { ImageLayout, RowImageWriter } from '../row-image-writer.ts';
import {
  type EmitEvent,
  type EventFormatOptions,
  type EventFormatter,
  ORDINAL_LENGTH,
  seqPrefix,
} from './event-format.ts';

const NO_ORDINAL = '0'.repeat(ORDINAL_LENGTH);
const INSERT = Buffer.from('{"op":"c","before":null,"after":');
const UPDATE = Buffer.from('{"op":"u","before":');
const DELETE = Buffer.from('{"op":"d","before":');
const AFTER = Buffer.from(',"after":');
const NO_AFTER = Buffer.from(',"after":null');

/** Format `debezium`: `{"op":…,"before":…,"after":…,"key":…,"seq":…,"source":{…},"ts_ms":…}`. */
export class DebeziumFormat implements EventFormatter {
  readonly #images: RowImageWriter;
  readonly #epoch: number;
  readonly #sourceHead: string;
  /** The parts of a line that all rows of one event share: from `seq` to the row number, with a gap for the ordinal. */
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
    const seq = `,"seq":"${seqPrefix(this.#epoch, transaction, position)}`;
    this.#ordinalAt = seq.length;
    const name = gtid === '' ? 'null' : `"${gtid}"`;
    this.#sourceTail = Buffer.from(
      `${seq}${NO_ORDINAL}${this.#sourceHead}${serverId},"gtid":${name},"file":${JSON.stringify(file)},"pos":${position},"row":`,
    );
    this.#timeTail = Buffer.from(`,"ts_ms":${committedAt},"snapshot":"false"},"ts_ms":${now}}\n`);
  }

  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, row: number, emit: EmitEvent): number {
    const { op, bytes, end, ordinalBase } = rows;
    const images = this.#images;
    const { out } = images;
    out.at = 0;
    out.copy(op === 'u' ? UPDATE : op === 'c' ? INSERT : DELETE);
    if (op !== 'u') {
      const next = images.writeImage(op === 'c' ? after : before, bytes, at, end, images.after, undefined);
      if (op === 'd') out.copy(NO_AFTER);
      this.#end(at - ordinalBase, row, emit, images.writeKey(images.after), 0);
      return next;
    }
    const middle = images.writeImage(before, bytes, at, end, images.before, undefined);
    out.copy(AFTER);
    const next = images.writeImage(after, bytes, middle, end, images.after, images.before);
    if (images.hasSameKey()) {
      this.#end(at - ordinalBase, row, emit, images.writeKey(images.after), 0);
      return next;
    }
    // A changed key is the end of one row and the begin of another. The after image may borrow key text from the
    // before image, so that one stays in front while the second line is made.
    out.at = 0;
    out.copy(DELETE);
    images.writeImage(before, bytes, at, end, images.before, undefined);
    out.copy(NO_AFTER);
    this.#end(at - ordinalBase, row, emit, images.writeKey(images.before), 0);
    const from = out.at;
    out.copy(INSERT);
    images.writeImage(after, bytes, middle, end, images.after, images.before);
    this.#end(middle - ordinalBase, row, emit, images.writeKey(images.after), from);
    return next;
  }

  truncate(emit: EmitEvent): void {
    const { out, tableHash } = this.#images;
    out.at = 0;
    out.ascii('{"op":"t","before":null,"after":null,"key":null');
    this.#end(0, 0, emit, tableHash, 0);
  }

  #end(ordinal: number, row: number, emit: EmitEvent, hash: number, from: number): void {
    const { out } = this.#images;
    if (this.#partial) out.ascii(',"partial":true');
    const ordinalAt = out.at + this.#ordinalAt;
    out.copy(this.#sourceTail);
    const behind = out.at;
    out.at = ordinalAt;
    putHex(out, ordinal, ORDINAL_LENGTH);
    out.at = behind;
    putUint32(out, row);
    out.copy(this.#timeTail);
    emit(hash, out.bytes, from, out.at);
  }
}
