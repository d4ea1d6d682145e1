import { CdcError } from '../../runtime/error.ts';

/** Reads an event body from front to back and never past its end. Row images are not read here but in codec/. */
export class ByteCursor {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Moves over the next `length` bytes and returns their offset. */
  skip(length: number): number {
    const at = this.at;
    if (!(length >= 0) || at + length > this.end) {
      throw new CdcError('a binlog event is shorter than its fields', {
        why: `the next field has ${length} bytes, ${this.end - at} are left`,
      });
    }
    this.at = at + length;
    return at;
  }

  u8(): number {
    return this.bytes[this.skip(1)] as number;
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.skip(2));
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.skip(4));
  }

  u48(): number {
    return this.bytes.readUIntLE(this.skip(6), 6);
  }

  /** Seven bytes, the width of a timestamp in microseconds. */
  u56(): number {
    const at = this.skip(7);
    return this.bytes.readUInt32LE(at) + this.bytes.readUIntLE(at + 4, 3) * 2 ** 32;
  }

  /** Eight bytes that must stay below 2^53. */
  u64(what: string): number {
    const value = this.bytes.readBigUInt64LE(this.skip(8));
    if (value > Number.MAX_SAFE_INTEGER) throw new CdcError(`${what} ${value} is larger than 2^53`);
    return Number(value);
  }

  /** A length-encoded integer (MySQL protocol documentation, "Integer Types"). */
  lenenc(): number {
    const first = this.u8();
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.u16();
    if (first === 0xfd) return this.bytes.readUIntLE(this.skip(3), 3);
    if (first === 0xfe) return this.u64('a length');
    throw new CdcError('a binlog event has an invalid length', { why: `length byte 0x${first.toString(16)}` });
  }

  text(length: number, encoding: BufferEncoding = 'utf8'): string {
    const at = this.skip(length);
    return this.bytes.toString(encoding, at, at + length);
  }

  slice(length: number): Buffer {
    const at = this.skip(length);
    return this.bytes.subarray(at, at + length);
  }

  /** Moves over the next `length` bytes and returns a cursor over them. */
  subCursor(length: number): ByteCursor {
    const at = this.skip(length);
    return new ByteCursor(this.bytes, at, at + length);
  }

  /** @throws CdcError if bytes are left: the layout is not the one that was read */
  expectEnd(what: string): void {
    if (this.remaining > 0)
      throw new CdcError(`${what} is longer than its fields`, { why: `${this.remaining} bytes are left` });
  }

  get remaining(): number {
    return this.end - this.at;
  }
}
