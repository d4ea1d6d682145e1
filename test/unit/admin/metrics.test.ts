import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CapturedTableStatus, DaemonStatus } from '../../../src/admin/daemon-status.ts';
import { METRICS, TABLE_LABELS_MAX } from '../../../src/admin/metric-definitions.ts';
import { Metrics } from '../../../src/admin/metrics.ts';
import { daemonStatus } from '../../admin-fixture.ts';
import { readMetric } from '../../integration/admin/admin-daemon.ts';

const textOf = (status: DaemonStatus): Promise<string> => new Metrics(async () => status).text();
const table = (name: string, events = 0): CapturedTableStatus => ({
  ...{ schema: 'shop', table: name, verified: null, bytes: events * 10, lastChangeAt: null },
  coverage: { complete: true, since: null, why: 'created' },
  events: { c: events, u: 0, d: 0, r: 0, t: 0 },
});

describe('names', () => {
  test.each(METRICS.map((metric) => [metric.name, metric] as const))('%s', (name, { kind, help, labels }) => {
    expect(name).toMatch(/^cdc_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith('_total')).toBe(kind === 'counter');
    // Base units: https://prometheus.io/docs/practices/naming
    expect(name).not.toMatch(/_(ms|millis|milliseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|percent)(_|$)/);
    expect(help).toMatch(/^[A-Z].*\.$/);
    expect(labels.every((label) => ['name', 'version', 'table', 'op', 'stream', 'outcome'].includes(label))).toBe(true);
  });

  test('are those of docs/MONITORING.md, with kind, labels and help', () => {
    const page = readFileSync(resolve('docs/MONITORING.md'), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `cdc_'));
    const of = ({ name, kind, labels, help }: (typeof METRICS)[number]) =>
      `| \`${name}\` | ${kind}${labels.length === 0 ? '' : `, by ${labels.join(' and ')}`} | ${help} |`;
    expect(rows).toEqual(METRICS.map(of));
  });
});

test('each has its HELP and TYPE, and each line is one that Prometheus reads', async () => {
  const text = await textOf(daemonStatus({ tables: [table('a"b\\c\nd', 3)] }));
  for (const { name, kind, help } of METRICS) {
    expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`);
  }
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of samples) {
    expect(line).toMatch(/^cdc_[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\})? (-?\d+(\.\d+)?(e-?\d+)?|\+Inf)$/);
  }
  // A name that is odd in SQL too is in backticks there.
  expect(text).toContain('cdc_events_total{table="shop.`a\\"b\\\\c\\nd`",op="c"} 3');
});

test('what is not known has no sample, and what has no end is +Inf', async () => {
  const unknown = daemonStatus({
    ...{ stream: null, delivery: null, backfill: null, process: null },
    lag: { seconds: null, bytes: null, maxSeconds: 60 },
    purge: { state: 'unknown', headroomSeconds: null, retentionSeconds: null },
  });
  const text = await textOf(unknown);
  for (const name of ['cdc_lag_seconds', 'cdc_lag_bytes', 'cdc_purge_headroom_seconds', 'cdc_buffered_bytes']) {
    expect([...readMetric(text, name)]).toEqual([]);
  }
  const unlimited = daemonStatus({ purge: { state: 'unlimited', headroomSeconds: null, retentionSeconds: null } });
  const headroom = readMetric(await textOf(unlimited), 'cdc_purge_headroom_seconds');
  expect([...headroom.values()]).toEqual([Number.POSITIVE_INFINITY]);
});

test('thousands of tables have a bounded number of labels, those with the most events, and nothing is lost', async () => {
  const tables = Array.from({ length: 3_000 }, (_, i) => table(`t${i}`, i));
  const text = await textOf(daemonStatus({ tables }));
  const events = readMetric(text, 'cdc_events_total');
  expect(events.size).toBe((TABLE_LABELS_MAX + 1) * 5);
  expect(events.get('{table="shop.t2999",op="c"}')).toBe(2_999);
  expect(events.get('{table="shop.t5",op="c"}')).toBeUndefined();
  const all = [...events.values()].reduce((sum, value) => sum + value, 0);
  expect(all).toBe((2_999 * 3_000) / 2);
  expect(readMetric(text, 'cdc_table_complete').size).toBe(TABLE_LABELS_MAX + 1);
});

test('counters stay while the pipeline is started again', async () => {
  const counters = { events: 9, records: 8, requests: 7, bytes: 6, retries: 5, repeats: 4, deadLetters: 3 };
  const outcomes = { accepted: 8, throttled: 1, unknown: 0, rejected: 0 };
  const streams = [{ stream: 'changes', outcomes, requests: 7, requestSeconds: 2 }];
  const totals = { counters, backpressureSeconds: 12, streams };
  const text = await textOf(daemonStatus({ state: 'waiting', stream: null, delivery: null, backfill: null, totals }));
  const value = (name: string) => [...readMetric(text, name).values()];
  expect(value('cdc_delivered_events_total')).toEqual([9]);
  expect(value('cdc_delivered_bytes_total')).toEqual([6]);
  expect(value('cdc_retried_records_total')).toEqual([5]);
  expect(value('cdc_repeated_events_total')).toEqual([4]);
  expect(value('cdc_dead_letters_total')).toEqual([3]);
  expect(value('cdc_backpressure_seconds_total')).toEqual([12]);
  expect(value('cdc_requests_total')).toEqual([7]);
  expect(value('cdc_request_seconds_total')).toEqual([2]);
  expect(value('cdc_records_total')).toEqual([8, 1, 0, 0]);
  expect(value('cdc_incomplete_tables')).toEqual([]);
});

test('values of the last time do not stay: a table that is gone has no sample', async () => {
  let status = daemonStatus({ tables: [table('gone', 3), table('kept', 4)] });
  const read = new Metrics(async () => status);
  const realNow = performance.now.bind(performance);
  expect(readMetric(await read.text(), 'cdc_events_total').get('{table="shop.gone",op="c"}')).toBe(3);
  status = daemonStatus({ tables: [table('kept', 5)] });
  performance.now = () => realNow() + 10_000;
  try {
    const events = readMetric(await read.text(), 'cdc_events_total');
    expect(events.get('{table="shop.gone",op="c"}')).toBeUndefined();
    expect(events.get('{table="shop.kept",op="c"}')).toBe(5);
  } finally {
    performance.now = realNow;
  }
});
