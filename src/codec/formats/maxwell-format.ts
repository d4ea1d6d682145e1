import type { RowsEvent, Transaction } from '../../model/rows-event.ts';
import type { SnapshotPoint } from '../../model/snapshot-point.ts';
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

/** `xid` is the file number times this, plus the position. A double is exact up to file 2,097,151. */
const XIDS_PER_FILE = 2 ** 32;

const SNAPSHOT_END = Buffer.from('}\n');
const PARTIAL_DATA = Buffer.from('","partial":true,"data":');
const TYPES = { c: 'insert', u: 'update', d: 'delete' } as const;

/**
 * Format `maxwell`: the JSON of Maxwell's daemon, with `seq`. The lines are unfinished. `MaxwellCommitMarker` appends
 * `"xoffset":…}` or `"commit":true}`, which depends on what follows in the transaction.
 */
export class MaxwellFormat implements EventFormatter {
  readonly #images: RowImageWriter;
  readonly #epoch: number;
  readonly #head: Buffer;
  /** The part of a line that all rows of a rows event share: from after the type to the ordinal. */
  #shared: Buffer;
  #afterSeq: Buffer;
  /** The slots that are in both images: the columns that an update can have changed. */
  #slots: readonly number[] = [];
  #slotsBefore: ImageLayout | undefined;
  #slotsAfter: ImageLayout | undefined;

  constructor(images: RowImageWriter, { epoch }: EventFormatOptions) {
    const { schema, name } = images.table;
    this.#images = images;
    this.#epoch = epoch;
    this.#head = Buffer.from(`{"database":${jsonString(schema)},"table":${jsonString(name)},"type":"`);
    this.#shared = this.#afterSeq = Buffer.alloc(0);
  }

  begin(position: number, transaction: Transaction, _now: number, partial: boolean): void {
    const { gtid, file, fileNumber, serverId, committedAt } = transaction;
    const seconds = Math.floor(committedAt / 1000);
    const xid = fileNumber * XIDS_PER_FILE + transaction.position;
    this.#shared = Buffer.from(
      `","ts":${seconds},"xid":${xid},"position":${JSON.stringify(`${file}:${position}`)}` +
        `${gtid === '' ? '' : `,"gtid":"${gtid}"`},"server_id":${serverId}` +
        `,"seq":"${seqPrefix(this.#epoch, transaction, position)}`,
    );
    this.#afterSeq = Buffer.from(`"${partial ? ',"partial":true' : ''},"data":`);
  }

  beginSnapshot(at: SnapshotPoint, _now: number): void {
    const position = JSON.stringify(`${at.file}:${at.position}`);
    this.#shared = Buffer.from(
      `","ts":${Math.floor(at.readAt / 1000)},"position":${position},"seq":"${snapshotSeqPrefix(this.#epoch, at)}`,
    );
    this.#afterSeq = Buffer.from('","data":');
  }

  /** A row of a SELECT is of no transaction, so its line is finished. */
  snapshotRow(row: RowsEvent, at: number, ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    images.out.at = 0;
    this.#open('bootstrap-insert', ordinal);
    images.writeSnapshotImage(row, at);
    images.out.copy(SNAPSHOT_END);
    images.emitLineWithKey('r', images.afterSpans, 0, emit);
  }

  snapshotDelete(key: Buffer, ordinal: number, emit: EmitEvent): void {
    const images = this.#images;
    const afterSeq = this.#afterSeq;
    images.out.at = 0;
    this.#afterSeq = PARTIAL_DATA;
    this.#open('delete', ordinal);
    this.#afterSeq = afterSeq;
    images.writeKeyText(key);
    images.out.copy(SNAPSHOT_END);
    images.emitLineWithKey('d', images.afterSpans, 0, emit);
  }

  row(rows: RowsEvent, before: ImageLayout, after: ImageLayout, at: number, _row: number, emit: EmitEvent): number {
    const { op, ordinalBase } = rows;
    const images = this.#images;
    const { out } = images;
    out.at = 0;
    if (op !== 'u') {
      this.#open(TYPES[op], at - ordinalBase);
      const next = images.writeImage(rows, op === 'c' ? after : before, at);
      images.emitLineWithKey(op, images.afterSpans, 0, emit);
      return next;
    }
    // The before image is written first, to compare its columns and to copy the changed ones.
    const middle = images.writeBeforeImage(rows, before, at);
    const from = out.at;
    this.#open('update', at - ordinalBase);
    const next = images.writeAfterImage(rows, after, middle);
    if (images.hasSameKey()) {
      this.#putOld(before, after);
      images.emitLineWithKey('u', images.afterSpans, from, emit);
      return next;
    }
    out.at = from;
    this.#open('delete', at - ordinalBase);
    out.copyFromSelf(0, from);
    images.emitLineWithKey('d', images.beforeSpans, from, emit);
    const second = out.at;
    this.#open('insert', middle - ordinalBase);
    images.writeAfterImage(rows, after, middle);
    images.emitLineWithKey('c', images.afterSpans, second, emit);
    return next;
  }

  truncate(ordinal: number, emit: EmitEvent, isSnapshot = false): void {
    const images = this.#images;
    images.out.at = 0;
    this.#open('table-truncate', ordinal);
    images.out.ascii('{}');
    if (isSnapshot) images.out.copy(SNAPSHOT_END);
    images.noKey();
    images.emitLine('t', 0, emit);
  }

  #open(type: string, ordinal: number): void {
    const { out } = this.#images;
    out.copy(this.#head);
    out.ascii(type);
    out.copy(this.#shared);
    putHex(out, ordinal, ORDINAL_LENGTH);
    out.copy(this.#afterSeq);
  }

  /** Appends the before values of the changed columns. */
  #putOld(before: ImageLayout, after: ImageLayout): void {
    const images = this.#images;
    const { out, names } = images;
    let first = true;
    out.ascii(',"old":{');
    for (const slot of this.#sharedSlots(before, after)) {
      if (images.hasSameText(slot)) continue;
      if (!first) out.byte(0x2c);
      first = false;
      out.copy(names[slot] as Buffer);
      out.copyFromSelf(images.beforeSpans.from[slot] as number, images.beforeSpans.to[slot] as number);
    }
    out.byte(0x7d);
  }

  #sharedSlots(before: ImageLayout, after: ImageLayout): readonly number[] {
    if (before !== this.#slotsBefore || after !== this.#slotsAfter) {
      const afterSlots = new Set(after.columns.map(({ slot }) => slot));
      this.#slots = before.columns.map(({ slot }) => slot).filter((slot) => slot >= 0 && afterSlots.has(slot));
      this.#slotsBefore = before;
      this.#slotsAfter = after;
    }
    return this.#slots;
  }
}
