import type { Report } from '../violation.ts';

/** What is known of one daemon, over all its processes. Times are in milliseconds since 1970. */
export interface SenderLog {
  name: string;
  /** When one of its processes began to lead, and until when it can have. */
  spans: readonly { from: number; to: number | undefined }[];
  /** When its puts left it. */
  puts: readonly number[];
}

/** A time in which an earlier leader can send, because it cannot know yet: its lease was stolen. */
export interface Allowance {
  from: number;
  to: number;
  sender: string;
}

export interface LeaderCounts {
  puts: number;
  /** Puts of a daemon while a later one led: how many, and the longest time after that one began. */
  overlaps: number;
  longestOverlapMs: number;
}

/** A put can reach the proxy this much later than the daemon sent it, and its log names whole milliseconds. */
const SLACK_MS = 100;
/** What a daemon sent before its end can reach the proxy this much later, on a busy machine. */
const ON_THE_WIRE_MS = 500;

/** Checks `oneLeader`: who stands by sends nothing, and who was followed by another leader sends nothing any more. */
export function checkLeaders(
  senders: readonly SenderLog[],
  allowances: readonly Allowance[],
  report: Report,
): LeaderCounts {
  const starts = senders
    .flatMap(({ name, spans }) => spans.map(({ from }) => ({ name, from })))
    .sort((a, b) => a.from - b.from);
  const counts: LeaderCounts = { puts: 0, overlaps: 0, longestOverlapMs: 0 };
  for (const { name, spans, puts } of senders) {
    for (const put of puts) {
      counts.puts++;
      const leads = spans.some(
        ({ from, to }) => from <= put && put <= (to ?? Number.POSITIVE_INFINITY) + ON_THE_WIRE_MS,
      );
      if (!leads) {
        report({
          promise: 'oneLeader',
          what: 'a daemon sent while it stood by',
          evidence: { name, put, spans: spans.slice(-3), starts: starts.slice(-4) },
        });
      }
      const own = spans.findLast(({ from }) => from <= put)?.from ?? 0;
      // A line of the log can be a moment older than what it says.
      const newest = starts.findLast(({ from }) => own < from && from < put - SLACK_MS);
      if (newest === undefined || newest.name === name) continue;
      const ms = put - newest.from;
      counts.overlaps++;
      counts.longestOverlapMs = Math.max(counts.longestOverlapMs, ms);
      if (allowances.some(({ sender, from, to }) => sender === name && from <= put && put <= to)) continue;
      report({
        promise: 'oneLeader',
        what: 'a daemon sent although another one led after it',
        evidence: { name, put, ms, newest, spans: spans.slice(-3) },
      });
    }
  }
  return counts;
}
