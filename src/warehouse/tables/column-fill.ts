import type { ValueOptions } from '../../config/schema.ts';
import { GENERATED, IMPLICIT } from '../../source/schema/declared-columns.ts';
import type { ColumnKind } from './landed-table.ts';

/**
 * What rows have for a column that was added after they were written, as the text of a value in an event: the default,
 * and for a NOT NULL column without one the zero of its type, as ALTER TABLE gives it. Undefined for NULL, and for a
 * default that is not the same for every row.
 * @param defaultText as information_schema writes it, or a mark of `readDeclaredColumns`
 */
export function columnFill(
  column: { dataType: string; columnType: string; defaultText?: string },
  kind: ColumnKind,
  values: ValueOptions,
): string | undefined {
  const { defaultText } = column;
  if (defaultText === undefined || defaultText === GENERATED) return undefined;
  if (defaultText === IMPLICIT) return implicitValue(column, kind, values);
  switch (kind.kind) {
    case 'integer':
      return integerText(defaultText);
    case 'decimal':
    case 'float':
    case 'double':
      return /^-?\d/.test(defaultText) ? defaultText : undefined;
    case 'date':
    case 'datetime':
    case 'timestamp':
      return temporalText(defaultText, values);
    case 'time':
      return values.temporal !== 'epoch_micros' && /^-?\d+:\d\d:\d\d/.test(defaultText) ? defaultText : undefined;
    case 'binary':
      return binaryText(column, defaultText, values);
    case 'text':
      return defaultText;
    case 'json':
      // A default of JSON is an expression.
      return undefined;
  }
}

/** The zero of a type as the text of a value in an event: what MySQL gives a NOT NULL column that has no default. */
export function implicitValue(
  { dataType, columnType }: { dataType: string; columnType: string },
  kind: ColumnKind,
  values: ValueOptions,
): string | undefined {
  switch (kind.kind) {
    case 'integer':
    case 'decimal':
    case 'float':
    case 'double':
      return '0';
    case 'time':
      return values.temporal === 'epoch_micros' ? '0' : '00:00:00';
    case 'text': {
      if (dataType !== 'enum') return '';
      const [, label = ''] = /^enum\('((?:[^']|'')*)'/.exec(columnType) ?? [];
      return label.replaceAll("''", "'");
    }
    case 'binary': {
      const length = dataType === 'binary' ? Number(/\d+/.exec(columnType)?.[0] ?? 1) : 0;
      return Buffer.alloc(length).toString(values.binary);
    }
    case 'json':
      return dataType === 'json' ? 'null' : undefined;
    case 'date':
    case 'datetime':
    case 'timestamp':
      // The zero date, which no warehouse has.
      return undefined;
  }
}

function integerText(text: string): string | undefined {
  const [, bits] = /^b'([01]+)'$/.exec(text) ?? [];
  if (bits !== undefined) return String(BigInt(`0b${bits}`));
  return /^-?\d+$/.test(text) ? text : undefined;
}

/** CURRENT_TIMESTAMP is another time for each row. */
function temporalText(text: string, { temporal }: ValueOptions): string | undefined {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return undefined;
  if (temporal === 'mysql') return text;
  if (temporal === 'iso') return text.replace(' ', 'T');
  const ms = Date.parse(`${text.slice(0, 19).replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}`);
  if (Number.isNaN(ms)) return undefined;
  return String(BigInt(ms) * 1000n + BigInt(text.slice(20).padEnd(6, '0')));
}

function binaryText(
  { dataType, columnType }: { dataType: string; columnType: string },
  text: string,
  values: ValueOptions,
): string {
  const bytes = /^0x([0-9a-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), 'hex') : Buffer.from(text);
  const length = dataType === 'binary' ? Number(/\d+/.exec(columnType)?.[0] ?? 1) : bytes.length;
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, length - bytes.length))]).toString(values.binary);
}
