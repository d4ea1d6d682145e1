import type { RowsEvent, Transaction } from '../model/rows-event.ts';
import type { Table } from '../model/table.ts';
import { CdcError } from '../runtime/error.ts';
import type { ByteWriter } from './bytes/byte-writer.ts';
import { DebeziumFormat } from './formats/debezium-format.ts';
import type { EventFormatOptions, EventFormatter } from './formats/event-format.ts';
import { FlatFormat } from './formats/flat-format.ts';
import { MaxwellFormat } from './formats/maxwell-format.ts';
import { type EmitEvent, RowImageWriter } from './row-image-writer.ts';

const FORMATS = { debezium: DebeziumFormat, flat: FlatFormat, maxwell: MaxwellFormat };

/** Writes the row images of one table version as events. Created once per table version, then reused. */
export class EventWriter {
  readonly table: Table;
  readonly #images: RowImageWriter;
  readonly #format: EventFormatter;

  constructor(table: Table, format: EventFormatOptions, out: ByteWriter) {
    this.table = table;
    this.#images = new RowImageWriter(table, format, out);
    this.#format = new FORMATS[format.format](this.#images, format);
  }

  /** Writes one event per row, or two if an update changes the key, and passes each to `emit`. */
  write(rows: RowsEvent, transaction: Transaction, now: number, emit: EmitEvent): void {
    const { op, bytes, end } = rows;
    const images = this.#images;
    const formatter = this.#format;
    const before = op === 'c' ? images.fullLayout : images.layoutFor(bytes, rows.beforeBitmap);
    const after = op === 'd' ? images.fullLayout : images.layoutFor(bytes, rows.afterBitmap);
    formatter.begin(rows.position, transaction, now, before !== images.fullLayout || after !== images.fullLayout);
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
  }

  /** Writes the event of a TRUNCATE. `ordinal` differs between the tables of one statement. */
  writeTruncate(position: number, ordinal: number, transaction: Transaction, now: number, emit: EmitEvent): void {
    this.#format.begin(position, transaction, now, false);
    this.#format.truncate(ordinal, emit);
  }
}
