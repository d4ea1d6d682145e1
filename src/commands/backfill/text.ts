import type { BackfillStatus } from '../../backfill/control.ts';
import type { BackfillEstimate } from '../../backfill/request/estimate.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { printable } from '../../runtime/printable.ts';

const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
export const formatCount = (count: number): string => COUNT.format(count);

/** `1 row`, `2,000 rows`. */
export const plural = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;

/** `43.2 %`. It is 100 only at the end. */
export function formatPercent(fraction: number): string {
  if (fraction >= 1) return '100 %';
  return `${(Math.floor(Math.max(fraction, 0) * 1000) / 10).toFixed(1)} %`;
}

/** `45 s`, `2 min 10 s`, `3 h 5 min`, `2 days 4 h`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const units: [string, number][] = [
    ['days', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => whole >= size);
  const [name, size] = units[first] as [string, number];
  const [nextName, nextSize] = units[first + 1] as [string, number];
  const rest = Math.floor((whole % size) / nextSize);
  const count = Math.floor(whole / size);
  const unit = name === 'days' && count === 1 ? 'day' : name;
  return `${count} ${unit}${rest > 0 ? ` ${rest} ${nextName}` : ''}`;
}

export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

const LIMITS: Record<BackfillEstimate['limit'], string> = {
  bytes: "at the stream's quota of bytes",
  records: "at the stream's quota of records",
  requests: "at the stream's quota of requests",
  rate: 'at the rate that is set',
  reading: 'if one machine reads 100,000 rows a second',
};

/** The estimate as a person reads it. */
export function formatEstimate(estimate: BackfillEstimate): string {
  const { tables, rows, bytes, eventBytes, records, seconds, limit, billedBytes, usd, usdPerGb, binlog } = estimate;
  const kept = binlog.retentionSeconds === null ? 'without end' : `for ${formatSeconds(binlog.retentionSeconds)}`;
  const now = binlog.bytes === null ? '' : `; ${formatBytes(binlog.bytes)} in ${plural(binlog.files ?? 0, 'file')} now`;
  const lines = [
    ['tables', formatCount(tables)],
    ['rows', `about ${formatCount(rows)}, ${formatBytes(bytes)} in the source`],
    [
      'events',
      `about ${formatBytes(eventBytes)} in ${plural(records, billedBytes > 0 ? 'Firehose record' : 'record')}`,
    ],
    ['time', `about ${formatSeconds(seconds)} ${LIMITS[limit]}; the changes of the stream go first`],
    ['binlog', `the server keeps it ${kept}${now}`],
  ];
  if (billedBytes > 0) {
    const costs = `${formatUsd(usd)} at $${usdPerGb} a GB (us-east-1)`;
    lines.push(['Firehose', `bills about ${formatBytes(billedBytes)}: ${costs}`]);
  }
  const largest = tables < 2 ? [] : estimate.largest.filter((table) => table.rows > 0).slice(0, 3);
  const names = largest.map(({ schema, table, rows }) => `${formatTableName(schema, table)} (${plural(rows, 'row')})`);
  if (names.length > 0) lines.push(['largest', names.join(', ')]);
  const warnings = estimate.warnings.map(
    ({ message, why, hint }) => `warning: ${message}\n  why: ${why}\n  do:  ${hint}\n`,
  );
  return `${lines.map(([name, text]) => `${name?.padEnd(10)}${text}\n`).join('')}${warnings.join('')}`;
}

const formatUsd = (usd: number): string => (usd < 0.01 ? 'less than $0.01' : `$${usd.toFixed(2)}`);

/** The answer of `cdc backfill --status`. */
export function formatStatus(status: BackfillStatus): string {
  const { state, waitingFor, parallel, rate, tables } = status;
  const how = `${plural(parallel, 'connection')}${rate === null ? '' : `, at most ${formatCount(rate)} rows/s`}`;
  const head = `the backfill is ${state}${state === 'idle' ? '' : ` (${how})`}\n`;
  const waits = waitingFor === null ? '' : `reading waits: ${waitingFor}\n`;
  if (tables.length === 0) return `${head}${waits}no table was asked for; cdc backfill starts one\n`;
  const rows = tables.map(({ schema, table, state, rows, estimatedRows, fraction, error }) =>
    [
      formatTableName(schema, table),
      state,
      formatPercent(state === 'done' ? 1 : fraction),
      formatCount(rows),
      state === 'done' ? '' : `of about ${formatCount(Math.max(rows, estimatedRows))}`,
      error === undefined ? '' : [error.message, error.why].filter(Boolean).join(': '),
    ].map(printable),
  );
  const header = ['table', 'state', 'done', 'rows', '', ''];
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: string[]): string =>
    cells
      .map((cell, i) => (i === 2 || i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${head}${waits}${[header, ...rows].map(line).join('\n')}\n`;
}
