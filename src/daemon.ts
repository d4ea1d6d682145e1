import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RecentWarnings } from './admin/recent-warnings.ts';
import { type AdminServer, type AdminServerOptions, createAdminServer } from './admin/server.ts';
import type { DaemonFacts, SavedState } from './admin/status-reader.ts';
import type { TableStatus } from './backfill/control.ts';
import type { CheckpointStore } from './checkpoint/checkpoint-store.ts';
import { claimLeadership, type LastSaved, type Leadership } from './checkpoint/leadership.ts';
import { openCheckpointStore } from './checkpoint/open-checkpoint-store.ts';
import { savedTables } from './checkpoint/saved-tables.ts';
import type { Config } from './config/schema.ts';
import { backfillConnection, configPerHost, sourceConnection } from './config/source-connection.ts';
import { DeadLetterStore } from './dead-letter/dead-letter-store.ts';
import { LeaseState } from './lease-state.ts';
import { RunTotals } from './model/run-totals.ts';
import type { SourceConnection } from './model/source-connection.ts';
import { type RunningPipeline, runPipeline } from './pipeline.ts';
import { preflight } from './preflight/preflight.ts';
import { sleepUnlessAborted } from './runtime/abort.ts';
import { exponentialBackoff } from './runtime/backoff.ts';
import { asCdcError, CdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';
import { version } from './runtime/version.ts';
import { retriedDuringRotation } from './source/server/rotation.ts';

const RESTART_DELAY_BASE_MS = 500;
const RESTART_DELAY_MAX_MS = 30_000;
/** How long another process can take to leave the socket and the port. */
const ADDRESS_WAIT_MS = 5_000;
const ADDRESS_POLL_MS = 250;
/** Between two times that this process leads, if it loses the lease again and again. A takeover has 10 s. */
const LOSS_DELAY = { baseMs: 500, maxMs: 4_000 };
/** If a pipeline runs this long before it fails, the delay starts again at the base. */
const BACKOFF_RESET_AFTER_MS = 60_000;

/** @throws CdcError with exit code 3 if the preflight finds an error that cannot clear by itself */
async function assertPreflight(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const findings = await preflight(config, signal);
  for (const { what, why, fix } of findings.filter(({ severity, transient }) => severity === 'warning' || transient)) {
    log.warn({ why, hint: fix }, what);
  }
  const errors = findings.filter(({ severity, transient }) => severity === 'error' && !transient);
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw new CdcError(first.what, { exitCode: 3, why: first.why, hint: first.fix });
  throw new CdcError(`preflight found ${errors.length} errors`, {
    exitCode: 3,
    why: errors.map(({ what, why }) => `${what}: ${why}`).join('\n        '),
    hint: 'cdc check lists each with the statement or setting that fixes it',
  });
}

export interface DaemonHooks {
  /** Called with each pipeline that has started. */
  onRunning?: (pipeline: RunningPipeline) => void;
  /** The last warnings of the log, for the status. */
  warnings?: RecentWarnings;
  /** Whether to wait while another process leads; without it that is an error. */
  standBy?: boolean;
}

/**
 * Runs the pipeline until `signal` aborts, while this process holds the lease of the checkpoint. It starts the pipeline
 * again after each error of kind `retry`. Its admin server answers from the first moment to the last, except that it
 * steps aside when another process begins to lead, which can be on this host.
 */
export async function runDaemon(
  config: Config,
  log: Log,
  signal: AbortSignal,
  { onRunning, warnings = new RecentWarnings(), standBy = false }: DaemonHooks = {},
): Promise<void> {
  const store = await openCheckpointStore(config);
  const lease = new LeaseState(store.location, log, () => void admin.stepAside());
  const state: DaemonState = {
    running: undefined,
    lastError: undefined,
    reconnects: 0,
    totals: new RunTotals(),
    lease,
  };
  const admin = createAdminServer(adminOptions(config, log, daemonFacts(config, store, state, warnings, signal)));
  const lastSaved: LastSaved = { epoch: 0 };
  try {
    // The leader of this host has the addresses.
    await admin.listen({ ifFree: true });
    // Who stands by learns at once what would keep it from leading.
    if (standBy) await assertPreflight(config, log, signal);
    for (let losses = 0; !signal.aborted; losses++) {
      if (losses > 0) await waitAfterLoss(losses, signal);
      const leadership = await claimLeadership(store, { standBy, signal, listener: lease, lastSaved });
      const ledSince = performance.now();
      try {
        if (!standBy) await assertPreflight(config, log, signal);
        await listenAsLeader(admin, lease.hasStoodBy, signal);
        await runWithRestarts(config, leadership, log, signal, state, onRunning);
      } finally {
        await leadership.release();
      }
      if (performance.now() - ledSince > BACKOFF_RESET_AFTER_MS) losses = 0;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await admin.close();
    await store.close();
  }
}

/** The first loss is followed at once. Two that take the lease from each other by mistake do it less and less often. */
const waitAfterLoss = (losses: number, signal: AbortSignal): Promise<void> =>
  losses === 1 ? Promise.resolve() : sleepUnlessAborted(exponentialBackoff(losses - 2, LOSS_DELAY), signal);

/**
 * A process of this pipeline that began at the same moment can have the addresses: it steps aside as it stands by.
 * @throws CdcError if another process keeps them
 */
async function listenAsLeader(admin: AdminServer, ifFree: boolean, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + ADDRESS_WAIT_MS;
  for (;;) {
    try {
      return await admin.listen({ ifFree });
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleepUnlessAborted(ADDRESS_POLL_MS, signal);
  }
}

interface DaemonState {
  running: RunningPipeline | undefined;
  /** Why the last pipeline ended; undefined while one runs. */
  lastError: CdcError | undefined;
  reconnects: number;
  readonly totals: RunTotals;
  readonly lease: LeaseState;
}

const DASHBOARD = fileURLToPath(new URL('./dashboard', import.meta.url));

function adminOptions({ admin }: Config, log: Log, daemon: DaemonFacts): AdminServerOptions {
  const { socket, address, hosts, token } = admin;
  const guard = { hosts: address === undefined ? hosts : [address.host, ...hosts], token };
  const port = address === undefined ? {} : { port: { address, ...guard } };
  return { socket, ...port, dashboard: DASHBOARD, daemon, log };
}

function daemonFacts(
  config: Config,
  store: CheckpointStore,
  state: DaemonState,
  warnings: RecentWarnings,
  signal: AbortSignal,
): DaemonFacts {
  const { directory, max_bytes } = config.dead_letter;
  const deadLetters = new DeadLetterStore(directory, config.name, max_bytes);
  return {
    name: config.name,
    version,
    startedAt: new Date().toISOString(),
    maxLagMs: config.admin.max_lag,
    checkpointLocation: store.location,
    lease: () => state.lease.status,
    deadLetterDirectory: directory,
    totals: state.totals,
    pipeline: () => state.running,
    whyNoPipeline: () => state.lastError,
    isStopping: () => signal.aborted,
    reconnects: () => state.reconnects,
    warnings: () => warnings.list,
    countDeadLetters: async () => (await deadLetters.ids()).length,
    saved: () => readSaved(store),
  };
}

async function readSaved(store: CheckpointStore): Promise<SavedState> {
  const { checkpoint, savedAt } = await store.read();
  if (checkpoint === undefined) return { savedAt: undefined, position: null, tables: [] };
  const { file, position, gtids } = checkpoint;
  return { savedAt, position: { file, position, gtids }, tables: savedTables(checkpoint) };
}

/** The connections whose password or certificate can be rotated. */
const rotatedConnections = (config: Config): SourceConnection[] =>
  configPerHost(config).flatMap((host) => [sourceConnection(host.source), backfillConnection(host)]);

/** Until `signal` aborts, or the lease is lost. */
async function runWithRestarts(
  config: Config,
  leadership: Leadership,
  log: Log,
  signal: AbortSignal,
  state: DaemonState,
  onRunning: DaemonHooks['onRunning'],
): Promise<void> {
  const finished: TableStatus[] = [];
  const hooks = {
    finished,
    totals: state.totals,
    onRunning(pipeline: RunningPipeline) {
      state.running = pipeline;
      state.lastError = undefined;
      onRunning?.(pipeline);
    },
  };
  const isOver = AbortSignal.any([signal, leadership.lost]);
  for (let attempt = 0; !isOver.aborted; attempt++) {
    const startedAt = Date.now();
    try {
      await runPipeline(config, leadership, log, signal, hooks).finally(() => {
        state.running = undefined;
      });
    } catch (cause) {
      // The signal aborted before the pipeline had read anything.
      if (cause === signal.reason) return;
      const error = retriedDuringRotation(asCdcError(cause), rotatedConnections(config));
      if (error.kind !== 'retry') throw error;
      state.lastError = error;
      if (leadership.lost.aborted) {
        log.warn({ why: error.why, hint: error.hint }, error.message);
        return;
      }
      state.reconnects++;
      if (Date.now() - startedAt > BACKOFF_RESET_AFTER_MS) attempt = 0;
      const retryInMs = exponentialBackoff(attempt, { baseMs: RESTART_DELAY_BASE_MS, maxMs: RESTART_DELAY_MAX_MS });
      log.warn({ why: error.why, hint: error.hint, retryInMs }, error.message);
      await sleep(retryInMs, undefined, { signal: isOver }).catch(() => {});
    }
  }
}
