import { holderText } from '../model/lease-status.ts';
import { completingCommand } from '../model/shell-command.ts';
import { formatTableName } from '../model/table-filter.ts';
import type { DaemonStatus, Health, HealthProblem } from './daemon-status.ts';

/** A server that has not answered for so long counts as silent: it is asked every two seconds. */
const SILENT_AFTER_S = 4;
/** A lane that is retried for longer than this is a problem, unless its stream accepts nothing. */
const RETRYING_AFTER_MS = 4_000;
/** Less of the retention than this is a problem. */
const HEADROOM_SHARE_MIN = 0.25;

const SEVERITIES: readonly HealthProblem['severity'][] = ['down', 'degraded', 'notice'];

/** What is known of a daemon besides its status. */
export interface HealthInput {
  status: Omit<DaemonStatus, 'health'>;
  /** How long the server has not answered, in seconds. */
  silentSeconds: number;
  /** Why no pipeline runs; `what` if it is another matter than the state says. */
  waitsFor: { what?: string; why: string | null; hint: string | null };
}

/** The one place that decides whether a daemon is well. */
export function judgeHealth({ status, silentSeconds, waitsFor }: HealthInput): Health {
  const { state, lag, delivery } = status;
  const problems = [
    ...streamingProblems(status, silentSeconds, waitsFor),
    ...leaseProblems(status),
    ...lagProblems(status),
    ...deliveryProblems(status),
    ...purgeProblems(status),
    ...notices(status),
  ].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  const [worst] = problems;
  const isReady =
    state === 'streaming' &&
    silentSeconds < SILENT_AFTER_S &&
    lag.seconds !== null &&
    lag.seconds <= lag.maxSeconds &&
    (status.lease?.confirmed ?? true) &&
    (delivery?.streams.every(({ accepting }) => accepting) ?? false);
  const isOk = worst === undefined || worst.severity === 'notice';
  return { status: isOk ? 'ok' : (worst.severity as 'down' | 'degraded'), ready: isReady, problems };
}

const NOT_STREAMING: Record<
  Exclude<DaemonStatus['state'], 'streaming' | 'standby'>,
  [what: string, hint: string | null]
> = {
  starting: ['the daemon is starting', null],
  waiting: ['the daemon waits, and follows the binlog again as soon as it can', null],
  stopping: ['the daemon is stopping', null],
  stopped: ['no daemon runs', 'start it with cdc run'],
};

function streamingProblems(
  { state, stream }: HealthInput['status'],
  silentSeconds: number,
  { what, why, hint }: HealthInput['waitsFor'],
): HealthProblem[] {
  if (state === 'standby') return [];
  if (state !== 'streaming') {
    const [otherwise, toDo] = NOT_STREAMING[state];
    return [{ code: 'not_streaming', severity: 'down', what: what ?? otherwise, why, hint: hint ?? toDo }];
  }
  if (silentSeconds < SILENT_AFTER_S) return [];
  return [
    {
      code: 'source_silent',
      severity: 'down',
      what: `the server ${stream?.server.host ?? ''} has not answered for ${Math.round(silentSeconds)} s`,
      why: 'it hangs, or the network to it does',
      hint: 'cdc continues by itself as soon as it answers; look at the server and at the network',
    },
  ];
}

function leaseProblems({ state, lease, checkpoint }: HealthInput['status']): HealthProblem[] {
  const problems: HealthProblem[] = [];
  if (state === 'standby' && lease?.holder) {
    problems.push({
      code: 'standby',
      severity: 'notice',
      what: `this daemon stands by: ${holderText(lease.holder)} leads`,
      why: null,
      hint: 'it follows by itself within 10 s once that process ends; commands that change something go to that one',
    });
  }
  const waits = state === 'streaming' && lease?.leads === true && !lease.confirmed;
  if (waits || lease?.storeError) {
    const { message, why, hint } = lease?.storeError ?? {};
    problems.push({
      ...{ code: 'checkpoint_store', severity: 'degraded' },
      what: waits
        ? `nothing is sent: ${checkpoint.location} has not confirmed the lease for some seconds`
        : (message ?? ''),
      why: waits && message ? `${message}: ${why ?? ''}` : (why ?? null),
      hint: hint ?? 'cdc continues by itself once the store answers; look at it, and at the network to it',
    });
  }
  return problems;
}

function lagProblems({ lag, state, delivery }: HealthInput['status']): HealthProblem[] {
  if (lag.seconds === null || lag.seconds <= lag.maxSeconds) return [];
  const isHeldBack = delivery?.backpressure ?? false;
  return [
    {
      code: 'lag',
      severity: 'degraded',
      what: `changes of the last ${Math.round(lag.seconds)} s are not acknowledged yet`,
      why: `admin.max_lag is ${lag.maxSeconds} s`,
      hint:
        state !== 'streaming'
          ? null
          : isHeldBack
            ? 'the sink takes less than the source writes: see the streams, and their quota'
            : 'it falls by itself if cdc reads faster than the source writes',
    },
  ];
}

