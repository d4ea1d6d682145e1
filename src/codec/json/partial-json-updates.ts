import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { ValueWriter } from '../bytes/value-writer.ts';
import { lenenc, patchDocument } from './json-diff.ts';

/** Bit of the value options: some JSON columns of the after image are diffs. */
const PARTIAL_JSON_UPDATES = 1;

interface JsonColumn {
  name: Buffer;
  put: ValueWriter;
  json: number;
}

/**
 * The JSON columns of PARTIAL_UPDATE_ROWS events, image by image: a before image's documents are noted, an after
 * image's diffs applied to them. In front of an after image stand its value options and, for those, a bitmap with one
 * bit for each JSON column of the table, present or not (MySQL: rpl_record.cc, unpack_row).
 */
export class PartialJsonUpdates {
  readonly #columns: number;
  /** Where the before image has each document, length in front; -1 for a document that it does not hold. */
  readonly #documents: Int32Array;
  #after = false;
  /** Where the bitmap stands; -1 for none. */
  #bitmap = -1;

  constructor(columns: number) {
    this.#columns = columns;
    this.#documents = new Int32Array(columns);
  }

  /** Begins an image; returns where its NULL bitmap stands. */
  begin(src: Buffer, at: number, end: number, after: boolean): number {
    this.#after = after;
    this.#bitmap = -1;
    if (!after) {
      this.#documents.fill(-1);
      return at;
    }
    const [options, next] = lenenc(src, at, end);
    if ((options & ~PARTIAL_JSON_UPDATES) !== 0) {
      throw new CdcError(`a row image has the value options ${options}, which are not known`);
    }
    if (options === 0) return next;
    this.#bitmap = next;
    return next + ((this.#columns + 7) >> 3);
  }

  /** Writes a JSON column of the image. Returns the offset behind it. */
  writeColumn(column: JsonColumn, src: Buffer, at: number, end: number, out: ByteWriter): number {
    if (!this.#after) {
      this.#documents[column.json] = at;
      return column.put(src, at, end, out);
    }
    const { json, name } = column;
    if (this.#bitmap < 0 || ((src[this.#bitmap + (json >> 3)] as number) & (1 << (json & 7))) === 0) {
      return column.put(src, at, end, out);
    }
    if (at + 4 > end) throw new CdcError('a value in a row image is longer than its event');
    const from = at + 4;
    const to = from + src.readUInt32LE(at);
    if (to > end) throw new CdcError('a value in a row image is longer than its event');
    // A column that is dropped has no name, and its document does not matter.
    if (name.length === 0) return to;
    const documentOffset = this.#documents[json] as number;
    if (documentOffset < 0) throw noDocument(name);
    const patched = patchDocument(
      src,
      documentOffset + 4,
      documentOffset + 4 + src.readUInt32LE(documentOffset),
      src,
      from,
      to,
    );
    const value = Buffer.allocUnsafe(4 + patched.length);
    value.writeUInt32LE(patched.length, 0);
    patched.copy(value, 4);
    column.put(value, 0, value.length, out);
    return to;
  }
}

function noDocument(name: Buffer): CdcError {
  return new CdcError('a partial JSON update does not hold the document that it changes', {
    why: `column ${name.toString().replace(/^,|:$/g, '')} is neither in its before nor whole in its after image`,
    hint: "SET GLOBAL binlog_row_image=FULL or SET GLOBAL binlog_row_value_options='', also in sessions that set them; then move the checkpoint behind this point and copy the table anew",
  });
}
