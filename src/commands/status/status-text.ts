import type { DaemonStatus, Health, HealthProblem, LoggedWarning } from '../../admin/daemon-status.ts';
import type { StreamDelivery, StuckLane } from '../../model/delivery-status.ts';
import type { PurgeStatus } from '../../model/purge.ts';
import { formatBytes, formatCount, formatSeconds, plural } from '../backfill/text.ts';
import { type Color, layOut, type StatusEntry, type TextStyle } from './layout.ts';
import type { Rates } from './rates.ts';
import { backfillEntries, tableEntries } from './tables-text.ts';

const STREAMS_MAX = 5;
const STUCK_MAX = 3;
const WARNINGS_MAX = 3;

const HEALTH_WORD: Record<Health['status'], string> = { ok: 'healthy', degraded: 'DEGRADED', down: 'DOWN' };
const HEALTH_COLOR: Record<Health['status'], Color> = { ok: 'good', degraded: 'warn', down: 'bad' };
const SEVERITY_COLOR = { down: 'bad', degraded: 'warn', notice: 'dim' } as const;

/** The status for a person: what needs one stands first. */
export function statusText(status: DaemonStatus, style: TextStyle, rates?: Rates): string[] {
  const sections: StatusEntry[][] = [
    [],
    status.health.problems.flatMap(problemEntries),
    [...flowEntries(status, rates), ...streamEntries(status)],
    backfillEntries(status.backfill),
    tableEntries(status),
    lastEntries(status),
  ];
  const lines = sections
    .filter((entries, i) => i === 0 || entries.length > 0)
    .map((entries) => entries.flatMap((entry) => layOut(entry, style)));
  const [, ...others] = lines;
  return [headLine(status, style), ...others.flatMap((section) => ['', ...section])];
}

/** Such as `shop: healthy, streaming for 2 h 5 min`. */
function headLine({ name, state, health, startedAt, at, pid, version }: DaemonStatus, { paint }: TextStyle): string {
  const word = paint(HEALTH_COLOR[health.status], HEALTH_WORD[health.status]);
  const ready = health.status === 'ok' && !health.ready ? ', not ready' : '';
  const since = startedAt === null ? '' : `, up ${formatSeconds(secondsBetween(startedAt, at))}`;
  const process = pid === null ? '' : paint('dim', ` (process ${pid}, cdc ${version})`);
  return `${name}: ${word}, ${state}${ready}${since}${process}`;
}

function problemEntries({ severity, what, why, hint }: HealthProblem): StatusEntry[] {
  return [
    { label: severity, text: what, color: SEVERITY_COLOR[severity] },
    ...(why === null ? [] : [{ text: `why: ${why}`, indent: 2 }]),
    ...(hint === null ? [] : [{ text: `do:  ${hint}`, indent: 2 }]),
  ];
}

