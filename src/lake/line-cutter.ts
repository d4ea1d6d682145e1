/** Whole lines, each with its newline. */
export interface LineBlock {
  bytes: Buffer;
  /** The number of its first line in the object, from 1. */
  firstLine: number;
}

/** Without a newline in so many bytes, it is not a line. An event is at most as long as a packet of the server. */
export const LINE_BYTES_MAX = 64 * 1024 * 1024;
/** A block is given once it has this many bytes of whole lines. */
const BLOCK_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/** Collects bytes, and gives them in blocks of whole lines. It holds at most a block and the line that is not complete. */
export class LineCutter {
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** How many of them are whole lines. */
  #whole = 0;
  #line = 1;

  /** The number of the first line that was not given. */
  get line(): number {
    return this.#line;
  }

  get isFull(): boolean {
    return this.#whole >= BLOCK_BYTES;
  }

  /** Whether bytes wait that no newline ends. */
  get isWithinLine(): boolean {
    return this.#bytes > this.#whole;
  }

  /** Returns whether the line that it continues is short enough; otherwise nothing is added. */
  add(bytes: Buffer): boolean {
    const first = bytes.indexOf(NEWLINE);
    const lineBytes = this.#bytes - this.#whole + (first < 0 ? bytes.length : first);
    if (lineBytes > LINE_BYTES_MAX) return false;
    if (first >= 0) this.#whole = this.#bytes + bytes.lastIndexOf(NEWLINE) + 1;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    return true;
  }

  /** The whole lines that wait; undefined for none. */
  take(): LineBlock | undefined {
    if (this.#whole === 0) return undefined;
    const [only] = this.#pieces;
    const all = this.#pieces.length === 1 ? (only as Buffer) : Buffer.concat(this.#pieces, this.#bytes);
    const block: LineBlock = { bytes: all.subarray(0, this.#whole), firstLine: this.#line };
    this.#pieces = this.#whole < this.#bytes ? [all.subarray(this.#whole)] : [];
    this.#bytes -= this.#whole;
    this.#whole = 0;
    this.#line += countLines(block.bytes);
    return block;
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  // The search is native code, and an event has hundreds of bytes.
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
