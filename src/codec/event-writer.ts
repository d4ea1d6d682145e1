import type { RowsEvent, Transaction } from '../model/rows-event.ts';
import type { SnapshotPoint } from '../model/snapshot-point.ts';
import type { Table } from '../model/table.ts';
import { CdcError } from '../runtime/error.ts';
import type { ByteWriter } from './bytes/byte-writer.ts';
import { asRowImage } from './bytes/row-packet.ts';
import { DebeziumFormat } from './formats/debezium-format.ts';
import type { EventFormatOptions, EventFormatter } from './formats/event-format.ts';
import { FlatFormat } from './formats/flat-format.ts';
import { MaxwellFormat } from './formats/maxwell-format.ts';
import { type EmitEvent, RowImageWriter, type RowSource } from './row-image-writer.ts';

const FORMATS = { debezium: DebeziumFormat, flat: FlatFormat, maxwell: MaxwellFormat };
const EMPTY = Buffer.alloc(0);

/**
 * Writes the rows of one table version as events. Created once per table version, then reused. The rows are the row
 * images of the binlog, for `write`, or the packets of a prepared SELECT, for `writeSnapshotRow`.
 */
export class EventWriter {
  readonly table: Table;
  readonly #images: RowImageWriter;
  readonly #format: EventFormatter;
  /** The row of a SELECT that is being written. Filled again for each, so that none allocates one. */
  readonly #snapshotRow: RowsEvent = {
    op: 'c',
    bytes: EMPTY,
    imagesStart: 0,
    end: 0,
    beforeBitmap: 0,
    afterBitmap: 0,
    ordinalBase: 0,
    position: 0,
    partialJson: false,
  };

  constructor(table: Table, format: EventFormatOptions, out: ByteWriter, rows: RowSource = 'row-image') {
    this.table = table;
    this.#images = new RowImageWriter(table, format, out, rows);
    this.#format = new FORMATS[format.format](this.#images, format);
  }

  /**
   * Writes one event per row, or two if an update changes the key, and passes each to `emit`. Returns the number of
   * rows.
   */
  write(rows: RowsEvent, transaction: Transaction, now: number, emit: EmitEvent): number {
    const { op, bytes, end } = rows;
    const images = this.#images;
    const formatter = this.#format;
    const before = op === 'c' ? images.fullLayout : images.layoutFor(bytes, rows.beforeBitmap);
    const after = op === 'd' ? images.fullLayout : images.layoutFor(bytes, rows.afterBitmap);
    const isPartial = before !== images.fullLayout || after !== images.fullLayout;
    images.setPartial(isPartial);
    formatter.begin(rows.position, transaction, now, isPartial);
    let at = rows.imagesStart;
    let row = 0;
    // A row image without columns has no bytes (MINIMAL, an insert of defaults alone), so the first row is always read,
    // as a replica does (MySQL: Rows_log_event::do_apply_event).
    do {
      const next = formatter.row(rows, before, after, at, row++, emit);
      if (next === at && at < end) throw new CdcError('a rows event has bytes, but its images have no columns');
      at = next;
    } while (at < end);
    if (at !== end) throw new CdcError('the last row image of a rows event ends after the event');
    images.releaseMemory();
    return row;
  }

  /** Writes the event of a TRUNCATE. `ordinal` differs between the tables of one statement. */
  writeTruncate(position: number, ordinal: number, transaction: Transaction, now: number, emit: EmitEvent): void {
    this.#images.setPartial(false);
    this.#format.begin(position, transaction, now, false);
    this.#format.truncate(ordinal, emit);
  }

  /** Prepares for rows of a SELECT that belong to this place in the stream. */
  beginSnapshot(at: SnapshotPoint, now: number): void {
    this.#images.setPartial(false);
    this.#format.beginSnapshot(at, now);
  }

  /**
   * Writes the row packet `packet[from..to)`, without its header of four bytes, as one `r` event. Changes the NULL
   * bitmap of the packet. `ordinal` is unique among the rows of one epoch.
   */
  writeSnapshotRow(packet: Buffer, from: number, to: number, ordinal: number, emit: EmitEvent): void {
    const row = this.#snapshotRow;
    row.bytes = packet;
    row.end = to;
    this.#format.snapshotRow(row, asRowImage(packet, from, to, this.table.columns.length), ordinal, emit);
  }

  /**
   * Writes a `d` event of a key that a SELECT did not find. Its key, its hash and so its lane are those of every other
   * event with this key.
   * @param key the JSON text of the key, as an event has it
   * @throws CdcError if it is not the key of an event of the table
   */
  writeSnapshotDelete(key: Buffer, ordinal: number, emit: EmitEvent): void {
    this.#images.setPartial(true);
    this.#format.snapshotDelete(key, ordinal, emit);
    this.#images.setPartial(false);
  }

  /** Writes the event that empties the table, before the first row of a copy that replaces what was sent of it. */
  writeSnapshotTruncate(ordinal: number, emit: EmitEvent): void {
    this.#format.truncate(ordinal, emit, true);
  }

  /** All rows of the SELECT were written. */
  endSnapshot(): void {
    this.#snapshotRow.bytes = EMPTY;
    this.#images.releaseMemory();
  }
}
