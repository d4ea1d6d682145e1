import type { IncomingMessage } from 'node:http';
import { AwsError } from './aws-error.ts';

/** More than 500 records of the largest batch need, so that a batch over 4 MiB gets AWS's own message. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** The memory of smaller bodies is not kept. */
const POOLED_BYTES_MIN = 64 * 1024;
const POOLED_BODIES_MAX = 8;

/**
 * Reads each request into one buffer. The memory of large requests is reused, because V8 counts memory outside of its
 * heap and would collect garbage after every few requests.
 */
export class BodyPool {
  /** Sorted by size, smallest first. */
  readonly #free: Buffer[] = [];

  /**
   * The SDK announces the length of a body, so the buffer has the right size and chunks are copied once. A chunked body
   * is not announced: `reserve` hears of each growth of its buffer, before it is made, and can refuse it.
   */
  async read(request: IncomingMessage, expected: number, reserve: (bytes: number) => void): Promise<Buffer> {
    let body = this.#take(expected);
    let length = 0;
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (length + chunk.length > MAX_BODY_BYTES) throw bodyTooLarge();
      if (length + chunk.length > body.length) {
        const size = Math.max(2 * body.length, length + chunk.length);
        reserve(size - body.length);
        const larger = Buffer.allocUnsafeSlow(size);
        body.copy(larger, 0, 0, length);
        body = larger;
      }
      chunk.copy(body, length);
      length += chunk.length;
    }
    return body.subarray(0, length);
  }

  /** Call it when nothing reads `body` any more, including the data that was decoded in it. */
  release(body: Buffer): void {
    const whole = Buffer.from(body.buffer);
    if (whole.length < POOLED_BYTES_MIN) return;
    this.#free.push(whole);
    this.#free.sort((a, b) => a.length - b.length);
    if (this.#free.length > POOLED_BODIES_MAX) this.#free.shift();
  }

  #take(size: number): Buffer {
    const fits = size < POOLED_BYTES_MIN ? -1 : this.#free.findIndex((buffer) => buffer.length >= size);
    if (fits >= 0) return this.#free.splice(fits, 1)[0] as Buffer;
    // An eighth more, so that the buffer also fits the next body. allocUnsafeSlow does not use Node's shared pool.
    return Buffer.allocUnsafeSlow(size + (size >> 3));
  }
}

export const bodyTooLarge = () =>
  new AwsError('RequestEntityTooLargeException', `Request bodies over ${MAX_BODY_BYTES} bytes are not read`, 413);
