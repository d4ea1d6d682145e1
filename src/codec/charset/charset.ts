import { isUtf8 } from 'node:buffer';
import iconv from 'iconv-lite';
import { CdcError } from '../../runtime/error.ts';
import { jsonString } from '../bytes/json-text.ts';
import { decodeMultiByte, isMultiByte } from './multi-byte-charsets.ts';
import { HIGH_HALVES, SWE7_LOW } from './single-byte-charsets.ts';

/** Collation id to MySQL charset name, as the server lists them. */
export type Charsets = ReadonlyMap<number, string>;

/** The Unicode charsets, which need no table of MySQL's own. */
const WIDE: Readonly<Record<string, string>> = {
  ucs2: 'utf16-be',
  utf16: 'utf16-be',
  utf16le: 'utf16-le',
  utf32: 'utf32-be',
};

export const isUtf8Charset = (name: string): boolean => name === 'utf8mb4' || name === 'utf8mb3' || name === 'utf8';

export const isSingleByte = (name: string): boolean => name in HIGH_HALVES;

/** Whether bytes below 0x80 are ASCII. */
export const extendsAscii = (name: string): boolean => name !== 'swe7' && !(name in WIDE);

export function charsetOf(collation: number, charsets: Charsets): string {
  const name = charsets.get(collation);
  if (name === undefined) {
    throw new CdcError(`the binlog names collation ${collation}, which the server does not list`, {
      hint: 'report this with the server version; nothing was skipped',
    });
  }
  return name;
}

/** Text of bytes in a MySQL charset; `?` for what has no Unicode counterpart, as CONVERT(… USING utf8mb4) has it. */
export function decodeText(bytes: Buffer, charset: string): string {
  if (isUtf8Charset(charset) || charset === 'binary') return decodeUtf8(bytes);
  if (isSingleByte(charset)) return decodeSingleByte(bytes, charset);
  if (isMultiByte(charset)) return decodeMultiByte(bytes, charset);
  const name = WIDE[charset];
  if (name === undefined) {
    throw new CdcError(`character set ${charset} cannot be decoded`, {
      hint: 'convert the column to utf8mb4, or exclude the table from `tables`',
    });
  }
  // UCS2 may hold half of a surrogate pair, which is no character.
  return iconv.decode(bytes, name, { stripBOM: false }).replace(/\p{Surrogate}/gu, '?');
}

/** For a single-byte charset: the JSON-escaped UTF-8 of each of its 256 bytes. */
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

/** Bytes that are no UTF-8 become `?` one by one; a server keeps them out of its columns. */
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