function deliveryProblems({ delivery, at }: HealthInput['status']): HealthProblem[] {
  const now = Date.parse(at);
  return (delivery?.streams ?? []).flatMap(({ stream, accepting, obstacle, stuck, lanes }): HealthProblem[] => {
    const [first] = stuck;
    if (!accepting) {
      return [
        {
          code: 'stream_not_accepting',
          severity: 'degraded',
          what: `the stream ${stream} accepts nothing`,
          why: obstacle?.reason ?? first?.reason ?? 'it does not answer',
          hint: 'cdc retries without end and loses nothing; look at the stream and at the network to it',
        },
      ];
    }
    if (obstacle !== null && now - Date.parse(obstacle.since) >= RETRYING_AFTER_MS) {
      return [
        {
          code: 'events_wait',
          severity: 'degraded',
          what: `events of the stream ${stream} wait, and soon all behind them`,
          why: obstacle.reason,
          hint: 'cdc retries without end and loses nothing; look at what the reason names',
        },
      ];
    }
    if (first === undefined || now - Date.parse(first.since) < RETRYING_AFTER_MS) return [];
    const { table, seq } = first.oldest;
    return [
      {
        code: 'lanes_retrying',
        severity: 'degraded',
        what: `${lanes.retrying} of ${lanes.total} lanes of the stream ${stream} are sent again and again`,
        why: `${first.reason} (the oldest event is of ${table}, seq ${seq})`,
        hint: 'if one event is the cause, add its seq to dead_letter.events, and restart cdc run',
      },
    ];
  });
}

function purgeProblems({ purge, state: daemon }: HealthInput['status']): HealthProblem[] {
  const { state, headroomSeconds, retentionSeconds } = purge;
  if (state === 'gone') {
    return [
      {
        code: 'binlog_gone',
        severity: 'degraded',
        what: 'the server has deleted the binlog of the checkpoint',
        why: 'a restart could not continue from there, and would have a gap',
        hint:
          daemon === 'streaming'
            ? 'do not stop the daemon before it has caught up; keep binlogs for longer than its longest delay'
            : 'see Repair in docs/OPERATIONS.md: move the checkpoint away, start again, and copy the tables with cdc backfill',
      },
    ];
  }
  if (headroomSeconds === null || retentionSeconds === null) return [];
  if (headroomSeconds >= retentionSeconds * HEADROOM_SHARE_MIN) return [];
  return [
    {
      code: 'purge_near',
      severity: 'degraded',
      what: `the server can delete the binlog of the checkpoint in ${duration(headroomSeconds)}`,
      why: `it keeps binlogs for ${duration(retentionSeconds)}, and cdc has not delivered all of that one`,
      hint: 'mend what holds cdc back, or let the server keep binlogs for longer (binlog_expire_logs_seconds)',
    },
  ];
}

function notices({ deadLetters, tables, backfill }: HealthInput['status']): HealthProblem[] {
  const found: HealthProblem[] = [];
  if ((deadLetters.files ?? 0) > 0) {
    found.push({
      code: 'dead_letters',
      severity: 'notice',
      what: `${count(deadLetters.files ?? 0, 'event is', 'events are')} in the dead letters`,
      why: 'no stream accepted them',
      hint: 'cdc dead-letter list shows them, and cdc dead-letter retry sends them again',
    });
  }
  const inWork = new Set(
    backfill?.tables
      .filter(({ state }) => state === 'queued' || state === 'reading')
      .map(({ schema, table }) => formatTableName(schema, table)),
  );
  const incomplete = tables.filter(
    ({ schema, table, coverage }) => !coverage.complete && !inWork.has(formatTableName(schema, table)),
  );
  const [first] = incomplete;
  if (first !== undefined) {
    const name = formatTableName(first.schema, first.table);
    const others = incomplete.length - 1;
    found.push({
      code: 'incomplete_tables',
      severity: 'notice',
      what:
        others === 0
          ? `${name} is not complete`
          : `${incomplete.length.toLocaleString('en-US')} tables are not complete, ${name} among them`,
      why: first.coverage.why,
      hint: `${completingCommand(incomplete)} copies ${others === 0 ? 'it' : 'them'}`,
    });
  }
  return found;
}

const count = (n: number, one: string, many: string): string => `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;

/** `90 s`, `25 min`, `6 h`, `12 d` */
function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
