import type { DaemonStatus } from '../../admin/daemon-status.ts';

export interface Rates {
  eventsPerSecond: number;
  bytesPerSecond: number;
}

/** How fast it went between two answers; undefined if they are not of one process that delivers. */
export function ratesBetween(before: DaemonStatus | undefined, now: DaemonStatus): Rates | undefined {
  if (before?.pid !== now.pid || before.startedAt !== now.startedAt) return undefined;
  if (before.delivery === null || now.delivery === null) return undefined;
  const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
  if (!(seconds > 0)) return undefined;
  const [from, to] = [before.delivery.counters, now.delivery.counters];
  return {
    eventsPerSecond: Math.max(0, to.events - from.events) / seconds,
    bytesPerSecond: Math.max(0, to.bytes - from.bytes) / seconds,
  };
}
