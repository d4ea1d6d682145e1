import { isUtf8 } from 'node:buffer';
import iconv from 'iconv-lite';
import { CdcError } from '../../runtime/error.ts';
import { jsonString } from '../bytes/json-text.ts';
import { decodeMultiByte, isMultiByte } from './multi-byte-charsets.ts';
import { HIGH_HALVES, SWE7_LOW } from './single-byte-charsets.ts';

/** The server's list of collation ids, each with its MySQL charset name. */
export type Charsets = ReadonlyMap<number, string>;

/** iconv-lite's names of the Unicode charsets that are wider than UTF-8. */
const WIDE_UNICODE: Readonly<Record<string, string>> = {
  ucs2: 'utf16-be',
  utf16: 'utf16-be',
  utf16le: 'utf16-le',
  utf32: 'utf32-be',
};

export const isUtf8Charset = (name: string): boolean => name === 'utf8mb4' || name === 'utf8mb3' || name === 'utf8';

export const isSingleByte = (name: string): boolean => name in HIGH_HALVES;

/** Whether bytes below 0x80 are ASCII. */
export const extendsAscii = (name: string): boolean => name !== 'swe7' && !(name in WIDE_UNICODE);

export function charsetOf(collation: number, charsets: Charsets): string {
  const name = charsets.get(collation);
  if (name === undefined) {
    throw new CdcError(`the binlog names collation ${collation}, which the server does not list`, {
      hint: 'report this with the server version (nothing was skipped)',
    });
  }
  return name;
}

/** Decodes bytes of a MySQL charset. Bytes without a Unicode character become `?`, as in CONVERT(… USING utf8mb4). */
export function decodeText(bytes: Buffer, charset: string): string {
  if (isUtf8Charset(charset) || charset === 'binary') return decodeUtf8(bytes);
  if (isSingleByte(charset)) return decodeSingleByte(bytes, charset);
  if (isMultiByte(charset)) return decodeMultiByte(bytes, charset);
  const name = WIDE_UNICODE[charset];
  if (name === undefined) {
    throw new CdcError(`character set ${charset} cannot be decoded`, {
      hint: 'convert the column to utf8mb4, or exclude the table from `tables`',
    });
  }
  // UCS2 can hold half of a surrogate pair, which is not a character.
  return iconv.decode(bytes, name, { stripBOM: false }).replace(/\p{Surrogate}/gu, '?');
}

/** The last place in `at..limit` where text can be cut without cutting a character; undefined if none is certain. */
export function endOfPiece(bytes: Buffer, at: number, limit: number, charset: string): number | undefined {
  if (charset === 'utf32') return limit;
  const isHalfPair = (high: number): boolean => (high & 0xfc) === 0xd8;
  if (charset in WIDE_UNICODE) {
    const high = bytes[charset === 'utf16le' ? limit - 1 : limit - 2] as number;
    return isHalfPair(high) ? limit - 2 : limit;
  }
  let end = limit;
  if (isUtf8Charset(charset)) {
    while (end > limit - 4 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
    return end;
  }
  // No character of several bytes has one below 0x30.
  while (end > at && (bytes[end - 1] as number) >= 0x30) end--;
  return end > at ? end : undefined;
}

/** The JSON-escaped UTF-8 of each of the 256 bytes of a single-byte charset. */
export function escapedBytes(charset: string): Buffer[] {
  return Array.from({ length: 256 }, (_, byte) => jsonString(decodeSingleByte([byte], charset)).subarray(1, -1));
}

function decodeSingleByte(bytes: Iterable<number>, charset: string): string {
  const high = HIGH_HALVES[charset] as string;
  const low = charset === 'swe7' ? SWE7_LOW : {};
  let text = '';
  for (const byte of bytes) text += byte < 0x80 ? (low[byte] ?? String.fromCharCode(byte)) : high[byte - 0x80];
  return text;
}

/** Each byte that is not UTF-8 becomes `?`. A server does not accept such bytes in its columns. */
function decodeUtf8(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const valid = at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length));
    text += valid ? bytes.toString('utf8', at, at + length) : '?';
    at += valid ? length : 1;
  }
  return text;
}
