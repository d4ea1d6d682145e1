import iconv from 'iconv-lite';
import { CdcError } from '../error.ts';
import { quoted } from './json-text.ts';

/** Collation id to MySQL charset name, as the server lists them. */
export type Charsets = ReadonlyMap<number, string>;

/** MySQL's names where iconv-lite knows the charset under another one; MySQL's latin1 is cp1252. */
const ICONV_NAMES: Readonly<Record<string, string>> = {
  latin1: 'cp1252',
  ucs2: 'utf16-be',
  utf16: 'utf16-be',
  utf16le: 'utf16-le',
  utf32: 'utf32-be',
  ujis: 'eucjp',
  eucjpms: 'eucjp',
  macce: 'maccenteuro',
};

const SINGLE_BYTE = new Set([
  'latin1',
  'latin2',
  'latin5',
  'latin7',
  'cp850',
  'cp852',
  'cp866',
  'cp1250',
  'cp1251',
  'cp1256',
  'cp1257',
  'koi8r',
  'koi8u',
  'hebrew',
  'greek',
  'armscii8',
  'macce',
  'macroman',
  'tis620',
]);

export const isUtf8Charset = (name: string): boolean =>
  name === 'utf8mb4' || name === 'utf8mb3' || name === 'utf8' || name === 'ascii';

export const isSingleByte = (name: string): boolean => SINGLE_BYTE.has(name);

export function charsetOf(collation: number, charsets: Charsets): string {
  const name = charsets.get(collation);
  if (name === undefined) {
    throw new CdcError(`the binlog names collation ${collation}, which the server does not list`, {
      hint: 'report this with the server version; nothing was skipped',
    });
  }
  return name;
}

/** Text of bytes in a MySQL charset. */
export function decodeText(bytes: Buffer, charset: string): string {
  if (isUtf8Charset(charset) || charset === 'binary') return bytes.toString('utf8');
  const name = ICONV_NAMES[charset] ?? charset;
  if (!iconv.encodingExists(name)) {
    throw new CdcError(`character set ${charset} cannot be decoded`, {
      hint: 'convert the column to utf8mb4, or exclude the table from `tables`',
    });
  }
  return iconv.decode(bytes, name, { stripBOM: false });
}

/** For a single-byte charset: the JSON-escaped UTF-8 of each of its 256 bytes. */
export function escapedBytes(charset: string): Buffer[] {
  return Array.from({ length: 256 }, (_, byte) => quoted(decodeText(Buffer.of(byte), charset)).subarray(1, -1));
}
