export interface BackoffBounds {
  /** The delay before the first retry. */
  baseMs: number;
  /** The delay never grows beyond this. */
  maxMs: number;
}

/** Later attempts double no more, so that the power of two stays a finite number. */
const DOUBLINGS_MAX = 30;

/**
 * The delay before a retry, doubled with each attempt, in milliseconds.
 * @param attempt 0 for the first retry
 */
export const exponentialBackoff = (attempt: number, { baseMs, maxMs }: BackoffBounds): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(attempt, DOUBLINGS_MAX));

/**
 * A random delay below the exponential one, so that clients that failed together do not retry together ("full jitter":
 * AWS Architecture Blog, "Exponential Backoff And Jitter").
 * @param attempt 0 for the first retry
 * @param random gives a number from 0 up to, but not including, 1
 */
export const fullJitterBackoff = (attempt: number, bounds: BackoffBounds, random: () => number = Math.random): number =>
  random() * exponentialBackoff(attempt, bounds);
