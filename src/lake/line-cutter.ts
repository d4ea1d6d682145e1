/** Whole lines, each with its newline. */
export interface LineBlock {
  bytes: Buffer;
  /** The number of its first line in the object, from 1. */
  firstLine: number;
}

/** Without a newline in so many bytes, it is not a line. An event is at most as long as a packet of the server. */
export const LINE_BYTES_MAX = 64 * 1024 * 1024;
/** Blocks are given once this many bytes of whole lines wait: about what zlib makes of 64 KiB. */
const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Collects bytes, and gives them in blocks of whole lines. It holds at most a block and an incomplete line. */
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

  /**
   * Whole lines that wait; undefined for none. A large piece is not copied: the line that it completes is a block of
   * its own. Each copy is memory that starts the garbage collector, which took half of the time with a larger heap.
   */
  take(): LineBlock | undefined {
    if (this.#whole === 0) return undefined;
    const last = this.#pieces.at(-1) as Buffer;
    const before = this.#bytes - last.length;
    const completed = before + last.indexOf(NEWLINE) + 1;
    const isCheaper = before > 0 && before < last.length && completed < this.#whole;
    return this.#cut(isCheaper ? completed : this.#whole);
  }

  /** @param end where a line ends */
  #cut(end: number): LineBlock {
    const last = this.#pieces.at(-1) as Buffer;
    const before = this.#bytes - last.length;
    let [bytes, rest] = [last.subarray(0, end), last.subarray(end)];
    if (before > 0) {
      // All of them only if the last one has nothing of the block, as at the end of an object.
      const parts = end > before ? [...this.#pieces.slice(0, -1), last.subarray(0, end - before)] : this.#pieces;
      const all = Buffer.concat(parts);
      bytes = all.subarray(0, end);
      rest = end > before ? last.subarray(end - before) : all.subarray(end);
    }
    const block: LineBlock = { bytes, firstLine: this.#line };
    this.#pieces = rest.length > 0 ? [rest] : [];
    this.#bytes -= end;
    this.#whole -= end;
    this.#line += countLines(bytes);
    return block;
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  // The search is native code, and an event has hundreds of bytes.
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
