import { CHUNK_BYTES_MAX, CHUNK_GROWTH_MAX, CHUNK_ROWS_MAX, FIRST_CHUNK_ROWS } from '../limits.ts';
import type { RowChunk } from '../read/row-chunk.ts';

/** How much of a rate one chunk takes at most, in seconds of it. */
const RATE_SHARE_S = 0.5;

/** Adapts the rows of a chunk of one table, so that reading one takes the target time. */
export class ChunkSize {
  readonly #targetMs: number;
  #rows = FIRST_CHUNK_ROWS;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  /** @param rate rows a second, if they are limited */
  limits(rate: number | undefined): { rows: number; bytes: number } {
    const rows = rate === undefined ? this.#rows : Math.min(this.#rows, Math.max(1, Math.floor(rate * RATE_SHARE_S)));
    return { rows, bytes: CHUNK_BYTES_MAX };
  }

  adapt({ count, bytes, elapsedMs }: Pick<RowChunk, 'count' | 'bytes' | 'elapsedMs'>): void {
    if (count === 0) return;
    const byTime = (count * this.#targetMs) / Math.max(1, elapsedMs);
    const byBytes = (count * CHUNK_BYTES_MAX) / Math.max(1, bytes.length);
    const next = Math.min(byTime, byBytes, this.#rows * CHUNK_GROWTH_MAX, CHUNK_ROWS_MAX);
    this.#rows = Math.max(1, Math.floor(next));
  }

  /** The stream touched too many rows while the chunk was read. */
  halve(): void {
    this.#rows = Math.max(1, this.#rows >> 1);
  }
}