function flowEntries(status: DaemonStatus, rates: Rates | undefined): StatusEntry[] {
  const { stream, lag, purge, checkpoint, delivery, at } = status;
  const { position, savedAt } = checkpoint;
  const isLate = lag.seconds !== null && lag.seconds > lag.maxSeconds;
  const bytes = lag.bytes === null ? '' : `, ${formatBytes(lag.bytes)} of binlog`;
  const behind = lag.seconds === null ? 'unknown' : `${shortSeconds(lag.seconds)}${bytes}`;
  const entries: StatusEntry[] = [
    { label: 'lag', text: `${behind} (limit ${formatSeconds(lag.maxSeconds)})`, ...(isLate && { color: 'warn' }) },
    { label: 'purge', ...purgeEntry(purge) },
  ];
  if (stream !== null) {
    const { server, delivered, epoch } = stream;
    const host = server.host === null ? server.identity : server.host;
    const place = `${delivered.file}:${delivered.position}`;
    entries.push({ label: 'source', text: `${server.flavor} ${host}, delivered to ${place}, epoch ${epoch}` });
  }
  const saved = savedAt === null ? 'not written yet' : `saved ${ago(savedAt, at)}`;
  const where = position === null ? '' : `, at ${position.file}:${position.position}`;
  entries.push({ label: 'checkpoint', text: `${saved}${where}` });
  if (delivery === null) return entries;
  const { counters, bufferedBytes, budgetBytes, pendingTransactions, backpressure, backpressureSeconds } = delivery;
  const { events, requests, retries, repeats } = counters;
  const speed =
    rates === undefined ? '' : `; now ${formatCount(rates.eventsPerSecond)}/s, ${formatBytes(rates.bytesPerSecond)}/s`;
  entries.push({
    label: 'delivered',
    text: `${plural(events, 'event')}, ${formatBytes(counters.bytes)} in ${plural(requests, 'request')}${speed}`,
  });
  if (retries + repeats > 0)
    entries.push({ text: `${plural(retries, 'record')} sent again, ${formatCount(repeats)} repeats` });
  const paused = backpressure ? '; the binlog is not read meanwhile' : '';
  const earlier = backpressureSeconds < 1 ? '' : ` (backpressure ${formatSeconds(backpressureSeconds)} in all)`;
  entries.push({
    label: 'waiting',
    text: `${formatBytes(bufferedBytes)} of ${formatBytes(budgetBytes)} in ${plural(pendingTransactions, 'transaction')}${paused}${earlier}`,
    ...(backpressure && { color: 'warn' }),
  });
  return entries;
}

function purgeEntry({ state, headroomSeconds, retentionSeconds }: PurgeStatus): Pick<StatusEntry, 'text' | 'color'> {
  const kept = retentionSeconds === null ? '' : ` (it keeps a file for ${formatSeconds(retentionSeconds)})`;
  if (state === 'known' && headroomSeconds !== null) {
    return { text: `in ${formatSeconds(headroomSeconds)} at the earliest${kept}` };
  }
  if (state === 'gone') return { text: 'the server has deleted the binlog that a restart needs', color: 'bad' };
  if (state === 'unlimited') return { text: 'the server deletes no binlog by itself' };
  return { text: 'unknown: the server was not asked, or this account may not see its binlogs', color: 'dim' };
}

function streamEntries({ delivery, at }: DaemonStatus): StatusEntry[] {
  if (delivery === null) return [];
  const retrying = ({ accepting, lanes }: StreamDelivery): number => (accepting ? 0 : 1e9) + lanes.retrying;
  const streams = [...delivery.streams].sort((a, b) => retrying(b) - retrying(a));
  const rest = streams.length - STREAMS_MAX;
  return [
    ...streams.slice(0, STREAMS_MAX).flatMap((stream) => oneStream(stream, at)),
    ...(rest > 0 ? [{ text: `and ${plural(rest, 'more stream')}, which retry less`, color: 'dim' as const }] : []),
  ];
}

function oneStream(delivery: StreamDelivery, at: string): StatusEntry[] {
  const { stream, accepting, outcomes, lanes, requestsInFlight, lastAcceptedAt, obstacle, stuck } = delivery;
  const last = lastAcceptedAt === null ? '' : `, the last time ${ago(lastAcceptedAt, at)}`;
  const state = accepting ? 'accepts' : `ACCEPTS NOTHING${last}`;
  const refused = (['throttled', 'unknown', 'rejected'] as const)
    .filter((outcome) => outcomes[outcome] > 0)
    .map((outcome) => `, ${formatCount(outcomes[outcome])} ${outcome}`);
  const more = stuck.slice(STUCK_MAX).length + Math.max(0, lanes.retrying - stuck.length);
  return [
    {
      label: 'stream',
      text: `${stream}: ${state}; ${plural(outcomes.accepted, 'record')} accepted${refused.join('')}; ${plural(requestsInFlight, 'request')} in flight`,
      ...(!accepting && { color: 'bad' }),
    },
    ...(obstacle === null
      ? []
      : [
          {
            text: `events wait for ${formatSeconds(secondsBetween(obstacle.since, at))}: ${obstacle.reason}`,
            indent: 2,
            color: 'warn' as const,
          },
        ]),
    ...stuck.slice(0, STUCK_MAX).flatMap((lane) => stuckEntries(lane, at)),
    ...(more > 0 ? [{ text: `and ${plural(more, 'more lane')} that retry`, indent: 2, color: 'dim' as const }] : []),
  ];
}

