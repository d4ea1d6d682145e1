import type { IncomingMessage } from 'node:http';
import { AwsError } from './aws-error.ts';

/** Over what 500 records of the largest batch need, so that a batch over 4 MiB gets AWS's own message. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** A body of this many bytes is worth keeping its memory. */
const LARGE = 64 * 1024;
const KEPT = 8;

/**
 * Reads requests, each into one buffer. The memory of large ones is used again: V8 counts what is allocated outside of
 * its heap, and would collect garbage for every few of them.
 */
export class BodyPool {
  /** The smallest first. */
  readonly #free: Buffer[] = [];

  /** Bytes are written where they belong as they arrive when their number is announced, as the SDK does. */
  async read(request: IncomingMessage, expected: number): Promise<Buffer> {
    let body = this.#take(expected);
    let length = 0;
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (length + chunk.length > MAX_BODY_BYTES) throw tooLarge();
      if (length + chunk.length > body.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(2 * body.length, length + chunk.length));
        body.copy(larger, 0, 0, length);
        body = larger;
      }
      chunk.copy(body, length);
      length += chunk.length;
    }
    return body.subarray(0, length);
  }

  /** Nothing reads `body` any more, nor what was decoded in it. */
  release(body: Buffer): void {
    const whole = Buffer.from(body.buffer);
    if (whole.length < LARGE) return;
    this.#free.push(whole);
    this.#free.sort((a, b) => a.length - b.length);
    if (this.#free.length > KEPT) this.#free.shift();
  }

  #take(size: number): Buffer {
    const fits = size < LARGE ? -1 : this.#free.findIndex((buffer) => buffer.length >= size);
    if (fits >= 0) return this.#free.splice(fits, 1)[0] as Buffer;
    // An eighth more, so that it fits the next one too. Slow: not a part of memory that others share.
    return Buffer.allocUnsafeSlow(size + (size >> 3));
  }
}

export const tooLarge = () =>
  new AwsError('RequestEntityTooLargeException', `Request bodies over ${MAX_BODY_BYTES} bytes are not read`, 413);
