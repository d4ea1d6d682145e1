import { createHash, webcrypto } from 'node:crypto';

/** Smaller bodies are hashed at once: they are sent when there is little to do. */
const LARGE_BYTES = 256 * 1024;
/** Large bodies that are hashed at once, to measure the processor. The fastest counts. */
const PROBES = 4;
/** With SHA instructions a processor hashes about 2 GB/s. Then the copy for another thread costs as much. */
const FAST_BYTES_PER_MS = 1_000_000;

/**
 * The SHA-256 of request bodies, for their signature. On a processor without SHA instructions it takes as long as
 * writing the events (about 0.4 GB/s), so that a thread of libuv's pool does it there.
 */
export class BodyHash {
  readonly #fastBytesPerMs: number;
  #probes = 0;
  #bytesPerMs = 0;

  constructor(fastBytesPerMs = FAST_BYTES_PER_MS) {
    this.#fastBytesPerMs = fastBytesPerMs;
  }

  /** Whether another thread hashes large bodies. */
  get usesPool(): boolean {
    return this.#probes >= PROBES && this.#bytesPerMs < this.#fastBytesPerMs;
  }

  /** The hash in hexadecimal digits. The body can change once this has returned its promise. */
  async of(body: Buffer): Promise<string> {
    const isLarge = body.length >= LARGE_BYTES;
    if (isLarge && this.usesPool) return Buffer.from(await webcrypto.subtle.digest('SHA-256', body)).toString('hex');
    const start = performance.now();
    const hash = createHash('sha256').update(body).digest('hex');
    if (isLarge && this.#probes < PROBES) {
      this.#probes++;
      this.#bytesPerMs = Math.max(this.#bytesPerMs, body.length / (performance.now() - start));
    }
    return hash;
  }
}
