import type { PipelineObservation } from './admin/status.ts';
import type { Backfill } from './backfill/backfill.ts';
import type { RepairRequest, RepairResult, TableStatus } from './backfill/control.ts';
import { MergePoint } from './backfill/merge/merge-point.ts';
import { openBackfill } from './backfill/open-backfill.ts';
import type { Checkpoint } from './checkpoint/checkpoint.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import type { Leadership } from './checkpoint/leadership.ts';
import { compileDestinations } from './config/destinations.ts';
import type { Config } from './config/schema.ts';
import { sourceConnection } from './config/source-connection.ts';
import { DeliveryErrorHandler } from './dead-letter/delivery-error-handler.ts';
import { Delivery } from './delivery/delivery.ts';
import type { DeliveredPosition } from './delivery/watermark-tracker.ts';
import { TableWatches } from './model/chunk-window.ts';
import { type Coverage, rowsThatDiffer, type TableCoverage } from './model/coverage.ts';
import type { IncompleteTable } from './model/incomplete-tables.ts';
import { RunTotals } from './model/run-totals.ts';
import { compileTableFilter, formatTableName } from './model/table-filter.ts';
import { differingRows, type ReportedTable, type VerifiedRows } from './model/verified-tables.ts';
import { PipelineObserver } from './pipeline-observer.ts';
import { onAbort } from './runtime/abort.ts';
import { asCdcError, CdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';
import { openTargets } from './sinks/open-targets.ts';
import { CapturedTables } from './source/captured-tables.ts';
import { ChangeStream } from './source/change-stream.ts';
import { type SelectedHost, selectHost } from './source/select-host.ts';
import { StreamPauses } from './source/stream-pauses.ts';

/** Saves to a store on a server that can fail one after the other, a second apart. */
const FAILED_SAVES_MAX = 5;
/** How long delivery continues after the source has ended. */
export const DRAIN_TIMEOUT_MS = 20_000;

/** What a running pipeline shows and takes. */
export interface RunningPipeline {
  config: Config;
  server: SelectedHost['server'];
  backfill: Backfill;
  /** The captured tables, whether the lake holds the whole of each, and what `cdc verify` has found in it. */
  tables(): Promise<{ schema: string; table: string; coverage: TableCoverage; verified: VerifiedRows | null }[]>;
  /** How far it is and how it is, without waiting for anything. */
  observe(): PipelineObservation;
  /**
   * Records what `cdc verify` has found. Resolves once the checkpoint is durable.
   * @throws CdcError with exit code 2 that names each table that is not captured; nothing is recorded then
   */
  verified(results: readonly ReportedTable[]): Promise<void>;
  /** Sends rows again whose keys differ in the lake. Resolves once they are delivered. */
  repair(request: RepairRequest): Promise<RepairResult>;
}

export interface PipelineHooks {
  /** Tables that backfills of this process have finished. */
  finished?: TableStatus[];
  /** Counts over all pipelines of this process. */
  totals?: RunTotals;
  /** The pipeline can be asked from here on. */
  onRunning?: (pipeline: RunningPipeline) => void;
}

/**
 * The data flow, once from start to end:
 *
 *     binlog bytes -> row images -> event bytes in their lane -> request -> ack -> watermark -> checkpoint
 *
 * A backfill merges rows of the tables into it, between two transactions.
 *
 * It needs the lease of the checkpoint: without it nothing is sent, and it ends once that is lost.
 *
 * Runs until `signal` aborts, then delivers the events that were read, saves the checkpoint and resolves. Rejects with
 * the error that ended it. The checkpoint then holds the watermark: the last transaction up to which all are delivered.
 */
export async function runPipeline(
  loaded: Config,
  leadership: Leadership,
  log: Log,
  signal: AbortSignal,
  { finished = [], totals = new RunTotals(), onRunning }: PipelineHooks = {},
): Promise<void> {
  const { checkpoint: saved, savedAt, usedEpoch } = await leadership.read();
  const selected = await selectHost(loaded, saved, signal, { start: loaded.source.start, usedEpoch });
  const { config, server, start, host } = selected;
  for (const { host, error } of selected.rejected) log.warn({ host, why: error.why, hint: error.hint }, error.message);

  const failure = new AbortController();
  const fail = (error: unknown): void => failure.abort(asCdcError(error));
  const removeListener = onAbort(leadership.lost, () => fail(leadership.lost.reason));
  if (start.epoch > usedEpoch) await leadership.saveEpoch(start.epoch);
  const isCaptured = compileTableFilter(config.tables, server);
  start.coverage.follow(config.tables, isCaptured);
  const stopSignal = AbortSignal.any([signal, failure.signal]);
  const parts = await connectParts(selected, { leadership, saved, finished, totals, log, signal: stopSignal, fail });
  const { source, merge, backfill, repairs, delivery, checkpointer } = parts;
  // A table that is created later needs no backfill.
  if (saved === undefined && config.source.start === 'snapshot') await backfill.start({ tables: [] }, 'may be empty');
  // Saved before the first event: a crash from here on resumes at this place, and not at a later `start: now`.
  checkpointer.markDirty();
  await checkpointer.save();

  log.info(
    { host, server: server.version, from: start.dump, epoch: start.epoch, resumed: saved !== undefined },
    'following the binlog',
  );
  backfill.run();
  const captured = new CapturedTables(() => sourceConnection(config.source), isCaptured);
  const tables: RunningPipeline['tables'] = async () =>
    (await captured.list()).map((id) => ({ ...id, ...start.coverage.statusOf(id.schema, id.table) }));
  const verified: RunningPipeline['verified'] = async (results) => {
    await captured.assertCaptured(results);
    // Another pipeline can have the checkpoint by now.
    if (stopSignal.aborted) throw new CdcError('the pipeline is stopping', { kind: 'retry', hint: 'try again' });
    recordResults(results, start.coverage, log);
    checkpointer.markDirty();
    await checkpointer.save();
  };
  const observer = new PipelineObserver({
    ...parts,
    ...{ selected, savedAt, log, signal: stopSignal },
    failure: () => (failure.signal.aborted ? asCdcError(failure.signal.reason) : undefined),
  });
  const monitoring = observer.monitor();
  onRunning?.({
    ...{ config, server, backfill, tables, verified },
    observe: () => observer.observe(),
    repair: (request) => repairs.repair(request),
  });
  try {
    await source.follow(merge);
    if (!failure.signal.aborted)
      log.info({ waiting: delivery.bufferedBytes }, 'stopping: delivering the events that were read');
  } catch (error) {
    fail(error);
  } finally {
    await backfill.stopped();
    await repairs.stopped();
    if (!parts.hasSinkFailed() && leadership.holds()) await drainWithTimeout(delivery, log);
    delivery.stop();
    await monitoring;
    for (const { sink } of parts.targets) sink.close();
    await checkpointer.save().catch(fail);
    removeListener();
    const { coordinates, gtids } = delivery.delivered;
    const last = failure.signal.aborted ? 'the pipeline ended with an error' : 'stopped';
    log.info({ ...delivery.counters, ...coordinates, gtids: gtids?.toString() }, last);
  }
  if (failure.signal.aborted) throw failure.signal.reason;
}

interface PipelineContext {
  leadership: Leadership;
  saved: Checkpoint | undefined;
  finished: TableStatus[];
  totals: RunTotals;
  log: Log;
  signal: AbortSignal;
  fail: (error: unknown) => void;
}

/** The parts of the pipeline, each connected with the next one. Nothing flows yet. */
async function connectParts(
  selected: SelectedHost,
  { leadership, saved, finished, totals, log, signal, fail }: PipelineContext,
) {
  const { config, server, start } = selected;
  const errorHandler = new DeliveryErrorHandler(config, log, (letter) => totals.deadLettered(letter));
  const watches = new TableWatches();
  const source = new ChangeStream({
    config,
    server,
    start,
    signal,
    activity: totals.tables,
    watches,
    onTable: (table) => errorHandler.registerTable(table),
    onEmptied: (schema, table) => backfill.emptied(schema, table),
    onIncomplete(mark) {
      backfill.rewritten(mark.schema, mark.table);
      logIncomplete(log, mark);
    },
    onSkippedTruncate: (schema, name, { gtid, file }) =>
      log.info({ table: formatTableName(schema, name), gtid, file }, 'a TRUNCATE is left out (truncate: skip)'),
  });
  const pauses = new StreamPauses(source);
  let endBackpressure: (() => void) | undefined;
  const targets = await openTargets(config, compileDestinations(config, server).all, server);
  /** A sink rejects everything, so draining would wait in vain. */
  let sinkFailed = false;
  const delivery = new Delivery({
    targets,
    start: start.delivered,
    totals: totals.delivery,
    maySend: () => leadership.holds(),
    shouldDeadLetter: errorHandler.shouldDeadLetter,
    deadLetter: (request) => errorHandler.deadLetter(request),
    onRetry: (report) => errorHandler.logRetry(report),
    onObstacle: (report) => errorHandler.logObstacle(report),
    onBackpressure(paused) {
      const endLast = endBackpressure;
      endBackpressure = paused ? pauses.begin() : undefined;
      // The stream can go on at once, up to the next backpressure, before this returns.
      endLast?.();
    },
    onDelivered: () => checkpointer.markDirty(),
    onFatal(error) {
      sinkFailed = true;
      fail(error);
    },
  });
  const merge = new MergePoint(delivery, { watches, stream: source, start: start.delivered, signal });
  const { backfill, repairs, ordinals } = openBackfill({
    ...{ config, server, start, saved: saved?.backfill, finished, delivery, merge, watches, log, signal },
    activity: totals.tables,
    pauseStream: () => pauses.begin(),
    onProgress: () => checkpointer.markDirty(),
    saveCheckpoint() {
      checkpointer.markDirty();
      return checkpointer.save();
    },
  });
  const current = (): Checkpoint => checkpointOf(selected, delivery.delivered, backfill);
  let failedSaves = 0;
  const onSaved = (checkpoint: Checkpoint): void => {
    failedSaves = 0;
    ordinals.saved(checkpoint.backfill?.ordinals ?? 0);
  };
  // A store that is away for a moment leaves the lease here. Not for long: a restart would repeat all since then.
  const onSaveFailed = (error: unknown): void => {
    const isAway = leadership.generation !== null && leadership.holds() && asCdcError(error).kind === 'retry';
    if (isAway && ++failedSaves < FAILED_SAVES_MAX) checkpointer.markDirty();
    else fail(error);
  };
  const checkpointer = new Checkpointer(leadership, {
    ...{ current, onError: onSaveFailed, onSaved },
    deliveredEvents: () => delivery.counters.events,
  });
  const describeEvent = (line: Buffer) => errorHandler.describe(line);
  const flow = { source, targets, delivery, merge, backfill, repairs, checkpointer };
  return { ...flow, describeEvent, hasSinkFailed: () => sinkFailed };
}

function logIncomplete(log: Log, { schema, table, why, ...at }: IncompleteTable): void {
  const name = table === '*' ? `the tables of ${schema}` : `${schema}.${table}`;
  const copy = `cdc backfill ${schema}.${table}`;
  log.warn(
    { table: `${schema}.${table}`, statement: why, ...at },
    `${why} can have changed rows of ${name} without row events: copy them again (${copy})`,
  );
}

function recordResults(results: readonly ReportedTable[], coverage: Coverage, log: Log): void {
  for (const result of results) {
    if (!coverage.compared(result)) continue;
    const { schema, table: name, ...found } = result;
    const table = formatTableName(schema, name);
    const line = { table, ...found };
    if (differingRows(result) === 0) log.info(line, 'cdc verify found no difference');
    else log.warn(line, `cdc verify found ${rowsThatDiffer(result)}: send them again (cdc verify --repair ${table})`);
  }
}

function checkpointOf(
  { config, server, start }: SelectedHost,
  delivered: DeliveredPosition,
  backfill: Backfill,
): Checkpoint {
  return {
    name: config.name,
    server: { flavor: server.flavor, identity: server.identity },
    epoch: start.epoch,
    gtids: delivered.gtids?.toString() ?? null,
    ...delivered.coordinates,
    tables: start.tableSchemas.entriesFrom(delivered.coordinates),
    incomplete: start.coverage.incomplete,
    binlog: delivered.fingerprint,
    coverage: start.coverage.saved,
    backfill: backfill.progress,
  };
}

async function drainWithTimeout(delivery: Delivery, log: Log): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn(
        { waiting: delivery.bufferedBytes },
        `drain timed out after ${DRAIN_TIMEOUT_MS / 1000} s; the next start reads undelivered events again`,
      );
      resolve();
    }, DRAIN_TIMEOUT_MS);
  });
  await Promise.race([delivery.drain(), deadline]);
  clearTimeout(timer);
}
