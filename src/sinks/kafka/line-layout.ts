import { SEQ_LENGTH } from '../../model/seq.ts';
import { CdcError } from '../../runtime/error.ts';

const QUOTE = 0x22;
const LETTER_E = 0x65;
const LETTER_P = 0x70;

/**
 * What follows the digits. Only a column named seq could look like the member, because a quote within a text is
 * escaped. Format flat refuses such a column, and no column that follows it begins like the source of an event.
 */
const AFTER_SEQ = { debezium: Buffer.from('","source":{"connector'), flat: Buffer.from('"') };

/**
 * Where a finished line has its `seq`, and whether it is of a partial row, without parsing. The search begins at the
 * side of the metadata, and where the previous line had it: their ends have the same length, most of the time.
 */
export class LineLayout {
  readonly #member: Buffer;
  readonly #format: 'debezium' | 'flat' | 'maxwell';
  readonly #prefixLength: number;
  /** Bytes from the member to the end of the previous line. */
  #fromEnd = Number.POSITIVE_INFINITY;

  constructor(format: 'debezium' | 'flat' | 'maxwell', flatPrefix: string) {
    const prefix = format === 'flat' ? flatPrefix : '';
    this.#format = format;
    this.#prefixLength = prefix.length;
    this.#member = Buffer.from(`"${prefix}seq":"`);
  }

  /** Where the digits of the `seq` begin. @throws CdcError if the line has none */
  seqAt(line: Buffer): number {
    const member = this.#member;
    const format = this.#format;
    // The row is before the seq, except in format maxwell.
    if (format === 'maxwell') return this.#digitsAt(line, line.indexOf(member));
    const guess = line.length - this.#fromEnd;
    const after = AFTER_SEQ[format];
    if (guess > 0 && has(line, guess, member) && has(line, guess + member.length + SEQ_LENGTH, after))
      return guess + member.length;
    const found = line.lastIndexOf(member);
    this.#fromEnd = line.length - found;
    return this.#digitsAt(line, found);
  }

  #digitsAt(line: Buffer, member: number): number {
    const at = member + this.#member.length;
    if (member < 0 || line[at + SEQ_LENGTH] !== QUOTE) {
      throw new CdcError('an event line has no seq', { hint: 'report it (nothing was skipped)' });
    }
    return at;
  }

  isPartial(line: Buffer, seqAt: number): boolean {
    const after = seqAt + SEQ_LENGTH;
    switch (this.#format) {
      // `"partial":true,"seq":"`, otherwise `}` or `null` before the comma.
      case 'debezium':
        return line[seqAt - this.#member.length - 2] === LETTER_E;
      // `","_deleted":false,"_partial":true`, otherwise `_ts_ms`.
      case 'flat': {
        const deleted = after + '","deleted":'.length + this.#prefixLength;
        const value = line[deleted] === 0x74 ? 'true'.length : 'false'.length;
        return line[deleted + value + ',"'.length + this.#prefixLength] === LETTER_P;
      }
      // `","partial":true`, otherwise `data`.
      case 'maxwell':
        return line[after + '","'.length] === LETTER_P;
    }
  }
}

/** Whether these bytes are at an offset. A loop is faster than a call of `compare`. */
function has(line: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (line[at + i] !== bytes[i]) return false;
  return true;
}
