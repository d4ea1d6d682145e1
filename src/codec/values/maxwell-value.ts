import { type Column, ColumnType as T } from '../../model/table.ts';
import { CdcError } from '../../runtime/error.ts';
import { jsonString } from '../bytes/json-text.ts';
import type { BytesFormatter, ValueWriter } from '../bytes/value-writer.ts';
import type { Charsets } from '../charset/charset.ts';
import { createValueWriter } from './create-value-writer.ts';
import { sizedWriter } from './string-column.ts';
import type { ValueFormat } from './value-format.ts';
import { putWkt } from './wkt.ts';

/** The `values` options that format maxwell decides itself. */
export const MAXWELL_VALUES = { temporal: 'mysql', decimal: 'number', json: 'nested' } as const;

/**
 * Creates the writer of one column in format maxwell. Dates have a space and no zone, DECIMAL is a bare number, JSON is
 * nested, SET is an array and GEOMETRY is text. Other types are the same in every format. Conventions of Maxwell that
 * lose digits are not followed.
 */
export function maxwellValueWriter(column: Column, format: ValueFormat, charsets: Charsets): ValueWriter {
  switch (column.type) {
    case T.SET:
      return setArrayWriter(column.labels, column.meta);
    case T.GEOMETRY:
      return sizedWriter(column.meta, putQuotedWkt);
    default:
      return createValueWriter(column, { ...format, ...MAXWELL_VALUES }, charsets);
  }
}

export function setArrayWriter(labels: readonly string[], width: number): ValueWriter {
  const texts = labels.map(jsonString);
  return (src, at, end, out) => {
    if (at + width > end) throw new CdcError('a SET value is longer than its event');
    let first = true;
    out.byte(0x5b);
    for (let i = 0; i < width * 8; i++) {
      if (((src[at + (i >> 3)] as number) & (1 << (i & 7))) === 0) continue;
      const text = texts[i];
      if (text === undefined)
        throw new CdcError(`a SET value has member ${i}, but the column has ${labels.length} labels`);
      if (!first) out.byte(0x2c);
      out.copy(text);
      first = false;
    }
    out.byte(0x5d);
    return at + width;
  };
}

/** A stored geometry is four bytes of SRID, then the WKB. */
export const putQuotedWkt: BytesFormatter = (out, src, from, to) => {
  out.byte(0x22);
  putWkt(out, src, from, to);
  out.byte(0x22);
};
