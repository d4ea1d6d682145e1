import { expect, test } from 'vitest';
import {
  BUDGET_BYTES,
  BUDGETS_PAST_WATERMARK_MAX,
  CHUNK_BYTES,
  CHUNK_BYTES_MIN,
  FLUSH_BYTES,
  FREE_BYTES_MAX,
  ISOLATION_EVENTS_MAX,
  LANES,
  OPEN_TRANSACTION_SHARE,
  REQUESTS_IN_FLIGHT,
  RESUME_SHARE,
  RETRY_BASE_MS,
  RETRY_CAP_MS,
  TRANSACTIONS_PAST_WATERMARK_MAX,
} from '../../../src/delivery/limits.ts';
import { FirehoseSink } from '../../../src/sinks/firehose/firehose-sink.ts';
import { defaultQuota } from '../../../src/sinks/firehose/quota.ts';
import { configFrom, firehoseOf } from '../config/config-from.ts';

const { limits } = new FirehoseSink({ stream: 'any', region: 'eu-west-1', endpoint: undefined });

test('a transaction is sent before its COMMIT long before it could fill the budget and stop the source', () => {
  // Otherwise the source would pause on a transaction whose COMMIT it has yet to read, and never resume.
  expect(OPEN_TRANSACTION_SHARE).toBe(0.25);
  expect(OPEN_TRANSACTION_SHARE).toBeLessThan(RESUME_SHARE);
  expect(BUDGET_BYTES * OPEN_TRANSACTION_SHARE).toBeGreaterThan(limits.maxRequestBytes);
});

test('the source pauses and resumes at marks that are apart, so it does not flutter', () => {
  expect(RESUME_SHARE).toBeLessThan(1);
  expect(BUDGET_BYTES * (1 - RESUME_SHARE)).toBeGreaterThan(REQUESTS_IN_FLIGHT * limits.maxRequestBytes);
});

test('requests can stay in flight up to their number without filling the budget', () => {
  expect(REQUESTS_IN_FLIGHT * limits.maxRequestBytes).toBeLessThan(BUDGET_BYTES);
});

test('a healthy stream never meets the bound on what a restart repeats', () => {
  expect(BUDGETS_PAST_WATERMARK_MAX).toBe(4);
  // The memory for the transactions past the watermark stays below three budgets.
  expect(TRANSACTIONS_PAST_WATERMARK_MAX * 340).toBeLessThan(3 * BUDGET_BYTES);
});

test('a lane is picked by the low bits of a hash', () => {
  expect(LANES & (LANES - 1)).toBe(0);
});

test('one chunk for each lane takes at most half of the budget', () => {
  expect(LANES * CHUNK_BYTES).toBeLessThanOrEqual(BUDGET_BYTES / 2);
  expect(CHUNK_BYTES_MIN).toBeLessThan(CHUNK_BYTES);
  expect(FREE_BYTES_MAX).toBeLessThanOrEqual(BUDGET_BYTES / 2);
});

test('events that are flushed early fit into one record and one request', () => {
  const { aggregate } = firehoseOf(configFrom('source: { url: "mysql://cdc@127.0.0.1" }\nfirehose: { stream: s }'));
  expect(FLUSH_BYTES).toBeLessThanOrEqual(aggregate === 'off' ? 0 : aggregate.max_bytes);
  expect(FLUSH_BYTES).toBeLessThan(limits.maxRecordBytes);
});

test('isolation starts with as many events as a record has by default', () => {
  const { aggregate } = firehoseOf(configFrom('source: { url: "mysql://cdc@127.0.0.1" }\nfirehose: { stream: s }'));
  expect(ISOLATION_EVENTS_MAX).toBe(aggregate === 'off' ? 0 : aggregate.max_events);
});

test('the smallest quota of a second is less than a full request, so pacing.test.ts tests the case that matters', () => {
  expect(defaultQuota('eu-central-1').bytes).toBeLessThan(limits.maxRequestBytes);
});

test('the delay between two attempts doubles to its cap', () => {
  expect(RETRY_CAP_MS).toBeGreaterThan(RETRY_BASE_MS * 2);
});
