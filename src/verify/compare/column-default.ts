import { type DeclaredColumn, GENERATED, IMPLICIT } from '../../source/schema/declared-columns.ts';

const EXACT_TYPES = new Set(['decimal', 'date', 'time', 'datetime', 'timestamp']);
const NUMBER_TYPES = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'bit', 'year', 'float', 'double']);
const ZERO = /^-?0*(\.0+)?$|^(0000-00-00)?( ?00:00:00(\.0+)?)?$/;

/**
 * Whether a row that was there before the column has this value: the default of the column, as the server converts it
 * in a SELECT. information_schema writes it in its own way.
 */
export function isDefaultValue({ dataType, columnType, defaultText }: DeclaredColumn, value: Buffer): boolean {
  if (defaultText === undefined) return false;
  if (defaultText === GENERATED) return true;
  const text = value.toString();
  if (defaultText === IMPLICIT) return isImplicit(dataType, columnType, text);
  if (text === defaultText) return true;
  if (EXACT_TYPES.has(dataType)) return shortest(text) === shortest(defaultText);
  if (dataType === 'bit') return text === bitNumber(defaultText);
  if (dataType === 'float') return Math.fround(Number(text)) === Math.fround(Number(defaultText));
  if (dataType === 'double') return Number(text) === Number(defaultText);
  if (!dataType.endsWith('binary')) return false;
  const bytes = /^0x([0-9a-f]{2})*$/i.test(defaultText) ? Buffer.from(defaultText.slice(2), 'hex') : defaultText;
  return unpadded(text) === unpadded(bytes.toString());
}

/** What rows get for a NOT NULL column without a default: the first label, zero, or nothing. */
function isImplicit(dataType: string, columnType: string, text: string): boolean {
  if (dataType === 'enum') {
    const [, label = ''] = /^enum\('((?:[^']|'')*)'/.exec(columnType) ?? [];
    return text.toLowerCase() === label.replaceAll("''", "'");
  }
  if (dataType === 'json') return text === 'null';
  return NUMBER_TYPES.has(dataType) || EXACT_TYPES.has(dataType) ? ZERO.test(text) : unpadded(text) === '';
}

/** Without zeros at the end of a fraction. */
const shortest = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** The number of a literal such as b'101'. */
const bitNumber = (literal: string): string => {
  const [, bits] = /^b'([01]+)'$/.exec(literal) ?? [];
  return bits === undefined ? literal : String(BigInt(`0b${bits}`));
};

/** BINARY(n) fills values up with zero bytes. */
const unpadded = (text: string): string => text.replace(/\0+$/, '');
