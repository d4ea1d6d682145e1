import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { ValueWriter } from '../bytes/value-writer.ts';
import { patchDocument, readLengthEncodedInteger } from './json-diff.ts';

/** The bit of the value options that says that JSON columns of the after image can be diffs. */
const PARTIAL_JSON_UPDATES = 1;

interface JsonColumn {
  name: Buffer;
  put: ValueWriter;
  json: number;
}

/**
 * Reads the JSON columns of PARTIAL_UPDATE_ROWS events, image by image. It remembers where the before image has each
 * document, and applies the diffs of the after image to these documents. The after image begins with its value options.
 * If they announce diffs, a bitmap follows with one bit per JSON column of the table, even for a column that the image
 * does not contain (MySQL: rpl_record.cc, unpack_row).
 */
export class PartialJsonUpdates {
  readonly #columns: number;
  /** Offset of each document (with its length) in the before image; -1 for a document that the image lacks. */
  readonly #documents: Int32Array;
  #after = false;
  /** Offset of the bitmap; -1 if there is none. */
  #bitmap = -1;

  constructor(columns: number) {
    this.#columns = columns;
    this.#documents = new Int32Array(columns);
  }

  /** Begins an image. Returns the offset of its NULL bitmap. */
  begin(src: Buffer, at: number, end: number, after: boolean): number {
    this.#after = after;
    this.#bitmap = -1;
    if (!after) {
      this.#documents.fill(-1);
      return at;
    }
    const [options, next] = readLengthEncodedInteger(src, at, end);
    if ((options & ~PARTIAL_JSON_UPDATES) !== 0) {
      throw new CdcError(`a row image has the unknown value options ${options}`);
    }
    if (options === 0) return next;
    this.#bitmap = next;
    return next + ((this.#columns + 7) >> 3);
  }

  /** Writes a JSON column of the image. Returns the offset after it. */
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
    // A dropped column has no name and is not written, so its diff need not be applied.
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
  const column = name.toString().replace(/^,|:$/g, '');
  return new CdcError('a partial JSON update lacks its base document', {
    why: `column ${column} is neither in the before image nor complete in the after image`,
    hint:
      "SET GLOBAL binlog_row_image=FULL or SET GLOBAL binlog_row_value_options='', also in sessions that set them; " +
      'then move the checkpoint past this point and copy the table again (cdc backfill)',
  });
}
