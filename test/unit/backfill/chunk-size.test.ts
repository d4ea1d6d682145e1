import { describe, expect, test } from 'vitest';
import { ChunkSize } from '../../../src/backfill/chunk-size.ts';
import { CHUNK_BYTES_MAX, CHUNK_GROWTH_MAX, CHUNK_ROWS_MAX, FIRST_CHUNK_ROWS } from '../../../src/backfill/limits.ts';

const TARGET_MS = 500;
const chunk = (count: number, elapsedMs: number, bytes = 0) => ({ count, elapsedMs, bytes: Buffer.alloc(bytes) });
const rowsOf = (size: ChunkSize, rate?: number): number => size.limits(rate).rows;

describe('the rows of a chunk', () => {
  test('follow the time that the last one took', () => {
    const size = new ChunkSize(TARGET_MS);
    expect(rowsOf(size)).toBe(FIRST_CHUNK_ROWS);
    size.adapt(chunk(FIRST_CHUNK_ROWS, TARGET_MS / 2));
    expect(rowsOf(size)).toBe(FIRST_CHUNK_ROWS * 2);
    size.adapt(chunk(FIRST_CHUNK_ROWS * 2, TARGET_MS * 10));
    expect(rowsOf(size)).toBe((FIRST_CHUNK_ROWS * 2) / 10);
  });

  test('grow by a bounded factor, up to a bound', () => {
    const size = new ChunkSize(TARGET_MS);
    size.adapt(chunk(FIRST_CHUNK_ROWS, 1));
    expect(rowsOf(size)).toBe(FIRST_CHUNK_ROWS * CHUNK_GROWTH_MAX);
    for (let i = 0; i < 20; i++) size.adapt(chunk(rowsOf(size), 1));
    expect(rowsOf(size)).toBe(CHUNK_ROWS_MAX);
  });

  test('shrink with the bytes of a row, but not below one row', () => {
    const size = new ChunkSize(TARGET_MS);
    size.adapt(chunk(10, 1, CHUNK_BYTES_MAX * 2));
    expect(rowsOf(size)).toBe(5);
    size.adapt(chunk(1, TARGET_MS * 100, CHUNK_BYTES_MAX * 2));
    expect(rowsOf(size)).toBe(1);
  });

  test('stay as they are after a chunk without rows', () => {
    const size = new ChunkSize(TARGET_MS);
    size.adapt(chunk(0, 1));
    expect(rowsOf(size)).toBe(FIRST_CHUNK_ROWS);
  });

  test('are half a second of the rate at most, and half as many after a window that outgrew its bound', () => {
    const size = new ChunkSize(TARGET_MS);
    expect(rowsOf(size, 100)).toBe(50);
    expect(rowsOf(size, 1)).toBe(1);
    expect(rowsOf(size, 1e9)).toBe(FIRST_CHUNK_ROWS);
    size.halve();
    expect(rowsOf(size)).toBe(FIRST_CHUNK_ROWS / 2);
    for (let i = 0; i < 20; i++) size.halve();
    expect(rowsOf(size)).toBe(1);
  });
});