function stuckEntries({ lane, attempts, since, reason, events, oldest }: StuckLane, at: string): StatusEntry[] {
  const failed = `${plural(attempts, 'attempt')} in ${formatSeconds(secondsBetween(since, at))}`;
  return [
    { text: `lane ${lane} is stuck with ${plural(events, 'event')}, ${failed}: ${reason}`, indent: 2, color: 'warn' },
    { text: `oldest: ${oldest.table}, seq ${oldest.seq}`, indent: 4 },
  ];
}

function lastEntries({ deadLetters, warnings, process, reconnects, at }: DaemonStatus): StatusEntry[] {
  const { files, directory, recent } = deadLetters;
  const count =
    files === null
      ? `unknown: ${directory} cannot be read`
      : files === 0
        ? 'none'
        : `${formatCount(files)} in ${directory}`;
  const [last] = recent;
  const entries: StatusEntry[] = [{ label: 'dead letters', text: count, ...(files !== 0 && { color: 'warn' }) }];
  if (last !== undefined) {
    entries.push({ text: `last ${ago(last.at, at)}, ${last.table}, seq ${last.seq}: ${last.why}`, indent: 2 });
  }
  entries.push(...warnings.slice(0, WARNINGS_MAX).flatMap((warning, i) => warningEntries(warning, at, i)));
  if (process === null) return entries;
  const delay = `${Math.round(process.eventLoopDelaySeconds * 1000)} ms`;
  const text = `${formatBytes(process.rssBytes)} of memory, event loop ${delay} late, ${plural(reconnects, 'reconnect')}`;
  return [...entries, { label: 'process', text, color: 'dim' }];
}

function warningEntries(
  { at: loggedAt, message, why, hint, times }: LoggedWarning,
  at: string,
  i: number,
): StatusEntry[] {
  const repeated = times > 1 ? ` (${formatCount(times)} times)` : '';
  return [
    { label: i === 0 ? 'warnings' : '', text: `${ago(loggedAt, at)}: ${message}${repeated}` },
    ...(why === null ? [] : [{ text: `why: ${why}`, indent: 2, color: 'dim' as const }]),
    ...(hint === null ? [] : [{ text: `do:  ${hint}`, indent: 2, color: 'dim' as const }]),
  ];
}

/** The status as one line: for `--watch` where no terminal is. */
export function statusLine(
  { at, name, state, health, lag, purge, delivery, tables }: DaemonStatus,
  rates?: Rates,
): string {
  const [problem] = health.problems;
  const retrying = delivery?.streams.reduce((sum, { lanes }) => sum + lanes.retrying, 0) ?? 0;
  const incomplete = tables.filter(({ coverage }) => !coverage.complete).length;
  return [
    `${at} ${name}: ${HEALTH_WORD[health.status]}, ${state}`,
    `lag ${lag.seconds === null ? 'unknown' : shortSeconds(lag.seconds)}`,
    ...(purge.headroomSeconds === null ? [] : [`purge in ${formatSeconds(purge.headroomSeconds)}`]),
    ...(rates === undefined
      ? []
      : [`${formatCount(rates.eventsPerSecond)} events/s`, `${formatBytes(rates.bytesPerSecond)}/s`]),
    ...(retrying > 0 ? [`${plural(retrying, 'lane')} retrying`] : []),
    ...(incomplete > 0 ? [`${plural(incomplete, 'incomplete table')}`] : []),
    ...(problem === undefined ? [] : [problem.what]),
  ].join(', ');
}

const secondsBetween = (from: string, to: string): number => Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);

export const ago = (then: string, at: string): string => `${formatSeconds(secondsBetween(then, at))} ago`;

/** With a tenth of a second where that matters. */
const shortSeconds = (seconds: number): string => (seconds < 9.95 ? `${seconds.toFixed(1)} s` : formatSeconds(seconds));
