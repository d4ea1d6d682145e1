import type { CapturedTableStatus, DaemonStatus } from '../../admin/daemon-status.ts';
import { type HealthInput, judgeHealth } from '../../admin/health.ts';
import type { BackfillStatus } from '../../backfill/control.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { LeaseHolder } from '../../checkpoint/checkpoint-store.ts';
import { coverageOf, savedTables } from '../../checkpoint/saved-tables.ts';
import type { Config } from '../../config/schema.ts';
import type { BackfillProgress } from '../../model/backfill-progress.ts';
import { LagTracker } from '../../model/lag.ts';
import { holderText } from '../../model/lease-status.ts';
import { PURGE_UNKNOWN, type PurgeStatus, purgeStatus } from '../../model/purge.ts';
import type { StreamStatus } from '../../model/stream-status.ts';
import { version } from '../../runtime/version.ts';
import type { SourceAnswer } from './ask-source.ts';

/** What is known of a pipeline without its daemon. */
export interface CheckpointFacts {
  config: Config;
  /** Where the checkpoint is. */
  location: string;
  saved: Checkpoint | undefined;
  savedAt: string | null;
  source: SourceAnswer;
  /** A process that holds the checkpoint: of this host, and does not listen on its socket, or of another one. */
  holder: LeaseHolder | undefined;
  deadLetters: number | null;
  at: string;
}

/** The status of a pipeline whose daemon does not run, or does not listen yet. */
export function statusFromCheckpoint(facts: CheckpointFacts): DaemonStatus {
  const { config, location, saved, savedAt, source, holder, deadLetters, at } = facts;
  const isHere = holder?.host === null;
  const tables = tablesOf(facts);
  const { bytes, purge } = behind(facts, Date.parse(at));
  const status: Omit<DaemonStatus, 'health'> = {
    name: config.name,
    version,
    pid: isHere ? holder.pid : null,
    startedAt: null,
    at,
    state: isHere ? 'starting' : 'stopped',
    stream: saved === undefined ? null : streamOf(saved, source),
    lag: { seconds: null, bytes, maxSeconds: config.admin.max_lag / 1000 },
    purge,
    checkpoint: {
      location,
      savedAt,
      position: saved === undefined ? null : { file: saved.file, position: saved.position, gtids: saved.gtids },
    },
    lease: null,
    delivery: null,
    totals: null,
    deadLetters: { directory: config.dead_letter.directory, files: deadLetters, recent: [] },
    backfill: saved?.backfill === undefined ? null : backfillOf(saved.backfill, config),
    tables,
    reconnects: 0,
    warnings: 'failure' in source ? [sourceWarning(source, at)] : [],
    process: null,
  };
  return { ...status, health: judgeHealth({ status, silentSeconds: 0, waitsFor: waitsFor(facts) }) };
}

function streamOf({ server, epoch, file, position, gtids }: Checkpoint, source: SourceAnswer): StreamStatus {
  const isSame = !('failure' in source) && source.server.identity === server.identity;
  return { server: { ...server, host: isSame ? source.host : null }, epoch, delivered: { file, position, gtids } };
}

/** The captured tables of the server; if it does not answer, those that the checkpoint names. */
function tablesOf({ config, saved, source }: CheckpointFacts): CapturedTableStatus[] {
  const unseen = { events: { c: 0, u: 0, d: 0, r: 0, t: 0 }, bytes: 0, lastChangeAt: null };
  if ('failure' in source) return savedTables(saved).map((table) => ({ ...table, ...unseen }));
  const coverage = coverageOf(saved);
  coverage.follow(config.tables, source.isCaptured);
  return source.tables.map(({ schema, table }) => ({
    ...{ schema, table, ...coverage.statusOf(schema, table) },
    ...unseen,
  }));
}

/** How long the server keeps the binlog of the checkpoint, and how much it has beyond it. */
function behind({ saved, source }: CheckpointFacts, now: number): { bytes: number | null; purge: PurgeStatus } {
  if (saved === undefined || 'failure' in source || source.server.identity !== saved.server.identity) {
    return { bytes: null, purge: PURGE_UNKNOWN };
  }
  const { end, binlogs: files } = source.server;
  const observation = { at: now, clockAheadMs: 0, end, files, retentionSeconds: source.retentionSeconds };
  const delivered = { file: saved.file, position: saved.position };
  const lag = new LagTracker(undefined);
  const progress = { delivered, read: delivered, oldestCommittedAt: undefined, lastCommittedAt: undefined };
  lag.observed(observation, progress);
  const { created, committed } = saved.binlog ?? { created: 0, committed: 0 };
  const writtenUntil = Math.max(created * 1000, committed / 1000);
  const purge = purgeStatus(delivered, observation, writtenUntil === 0 ? undefined : writtenUntil, now);
  return { bytes: lag.bytes(progress), purge };
}

/** What is left of a backfill. The daemon reads it once it runs. */
function backfillOf({ paused, parallel, rate, tables }: BackfillProgress, config: Config): BackfillStatus | null {
  if (tables.length === 0) return null;
  return {
    state: paused ? 'paused' : 'idle',
    waitingFor: 'cdc run, which continues it',
    parallel: parallel ?? config.backfill.parallel,
    rate: rate ?? config.backfill.rate ?? null,
    tables: tables.map(({ schema, table, request, rows, estimatedRows }) => ({
      ...{ schema, table, request, rows, estimatedRows, state: 'queued' },
      fraction: estimatedRows > 0 ? Math.min(rows / estimatedRows, 0.99) : 0,
    })),
  };
}

/** Why nothing is streamed. */
function waitsFor({ saved, holder, config }: CheckpointFacts): HealthInput['waitsFor'] {
  if (holder === undefined) return noDaemon(saved);
  return holder.host === null ? notListening(holder.pid, config) : elsewhere(holder);
}

const noDaemon = (saved: Checkpoint | undefined): HealthInput['waitsFor'] => ({
  what: 'no daemon runs',
  why: saved === undefined ? 'it has not run yet: there is no checkpoint' : null,
  hint: 'start it with cdc run; if it ended by itself, the last line of its log says why',
});

const notListening = (pid: number, { admin }: Config): HealthInput['waitsFor'] => ({
  what: `a cdc (process ${pid}) holds the checkpoint, and does not listen on its socket`,
  why: `it starts or ends at this moment, or it was started with another admin.socket than ${admin.socket}`,
  hint: 'ask again; if it stays so, restart cdc run with this configuration',
});

const elsewhere = (holder: LeaseHolder): HealthInput['waitsFor'] => ({
  what: `no daemon listens here: ${holderText(holder)} leads`,
  why: 'what is shown is of the checkpoint',
  hint: 'ask that daemon, on its host or on its admin.listen',
});

const sourceWarning = (
  { failure }: { failure: Error & { why?: string | undefined; hint?: string | undefined } },
  at: string,
) => ({
  at,
  level: 'warn' as const,
  message: `MySQL was not asked for its tables: ${failure.message}`,
  why: failure.why ?? null,
  hint: failure.hint ?? null,
  times: 1,
});
