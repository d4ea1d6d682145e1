/**
 * Steps through JSON in bytes and checks its grammar (RFC 8259), without making a value of anything. Verify reads the
 * lake with it: a text stays the text that was written, and a damaged line does not pass.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
/** What is not JSON ends here. */
export const INVALID = -1;
/** MySQL's JSON is at most 100 deep. */
const DEPTH_MAX = 200;

/** The members of one JSON object, one after the other. */
export class MemberCursor {
  /** The name, without its quotes and as it is escaped. */
  nameFrom = 0;
  nameTo = 0;
  valueFrom = 0;
  valueTo = 0;
  /** Behind the closing brace, once `next` has returned false; INVALID if the text is not an object. */
  end = INVALID;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #to = 0;
  #isFirst = true;

  /** Begins with the object there. */
  open(bytes: Buffer, from: number, to: number): void {
    this.#bytes = bytes;
    this.#to = to;
    this.#isFirst = true;
    this.end = INVALID;
    this.#at = bytes[from] === OPEN_OBJECT && from < to ? from + 1 : to;
  }

  /** Moves to the next member. Returns false at the end of the object, and where it is not JSON. */
  next(): boolean {
    const bytes = this.#bytes;
    const to = this.#to;
    let at = this.#at;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    if (at >= to) return false;
    if (bytes[at] === CLOSE_OBJECT) {
      this.end = at + 1;
      return false;
    }
    if (this.#isFirst) this.#isFirst = false;
    else {
      if (bytes[at] !== COMMA) return false;
      at++;
      if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    }
    const nameEnd = bytes[at] === QUOTE ? skipString(bytes, at, to) : INVALID;
    if (nameEnd === INVALID) return false;
    this.nameFrom = at + 1;
    this.nameTo = nameEnd - 1;
    at = nameEnd;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    if (bytes[at] !== COLON) return false;
    at++;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    const end = bytes[at] === QUOTE ? skipString(bytes, at, to) : skipValue(bytes, at, to, 0);
    if (end === INVALID) return false;
    this.valueFrom = at;
    this.valueTo = end;
    this.#at = end;
    return true;
  }

  nameIs(name: Buffer): boolean {
    return spanEquals(this.#bytes, this.nameFrom, this.nameTo, name);
  }
}

export function spanEquals(bytes: Buffer, from: number, to: number, text: Buffer): boolean {
  const { length } = text;
  if (to - from !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
}

/** What a line can have between two tokens, or what ends it; `skipSpace` decides. */
const isSpace = (byte: number | undefined): boolean => byte !== undefined && byte <= 0x20;

function skipSpace(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) break;
    at++;
  }
  return at;
}

/** Where the value ends, or INVALID. */
function skipValue(bytes: Buffer, at: number, to: number, depth: number): number {
  switch (bytes[at]) {
    case QUOTE:
      return skipString(bytes, at, to);
    case OPEN_OBJECT:
      return skipObject(bytes, at, to, depth);
    case OPEN_ARRAY:
      return skipArray(bytes, at, to, depth);
    case 0x74:
      return skipWord(bytes, at, to, 'true');
    case 0x66:
      return skipWord(bytes, at, to, 'false');
    case 0x6e:
      return skipWord(bytes, at, to, 'null');
    default:
      return skipNumber(bytes, at, to);
  }
}

function skipObject(bytes: Buffer, from: number, to: number, depth: number): number {
  if (depth > DEPTH_MAX) return INVALID;
  let at = from + 1;
  if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
  if (bytes[at] === CLOSE_OBJECT) return at < to ? at + 1 : INVALID;
  while (at < to) {
    at = bytes[at] === QUOTE ? skipString(bytes, at, to) : INVALID;
    if (at === INVALID) return INVALID;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    if (bytes[at] !== COLON) return INVALID;
    at++;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    at = bytes[at] === QUOTE ? skipString(bytes, at, to) : skipValue(bytes, at, to, depth + 1);
    if (at === INVALID) return INVALID;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
    if (at >= to) return INVALID;
    if (bytes[at] === CLOSE_OBJECT) return at + 1;
    if (bytes[at] !== COMMA) return INVALID;
    at++;
    if (isSpace(bytes[at])) at = skipSpace(bytes, at, to);
  }
  return INVALID;
}

function skipArray(bytes: Buffer, from: number, to: number, depth: number): number {
  if (depth > DEPTH_MAX) return INVALID;
  let at = skipSpace(bytes, from + 1, to);
  if (bytes[at] === CLOSE_ARRAY) return at < to ? at + 1 : INVALID;
  while (at < to) {
    at = skipValue(bytes, at, to, depth + 1);
    if (at === INVALID) return INVALID;
    at = skipSpace(bytes, at, to);
    if (at >= to) return INVALID;
    if (bytes[at] === CLOSE_ARRAY) return at + 1;
    if (bytes[at] !== COMMA) return INVALID;
    at = skipSpace(bytes, at + 1, to);
  }
  return INVALID;
}

function skipString(bytes: Buffer, from: number, to: number): number {
  for (let at = from + 1; at < to; at++) {
    // Nearly all bytes are text: one look into a table for each, and no other comparison.
    while (ENDS_TEXT[bytes[at] as number] === 0) at++;
    if (at >= to) return INVALID;
    const byte = bytes[at] as number;
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return INVALID;
    at++;
    const letter = bytes[at] as number;
    if (letter === 0x75) {
      for (let i = 0; i < 4; i++) if (!isHex(bytes[++at] as number)) return INVALID;
    } else if (!isEscape(letter)) return INVALID;
  }
  return INVALID;
}

/** Quotes, backslashes and control characters. */
const ENDS_TEXT = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);

/** Whether a backslash and this letter are one character: `"`, `\`, `/`, b, f, n, r, t. */
const isEscape = (letter: number): boolean =>
  letter === QUOTE ||
  letter === BACKSLASH ||
  letter === 0x2f ||
  letter === 0x62 ||
  letter === 0x66 ||
  letter === 0x6e ||
  letter === 0x72 ||
  letter === 0x74;

/** Of the numbers that XOR 0x30 makes 0 to 9, no other byte is one; nothing at all becomes 0x30. */
const isDigit = (byte: number | undefined): boolean => ((byte as number) ^ 0x30) <= 9;
const isHex = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66) || (byte >= 0x41 && byte <= 0x46);

function skipDigits(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && isDigit(bytes[at])) at++;
  return at;
}

function skipNumber(bytes: Buffer, from: number, to: number): number {
  const digits = bytes[from] === 0x2d ? from + 1 : from;
  let at = skipDigits(bytes, digits, to);
  if (at === digits || (bytes[digits] === 0x30 && at > digits + 1)) return INVALID;
  if (at < to && bytes[at] === 0x2e) {
    const fraction = at + 1;
    at = skipDigits(bytes, fraction, to);
    if (at === fraction) return INVALID;
  }
  if (at < to && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    const sign = bytes[at + 1];
    const exponent = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
    at = skipDigits(bytes, exponent, to);
    if (at === exponent) return INVALID;
  }
  return at;
}

function skipWord(bytes: Buffer, at: number, to: number, word: string): number {
  if (at + word.length > to) return INVALID;
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word.charCodeAt(i)) return INVALID;
  return at + word.length;
}
