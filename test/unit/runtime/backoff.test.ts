import { describe, expect, test, vi } from 'vitest';
import { exponentialBackoff, fullJitterBackoff } from '../../../src/runtime/backoff.ts';

const bounds = { baseMs: 500, maxMs: 30_000 };

describe('exponentialBackoff', () => {
  test('doubles the delay with each attempt up to the maximum', () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((attempt) => exponentialBackoff(attempt, bounds));
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  test('stays at the maximum after any number of attempts', () => {
    for (const attempt of [31, 1000, 1_000_000, Number.MAX_SAFE_INTEGER]) {
      expect(exponentialBackoff(attempt, bounds)).toBe(30_000);
    }
  });

  test('stays at zero when the base is zero', () => {
    expect(exponentialBackoff(5000, { baseMs: 0, maxMs: 30_000 })).toBe(0);
  });
});

describe('fullJitterBackoff', () => {
  test('draws the delay between zero and the exponential delay', () => {
    expect(fullJitterBackoff(2, bounds, () => 0)).toBe(0);
    expect(fullJitterBackoff(2, bounds, () => 0.5)).toBe(1000);
    expect(fullJitterBackoff(20, bounds, () => 0.5)).toBe(15_000);
  });

  test('uses Math.random when no other source is given', () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.25);
    try {
      expect(fullJitterBackoff(0, bounds)).toBe(125);
    } finally {
      random.mockRestore();
    }
  });
});
