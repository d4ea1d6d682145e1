import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import { quoted } from '../bytes/json-text.ts';
import { putHex } from '../bytes/number-text.ts';
import type { Image, RowImages } from '../row-image-writer.ts';
import { type EmitLine, type EventFormat, type LineWriter, ORDINAL_LENGTH, seqHead } from './event-format.ts';

/** A transaction's number: its place in the binlogs. Exact in a double up to file 2,097,151. */
const POSITIONS = 2 ** 32;

const TYPES = { c: 'insert', u: 'update', d: 'delete' } as const;

/**
 * Format `maxwell`: the JSON of Maxwell's daemon, and our `seq`. The lines are open: whether `"xoffset":…}` or
 * `"commit":true}` ends one shows only with what follows it, and `CommitMark` writes that.
 */
export class MaxwellLine implements LineWriter {
  readonly #images: RowImages;
  readonly #epoch: number;
  readonly #head: Buffer;
  /** What all rows of one event share, from behind the type up to the ordinal. */
  #shared: Buffer;
  #afterSeq: Buffer;
  /** The slots that two images share: what an update may have changed. */
  #slots: readonly number[] = [];
  #slotsBefore: Image | undefined;
  #slotsAfter: Image | undefined;

  constructor(images: RowImages, { epoch }: EventFormat) {
    const { schema, name } = images.table;
    this.#images = images;
    this.#epoch = epoch;
    this.#head = Buffer.from(`{"database":${quoted(schema)},"table":${quoted(name)},"type":"`);
    this.#shared = this.#afterSeq = Buffer.alloc(0);
  }

  begin(position: number, transaction: Transaction, _now: number, partial: boolean): void {
    const { gtid, file, fileNumber, serverId, committedAt } = transaction;
    const seconds = Math.floor(committedAt / 1000);
    const xid = fileNumber * POSITIONS + transaction.position;
    this.#shared = Buffer.from(
      `","ts":${seconds},"xid":${xid},"position":${JSON.stringify(`${file}:${position}`)}` +
        `${gtid === '' ? '' : `,"gtid":"${gtid}"`},"server_id":${serverId}` +
        `,"seq":"${seqHead(this.#epoch, transaction, position)}`,
    );
    this.#afterSeq = Buffer.from(`"${partial ? ',"partial":true' : ''},"data":`);
  }

  row(rows: RowsEvent, before: Image, after: Image, at: number, _row: number, emit: EmitLine): number {
    const { op, bytes, end, ordinalBase } = rows;
    const images = this.#images;
    const { out } = images;
    out.at = 0;
    if (op !== 'u') {
      this.#open(TYPES[op], at - ordinalBase);
      const next = images.put(op === 'c' ? after : before, bytes, at, end, images.after, undefined);
      emit(images.hashKey(images.after), out.bytes, 0, out.at);
      return next;
    }
    // The before image is written in front, to compare its columns and to take the changed ones from.
    const middle = images.put(before, bytes, at, end, images.before, undefined);
    const from = out.at;
    this.#open('update', at - ordinalBase);
    const next = images.put(after, bytes, middle, end, images.after, images.before);
    if (images.sameKey()) {
      this.#putOld(before, after);
      emit(images.hashKey(images.after), out.bytes, from, out.at);
      return next;
    }
    out.at = from;
    this.#open('delete', at - ordinalBase);
    out.repeat(0, from);
    emit(images.hashKey(images.before), out.bytes, from, out.at);
    const second = out.at;
    this.#open('insert', middle - ordinalBase);
    images.put(after, bytes, middle, end, images.after, images.before);
    emit(images.hashKey(images.after), out.bytes, second, out.at);
    return next;
  }

  truncate(emit: EmitLine): void {
    const { out, tableHash } = this.#images;
    out.at = 0;
    this.#open('table-truncate', 0);
    out.ascii('{}');
    emit(tableHash, out.bytes, 0, out.at);
  }

  #open(type: string, ordinal: number): void {
    const { out } = this.#images;
    out.put(this.#head);
    out.ascii(type);
    out.put(this.#shared);
    putHex(out, ordinal, ORDINAL_LENGTH);
    out.put(this.#afterSeq);
  }

  /** Appends the before values of the columns that have changed. */
  #putOld(before: Image, after: Image): void {
    const images = this.#images;
    const { out, names } = images;
    let first = true;
    out.ascii(',"old":{');
    for (const slot of this.#sharedSlots(before, after)) {
      if (images.sameText(slot)) continue;
      if (!first) out.byte(0x2c);
      first = false;
      out.put(names[slot] as Buffer);
      out.repeat(images.before.from[slot] as number, images.before.to[slot] as number);
    }
    out.byte(0x7d);
  }

  #sharedSlots(before: Image, after: Image): readonly number[] {
    if (before !== this.#slotsBefore || after !== this.#slotsAfter) {
      const held = new Set(after.columns.map(({ slot }) => slot));
      this.#slots = before.columns.map(({ slot }) => slot).filter((slot) => slot >= 0 && held.has(slot));
      this.#slotsBefore = before;
      this.#slotsAfter = after;
    }
    return this.#slots;
  }
}
