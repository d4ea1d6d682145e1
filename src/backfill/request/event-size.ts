/** What is known of the columns of a table without reading a row: how many there are of each type. */
export interface ColumnTypes {
  /** `int`, `varchar`, `datetime` … */
  type: string;
  count: number;
  /** Characters of all their names. */
  nameCharacters: number;
}

interface TypeSize {
  /** Bytes in the table; undefined if they depend on the value. */
  stored?: number;
  /** Characters in an event, or their number for each stored byte. */
  written: number;
}

/** Typical values, not the longest. A value that is a string in JSON has its two quotes. */
const SIZES: Readonly<Record<string, TypeSize>> = {
  tinyint: { stored: 1, written: 1 },
  smallint: { stored: 2, written: 3 },
  mediumint: { stored: 3, written: 5 },
  int: { stored: 4, written: 6 },
  bigint: { stored: 8, written: 9 },
  bit: { stored: 2, written: 3 },
  year: { stored: 1, written: 4 },
  float: { stored: 4, written: 8 },
  double: { stored: 8, written: 12 },
  decimal: { stored: 6, written: 9 },
  date: { stored: 3, written: 12 },
  time: { stored: 4, written: 12 },
  datetime: { stored: 6, written: 24 },
  timestamp: { stored: 5, written: 25 },
  enum: { stored: 1, written: 10 },
  set: { stored: 1, written: 12 },
  uuid: { stored: 16, written: 38 },
  inet4: { stored: 4, written: 15 },
  inet6: { stored: 16, written: 28 },
  // In base64, 4 characters are 3 bytes.
  binary: { written: 4 / 3 },
  varbinary: { written: 4 / 3 },
  tinyblob: { written: 4 / 3 },
  blob: { written: 4 / 3 },
  mediumblob: { written: 4 / 3 },
  longblob: { written: 4 / 3 },
  geometry: { written: 4 / 3 },
  // The binary document has lengths and offsets; its text has quotes that JSON escapes again.
  json: { written: 1.4 },
  // Four bytes are a number of about 10 digits and a comma.
  vector: { written: 11 / 4 },
};
/** CHAR, VARCHAR, TEXT and types that this list does not know. */
const TEXT: TypeSize = { written: 1.02 };

/** Characters of an event around the columns: the fields of the format, a short key, names of schema and table. */
const FRAME = { debezium: 380, flat: 130, maxwell: 190 } as const;
/** Bytes that a row takes in a page beside its values. */
const ROW_OVERHEAD = 20;
/** A value of varying length in a table that is too small to tell. */
const SMALL_VALUE_BYTES = 16;
/** A page of InnoDB. A table of one page has no row length that means anything. */
export const PAGE_BYTES = 16 * 1024;

/**
 * About how many bytes the event of a row has.
 * @param rowBytes what the server says is the average length of a row; undefined if that means nothing
 */
export function estimateEventBytes(
  format: keyof typeof FRAME,
  columns: readonly ColumnTypes[],
  rowBytes: number | undefined,
): number {
  let fixed = 0;
  let written = 0;
  let varying = 0;
  let varyingWritten = 0;
  for (const { type, count, nameCharacters } of columns) {
    const size = SIZES[type] ?? TEXT;
    // "name":value,
    written += nameCharacters + 4 * count;
    if (size.stored !== undefined) {
      fixed += size.stored * count;
      written += size.written * count;
    } else {
      varying += count;
      varyingWritten += size.written * count;
      written += 2 * count;
    }
  }
  if (varying > 0) {
    const left = rowBytes === undefined ? SMALL_VALUE_BYTES * varying : rowBytes - ROW_OVERHEAD - fixed;
    written += Math.max(left, varying) * (varyingWritten / varying);
  }
  return Math.round(FRAME[format] + written);
}
