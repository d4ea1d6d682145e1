/** Shorter runs are copied byte by byte, because a call into native code costs more than it saves. */
const NATIVE_COPY_BYTES_MIN = 40;

/** A buffer beyond this is given back after use: one large row must not cost its memory forever. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/** A growing byte buffer that event lines are written into. `at` is the offset of the next byte. */
export class ByteWriter {
  bytes: Buffer;
  at = 0;

  readonly #capacity: number;

  constructor(capacity = 64 * 1024) {
    this.#capacity = capacity;
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Begins again at the start. Returns whether a large buffer was given back; its bytes are gone then. */
  reset(): boolean {
    this.at = 0;
    if (this.bytes.length <= KEPT_BYTES_MAX) return false;
    this.bytes = Buffer.allocUnsafeSlow(this.#capacity);
    return true;
  }

  /** Makes room for `length` more bytes. A writer calls it once with its upper bound, then writes without checks. */
  ensure(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + length));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  /** Appends constant bytes. */
  copy(constant: Uint8Array): void {
    const length = constant.length;
    this.ensure(length);
    const { bytes } = this;
    const { at } = this;
    if (length < NATIVE_COPY_BYTES_MIN) for (let i = 0; i < length; i++) bytes[at + i] = constant[i] as number;
    else bytes.set(constant, at);
    this.at = at + length;
  }

  /** Appends a copy of the bytes that this buffer already holds at `from..to`. */
  copyFromSelf(from: number, to: number): void {
    const length = to - from;
    this.ensure(length);
    const { bytes, at } = this;
    if (length < NATIVE_COPY_BYTES_MIN) for (let i = 0; i < length; i++) bytes[at + i] = bytes[from + i] as number;
    else bytes.copyWithin(at, from, to);
    this.at = at + length;
  }

  byte(value: number): void {
    this.ensure(1);
    this.bytes[this.at++] = value;
  }

  /** Appends ASCII text. */
  ascii(text: string): void {
    this.ensure(text.length);
    const { bytes } = this;
    let { at } = this;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.at = at;
  }
}
