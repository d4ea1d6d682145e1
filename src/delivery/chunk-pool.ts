/** Bytes of one chunk, at most and at least. An event that is larger gets a chunk of its own size. */
export const CHUNK_BYTES = 64 * 1024;
const CHUNK_BYTES_MIN = 2 * 1024;
/** Bytes of free chunks that are kept for the next events. */
const FREE_BYTES_MAX = 16 * 1024 * 1024;

/** A stretch of a lane's bytes. Offsets count the lane's bytes since it began. */
export interface Chunk {
  readonly bytes: Buffer;
  /** The offset of its first byte. */
  base: number;
  used: number;
}

/** The memory of the lanes: chunks of one size that go from lane to lane, so that a busy stream allocates nothing. */
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
