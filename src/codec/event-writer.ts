import type { RowsEvent, Transaction } from '../model/rows-event.ts';
import type { Table } from '../model/table.ts';
import { CdcError } from '../runtime/error.ts';
import type { Output } from './bytes/byte-writer.ts';
import { DebeziumLine } from './formats/debezium-format.ts';
import type { EmitLine, EventFormat, LineWriter } from './formats/event-format.ts';
import { FlatLine } from './formats/flat-format.ts';
import { MaxwellLine } from './formats/maxwell-format.ts';
import { RowImages } from './row-image-writer.ts';

const LINES = { debezium: DebeziumLine, flat: FlatLine, maxwell: MaxwellLine };

/** Turns the raw row images of one table version into event lines. Compiled once per table map, then reused. */
export class EventWriter {
  readonly table: Table;
  readonly #images: RowImages;
  readonly #line: LineWriter;

  constructor(table: Table, format: EventFormat, out: Output) {
    this.table = table;
    this.#images = new RowImages(table, format, out);
    this.#line = new LINES[format.format](this.#images, format);
  }

  /** Writes one line per row, two where an update changes the key, and hands each to `emit`. */
  write(rows: RowsEvent, transaction: Transaction, now: number, emit: EmitLine): void {
    const { op, bytes, end } = rows;
    const images = this.#images;
    const line = this.#line;
    const before = op === 'c' ? images.whole : images.image(bytes, rows.beforeBitmap);
    const after = op === 'd' ? images.whole : images.image(bytes, rows.afterBitmap);
    images.partialJson = rows.partialJson;
    line.begin(rows.position, transaction, now, before !== images.whole || after !== images.whole);
    let { imagesStart } = rows;
    for (let row = 0; imagesStart < end; row++) imagesStart = line.row(rows, before, after, imagesStart, row, emit);
    if (imagesStart !== end) throw new CdcError('the last row image of an event passes its end');
  }

  /** Writes the event of a TRUNCATE. */
  writeTruncate(position: number, transaction: Transaction, now: number, emit: EmitLine): void {
    this.#line.begin(position, transaction, now, false);
    this.#line.truncate(emit);
  }
}
