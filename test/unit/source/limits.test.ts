import { expect, test } from 'vitest';
import { CHECKPOINT_INTERVAL_MS } from '../../../src/checkpoint/checkpointer.ts';
import { BUDGET_BYTES } from '../../../src/delivery/limits.ts';
import { DRAIN_TIMEOUT_MS } from '../../../src/pipeline.ts';
import { CHECK_CONNECT_TIMEOUT_MS, CHECK_QUERY_TIMEOUT_MS } from '../../../src/preflight/limits.ts';
import { HEARTBEAT_MS } from '../../../src/source/change-stream.ts';
import {
  CONNECT_TIMEOUT_MS,
  EVENT_LOOP_SLICE_MS,
  MISSED_HEARTBEATS_MAX,
  MISSED_HEARTBEATS_MAX_AT_START,
  NET_WRITE_TIMEOUT_S,
  QUERY_TIMEOUT_MS,
  XA_BUFFER_MAX_BYTES,
} from '../../../src/source/limits.ts';

/** SIGTERM ends `cdc run` within this time (docs/OPERATIONS.md). */
const STOP_MS = 30_000;

test('a stop leaves time for the last save and the end of the connections after the drain', () => {
  expect(DRAIN_TIMEOUT_MS + CHECKPOINT_INTERVAL_MS).toBeLessThanOrEqual(STOP_MS - 5_000);
});

test('a dead link is noticed long before the server gives up on a paused one', () => {
  expect(MISSED_HEARTBEATS_MAX * HEARTBEAT_MS).toBeLessThan((NET_WRITE_TIMEOUT_S * 1000) / 10);
  expect(MISSED_HEARTBEATS_MAX).toBeLessThan(MISSED_HEARTBEATS_MAX_AT_START);
});

test('cdc check waits less than the daemon, because a person waits for it', () => {
  expect(CHECK_CONNECT_TIMEOUT_MS).toBeLessThan(CONNECT_TIMEOUT_MS);
  expect(CHECK_QUERY_TIMEOUT_MS).toBeLessThan(QUERY_TIMEOUT_MS);
});

test('a slice of an event ends before a timer of delivery is late', () => {
  expect(EVENT_LOOP_SLICE_MS).toBeLessThan(CHECKPOINT_INTERVAL_MS / 10);
});

test('the rows of prepared XA transactions and the buffered events stay below the memory that the soak allows', () => {
  expect(XA_BUFFER_MAX_BYTES + BUDGET_BYTES).toBeLessThan(256 * 1024 * 1024);
});
