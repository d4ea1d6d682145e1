import type { Config } from '../../src/config/schema.ts';
import { shortestText } from './shortest-text.ts';

export type Values = Config['values'];

/**
 * Selects how a column is read from the server and converted to the JSON of the contract. It shares no code with
 * src/codec: the server itself prints the value as text or as hex, or sends it in the binary protocol for floats.
 */
export type Kind =
  | 'integer'
  | 'tinyint1'
  | 'bigint'
  | 'bit'
  | 'bit1'
  | 'long bit'
  | 'year'
  | 'decimal'
  | 'float'
  | 'double'
  | 'date'
  | 'datetime'
  | 'timestamp'
  | 'time'
  | 'text'
  | 'binary'
  | 'json'
  | 'geometry'
  | 'vector'
  | 'canonical';

/** The server's result: text, or a number from the binary protocol. */
export type Answer = string | number | null;

interface Rendering {
  /** The SELECT expression of a column. */
  select: (column: string) => string;
  /** The JSON text of a non-NULL value. */
  json: (answer: string, values: Values) => string;
}

const asText = (column: string): string => `CAST(${column} AS CHAR)`;
const asHex = (column: string): string => `HEX(${column})`;
const asUtf8 = (column: string): string => `HEX(CONVERT(${column} USING utf8mb4))`;
const quote = (text: string): string => JSON.stringify(text);
const utf8 = (hex: string): string => Buffer.from(hex, 'hex').toString('utf8');
const bytes = (hex: string, { binary }: Values): string =>
  quote(binary === 'hex' ? hex.toLowerCase() : Buffer.from(hex, 'hex').toString('base64'));
const flag = (digits: string, asBoolean: boolean): string =>
  asBoolean && Number(digits) <= 1 && Number(digits) >= 0 ? String(digits === '1') : digits;
const float = (bits: 32 | 64) => ({
  select: (column: string) => column,
  json: (a: string) => shortestText(Number(a), bits),
});

export const RENDERINGS: Record<Kind, Rendering> = {
  // "+ 0" removes the padding of ZEROFILL.
  integer: { select: (c) => asText(`${c} + 0`), json: (a) => a },
  bigint: { select: (c) => asText(`${c} + 0`), json: (a, { bigint }) => (bigint === 'string' ? quote(a) : a) },
  tinyint1: { select: (c) => asText(`${c} + 0`), json: (a, { boolean }) => flag(a, boolean.includes('tinyint1')) },
  bit1: { select: asHex, json: (a, { boolean }) => flag(String(Number(a)), boolean.includes('bit1')) },
  bit: { select: asHex, json: (a) => BigInt(`0x${a}`).toString() },
  'long bit': {
    select: asHex,
    json(a, { bigint }) {
      const digits = BigInt(`0x${a}`).toString();
      return bigint === 'string' ? quote(digits) : digits;
    },
  },
  year: { select: asText, json: (a) => String(Number(a)) },
  decimal: {
    select: asText,
    json(a, { decimal }) {
      const digits = a.replace(/^0+(?=\d)/, '');
      return decimal === 'string' ? quote(digits) : digits;
    },
  },
  float: float(32),
  double: float(64),
  date: { select: asText, json: (a, values) => moment(a, 'date', values) },
  datetime: { select: asText, json: (a, values) => moment(a, 'datetime', values) },
  timestamp: { select: asText, json: (a, values) => moment(a, 'timestamp', values) },
  time: {
    select: asText,
    json(a, { temporal }) {
      if (temporal !== 'epoch_micros') return quote(a);
      const [, sign, hour, minute, second, fraction = ''] = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(a) as string[];
      const seconds = BigInt(hour!) * 3600n + BigInt(minute!) * 60n + BigInt(second!);
      return `${sign}${seconds * 1_000_000n + BigInt(fraction.padEnd(6, '0'))}`;
    },
  },
  text: { select: asUtf8, json: (a) => quote(utf8(a)) },
  binary: { select: asHex, json: bytes },
  json: { select: asUtf8, json: (a, { json }) => (json === 'nested' ? utf8(a) : quote(utf8(a))) },
  geometry: {
    select: asHex,
    json: (a, values) => `{"srid":${Buffer.from(a, 'hex').readUInt32LE(0)},"wkb":${bytes(a.slice(8), values)}}`,
  },
  vector: {
    select: asHex,
    json(a) {
      const floats = Buffer.from(a, 'hex');
      const count = floats.length / 4;
      return `[${Array.from({ length: count }, (_, i) => shortestText(floats.readFloatLE(i * 4), 32)).join(',')}]`;
    },
  },
  canonical: { select: asText, json: quote },
};

/** Floats are read in the binary protocol, because the text protocol of some servers rounds. */
export const isFloat = (kind: Kind): boolean => kind === 'float' || kind === 'double';

export function expectedJson(kind: Kind, answer: Answer, values: Values): string {
  if (answer === null) return 'null';
  // String() would lose the sign of a negative zero.
  return RENDERINGS[kind].json(Object.is(answer, -0) ? '-0' : String(answer), values);
}

function moment(text: string, type: 'date' | 'datetime' | 'timestamp', { temporal, zero_dates }: Values): string {
  const [, year, month, day, hour, minute, second, fraction = ''] =
    /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?$/.exec(text) as string[];
  if ((month === '00' || day === '00') && zero_dates === 'null') return 'null';
  if (temporal === 'epoch_micros') {
    const date = new Date(0);
    date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
    // Days that the calendar lacks, such as 30 February or a zero month, have no number of microseconds.
    if (date.toISOString().slice(-19, -14) === `${month}-${day}`) {
      date.setUTCHours(Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0));
      return String(BigInt(date.getTime()) * 1000n + BigInt(fraction.padEnd(6, '0')));
    }
  }
  if (type === 'date' || temporal === 'mysql') return quote(text);
  return quote(text.replace(' ', 'T') + (type === 'timestamp' ? 'Z' : ''));
}
