/** Bytes of one chunk. An event that is larger gets a chunk of its own size. */
export const CHUNK_BYTES = 64 * 1024;
/** Free chunks that are kept for the next event; 16 MiB. */
const KEPT = 256;

/** A stretch of a lane's bytes. Offsets count the lane's bytes since it began. */
export interface Chunk {
  readonly bytes: Buffer;
  /** The offset of its first byte. */
  base: number;
  used: number;
}

/** The memory of the lanes: chunks of one size that go from lane to lane, so that a busy stream allocates nothing. */
export class ChunkPool {
  readonly #free: Buffer[] = [];

  take(base: number, length: number): Chunk {
    const bytes =
      length > CHUNK_BYTES ? Buffer.allocUnsafeSlow(length) : (this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES));
    return { bytes, base, used: 0 };
  }

  giveBack({ bytes }: Chunk): void {
    if (bytes.length === CHUNK_BYTES && this.#free.length < KEPT) this.#free.push(bytes);
  }
}
