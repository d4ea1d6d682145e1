import { describe, expect, test, vi } from 'vitest';
import { WAITING_BYTES_MAX, WAITING_BYTES_MIN } from '../../../src/backfill/limits.ts';
import type { MergePoint } from '../../../src/backfill/merge-point.ts';
import { ReadingGate } from '../../../src/backfill/reading-gate.ts';
import type { Delivery } from '../../../src/delivery/delivery.ts';
import { advanceMs, useVirtualTime } from '../delivery/delivery-harness.ts';

useVirtualTime();

function createGate(options: { maxLagMs?: number; rate?: number } = {}) {
  const delivery = { bufferedBytes: 0, counters: { bytes: 0 } };
  const merge = { committedAt: Date.now() };
  const abort = new AbortController();
  const gate = new ReadingGate(delivery as Delivery, merge as MergePoint, {
    ...{ isPaused: false, maxLagMs: 1e9, rate: undefined, signal: abort.signal },
    ...options,
  });
  return { gate, delivery, merge, abort };
}

/** Whether a chunk can be read within a moment. */
async function opens(gate: ReadingGate): Promise<boolean> {
  const open = vi.fn();
  gate.canRead().then(open, () => {});
  await advanceMs(20);
  return open.mock.calls.length > 0;
}

describe('reading', () => {
  test('waits while it is paused', async () => {
    const { gate } = createGate();
    expect(await opens(gate)).toBe(true);
    expect(gate.heldBackBy).toBeUndefined();
    gate.isPaused = true;
    const waiting = gate.canRead();
    await advanceMs(100);
    expect(gate.heldBackBy).toBe('paused');
    gate.isPaused = false;
    await advanceMs(100);
    await waiting;
    expect(gate.heldBackBy).toBeUndefined();
  });

  test('waits while the stream lags', async () => {
    const { gate, merge } = createGate({ maxLagMs: 60_000 });
    merge.committedAt = Date.now() - 70_000;
    expect(await opens(gate)).toBe(false);
    expect(gate.heldBackBy).toBe('lag');
    merge.committedAt = Date.now();
    expect(await opens(gate)).toBe(true);
  });

  test('waits while the replica that is read lags', async () => {
    const { gate } = createGate({ maxLagMs: 60_000 });
    gate.replicaLag = 61;
    expect(await opens(gate)).toBe(false);
    expect(gate.heldBackBy).toBe('replica lag');
    gate.replicaLag = 60;
    expect(await opens(gate)).toBe(true);
  });

  test('waits while delivery has enough to send', async () => {
    const { gate, delivery } = createGate();
    delivery.bufferedBytes = WAITING_BYTES_MIN;
    expect(await opens(gate)).toBe(false);
    expect(gate.heldBackBy).toBe('delivery');
    delivery.bufferedBytes--;
    expect(await opens(gate)).toBe(true);
  });

  test('keeps to the rate', async () => {
    const { gate } = createGate({ rate: 100 });
    gate.wereRead(50);
    expect(await opens(gate)).toBe(false);
    expect(gate.heldBackBy).toBe('rate');
    await advanceMs(500);
    expect(await opens(gate)).toBe(true);
    // Time without reading is not made up for.
    await advanceMs(10_000);
    for (let i = 0; i < 2; i++) gate.wereRead(50);
    await advanceMs(900);
    expect(await opens(gate)).toBe(false);
  });

  test('ends with the pipeline', async () => {
    const { gate, abort } = createGate();
    gate.isPaused = true;
    const waiting = gate.canRead();
    abort.abort(new Error('the end'));
    await expect(waiting).rejects.toThrow('the end');
    await expect(gate.canRead()).rejects.toThrow('the end');
  });
});

test('the bytes that may wait follow what is delivered in a second, within bounds', async () => {
  const { gate, delivery } = createGate();
  delivery.bufferedBytes = WAITING_BYTES_MIN * 2;
  expect(gate.hasRoom).toBe(false);
  delivery.counters.bytes += WAITING_BYTES_MIN * 3;
  await advanceMs(1000);
  expect(gate.hasRoom).toBe(true);
  delivery.bufferedBytes = WAITING_BYTES_MAX;
  delivery.counters.bytes += WAITING_BYTES_MAX * 100;
  await advanceMs(1000);
  expect(gate.hasRoom).toBe(false);
});
