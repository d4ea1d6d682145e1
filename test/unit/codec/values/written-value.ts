import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { createValueWriter } from '../../../../src/codec/values/create-value-writer.ts';
import type { ValueFormat } from '../../../../src/codec/values/value-format.ts';
import type { Column } from '../../../../src/model/table.ts';

const DEFAULTS: ValueFormat = {
  bigint: 'number',
  decimal: 'string',
  json: 'string',
  binary: 'base64',
  temporal: 'iso',
  zero_dates: 'text',
  boolean: [],
};
const CHARSETS = new Map([
  [45, 'utf8mb4'],
  [8, 'latin1'],
  [35, 'ucs2'],
  [28, 'gbk'],
  [13, 'sjis'],
]);

/** The output of a column's writer for bytes of a row image. The writer must consume all of them. */
export function written(column: Partial<Column>, bytes: Buffer | string, format: Partial<ValueFormat> = {}): string {
  const whole: Column = {
    ...{ name: 'v', type: 0, meta: 0, nullable: true, unsigned: false, collation: 0, labels: [] },
    ...column,
  };
  const src = typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes;
  const out = new ByteWriter(16);
  const next = createValueWriter(whole, { ...DEFAULTS, ...format }, CHARSETS)(src, 0, src.length, out);
  if (next !== src.length) throw new Error(`the writer consumed ${next} of ${src.length} bytes`);
  return out.bytes.toString('utf8', 0, out.at);
}
