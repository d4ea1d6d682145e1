import { CHUNK_BYTES, CHUNK_BYTES_MIN, FREE_BYTES_MAX } from './limits.ts';

/** A contiguous part of a byte queue. */
export interface Chunk {
  readonly bytes: Buffer;
  /** The offset of its first byte in the queue. */
  base: number;
  used: number;
}

/** The memory of the lanes: chunks of one size that lanes share, so a busy stream allocates nothing. */
export class ChunkPool {
  readonly #size: number;
  readonly #free: Buffer[] = [];

  /** @param size bytes of a chunk, kept within bounds */
  constructor(size = CHUNK_BYTES) {
    this.#size = Math.floor(Math.max(CHUNK_BYTES_MIN, Math.min(CHUNK_BYTES, size)));
  }

  acquire(base: number, length: number): Chunk {
    const bytes =
      length > this.#size ? Buffer.allocUnsafeSlow(length) : (this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#size));
    return { bytes, base, used: 0 };
  }

  release({ bytes }: Chunk): void {
    if (bytes.length === this.#size && this.#free.length * this.#size < FREE_BYTES_MAX) this.#free.push(bytes);
  }
}
