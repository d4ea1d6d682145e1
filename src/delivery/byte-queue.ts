import type { Chunk, ChunkPool } from './chunk-pool.ts';

const EMPTY = Buffer.alloc(0);

/**
 * A queue of byte pieces in chunks of a pool. Offsets count the bytes since the queue was created. Every piece is in
 * one chunk and therefore one buffer. The bytes stay unchanged until they are dropped or discarded.
 */
export class ByteQueue {
  readonly #pool: ChunkPool;
  /** Oldest first. */
  readonly #chunks: Chunk[] = [];
  #start = 0;
  #end = 0;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  /** The offset of the oldest byte. */
  get start(): number {
    return this.#start;
  }

  /** The offset after the newest byte. */
  get end(): number {
    return this.#end;
  }

  append(source: Buffer, from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    let chunk = this.#chunks[this.#chunks.length - 1];
    if (chunk === undefined || chunk.used + length > chunk.bytes.length) {
      chunk = this.#pool.acquire(this.#end, length);
      this.#chunks.push(chunk);
    }
    // As Buffer.copy, in two thirds of the time.
    chunk.bytes.set(new Uint8Array(source.buffer, source.byteOffset + from, length), chunk.used);
    chunk.used += length;
    this.#end += length;
  }

  /** The bytes from the start up to `end`, in buffers that follow each other. */
  buffersTo(end: number): Buffer[] {
    const buffers: Buffer[] = [];
    for (const { bytes, base, used } of this.#chunks) {
      const from = Math.max(0, this.#start - base);
      const to = Math.min(used, end - base);
      if (to > from) buffers.push(bytes.subarray(from, to));
      if (base + used >= end) break;
    }
    return buffers;
  }

  /** The oldest `count` pieces, a buffer each. `endOf` returns the offset where a piece ends. */
  pieces(count: number, endOf: (index: number) => number): Buffer[] {
    const pieces: Buffer[] = [];
    let from = this.#start;
    let index = 0;
    for (let i = 0; i < count; i++) {
      const to = endOf(i);
      if (to === from) {
        pieces.push(EMPTY);
        continue;
      }
      let chunk = this.#chunks[index] as Chunk;
      while (to > chunk.base + chunk.used) chunk = this.#chunks[++index] as Chunk;
      pieces.push(chunk.bytes.subarray(from - chunk.base, to - chunk.base));
      from = to;
    }
    return pieces;
  }

  /** Drops the oldest bytes, up to `end`. */
  dropTo(end: number): void {
    this.#start = end;
    let dropped = 0;
    for (let chunk = this.#chunks[0]; chunk && chunk.base + chunk.used <= end; chunk = this.#chunks[++dropped]) {
      this.#pool.release(chunk);
    }
    if (dropped > 0) this.#chunks.splice(0, dropped);
  }

  /** Discards the newest bytes, from `end` on. */
  discardFrom(end: number): void {
    this.#end = end;
    for (let last = this.#chunks.at(-1); last && last.base + last.used > end; last = this.#chunks.at(-1)) {
      last.used = Math.max(0, end - last.base);
      // A chunk without a kept byte goes back; the oldest byte is always in the first chunk.
      if (last.used > 0 && last.base + last.used > this.#start) break;
      this.#pool.release(this.#chunks.pop() as Chunk);
    }
  }
}
