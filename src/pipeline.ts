import { type Checkpoint, CheckpointFile } from './checkpoint/checkpoint-file.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import type { Config } from './config/schema.ts';
import { DeliveryErrorHandler } from './dead-letter/delivery-error-handler.ts';
import type { Aggregation } from './delivery/batch-builder.ts';
import { Delivery } from './delivery/delivery.ts';
import { compileRoutes } from './model/routes.ts';
import { asCdcError } from './runtime/error.ts';
import type { Log } from './runtime/log.ts';
import { openSinks } from './sinks/firehose/open-sinks.ts';
import { followChanges } from './source/change-stream.ts';
import { selectHost } from './source/select-host.ts';

/** How long what was read may take to arrive once the source has ended, milliseconds. */
const DRAIN_TIMEOUT_MS = 20_000;

/**
 * The way of a row, once from start to end:
 *
 *     binlog bytes -> row images -> event bytes in their lane -> PutRecordBatch -> ack -> watermark -> checkpoint
 *
 * Runs until `signal` aborts, then delivers what it has read, saves the checkpoint and resolves.
 * Rejects with what broke it; the checkpoint is then where the last acknowledged transaction ended.
 */
export async function runPipeline(loaded: Config, log: Log, signal: AbortSignal): Promise<void> {
  const file = new CheckpointFile(loaded.checkpoint.file);
  const saved = await file.load(loaded.name);
  const { config, server, start, host, rejected } = await selectHost(loaded, saved, signal);
  for (const { host, error } of rejected) log.warn({ host, why: error.why, hint: error.hint }, error.message);
  const { delivered, epoch, tableSchemas } = start;

  const failure = new AbortController();
  /** Firehose itself said no: there is nothing to wait for. */
  let sinkRejected = false;
  const ending = AbortSignal.any([signal, failure.signal]);
  const fail = (error: unknown): void => failure.abort(asCdcError(error));

  const checkpoint = (): Checkpoint => ({
    name: config.name,
    server: { flavor: server.flavor, identity: server.identity },
    epoch,
    gtids: delivered.gtids?.toString() ?? null,
    ...delivered.coordinates,
    tables: tableSchemas.entriesFrom(delivered.coordinates),
  });
  const checkpointer = new Checkpointer(file, checkpoint, fail);
  await file.save(checkpoint());

  const { firehose } = config;
  const targets = await openSinks(
    compileRoutes(firehose.routes, firehose.stream, server).streams,
    { region: firehose.region, endpoint: firehose.endpoint, timeoutMs: firehose.timeout },
    { gzip: firehose.compression === 'gzip', quota: firehose.quota },
  );
  const troubled = new DeliveryErrorHandler(config, log);
  const delivery = new Delivery({
    targets,
    delivered,
    aggregation: aggregationOf(firehose.aggregate),
    lingerMs: firehose.linger,
    isDeadLettered: troubled.isListedByOperator,
    deadLetter: (event) => troubled.deadLetter(event),
    onRetry: (trouble) => troubled.logRetry(trouble),
    onBackpressure: (paused) => (paused ? stream.pause() : stream.resume()),
    onDelivered: () => checkpointer.markDirty(),
    onFatal(error) {
      sinkRejected = true;
      fail(error);
    },
  });
  const stream = followChanges(
    config,
    server,
    start,
    {
      table: (table) => troubled.table(table),
      event: (stream, keyHash, bytes, from, to) => delivery.append(stream, keyHash, bytes, from, to),
      commit: (transaction) => delivery.commit(transaction),
      rollback: () => delivery.rollback(),
      savepoint: (name) => delivery.savepoint(name),
      rollbackTo: (name) => delivery.rollbackTo(name),
      prepared: (transaction) => delivery.xaPrepared(transaction),
      idle: (at) => delivery.heartbeat(at),
    },
    ending,
  );

  log.info(
    { host, server: server.version, from: start.dump, epoch, resumed: saved !== undefined },
    'following the binlog',
  );
  try {
    await stream.follow();
    if (!failure.signal.aborted) log.info({ waiting: delivery.bufferedBytes }, 'ending: delivering what was read');
  } catch (error) {
    fail(error);
  } finally {
    if (!sinkRejected) await drainWithTimeout(delivery, DRAIN_TIMEOUT_MS, log);
    delivery.stop();
    for (const { sink } of targets) sink.close();
    await checkpointer.save().catch(fail);
    log.info({ ...delivery.counters, ...delivered.coordinates, gtids: delivered.gtids?.toString() }, 'stopped');
  }
  if (failure.signal.aborted) throw failure.signal.reason;
}

async function drainWithTimeout(delivery: Delivery, ms: number, log: Log): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn({ waiting: delivery.bufferedBytes }, 'not everything could be delivered in time; it will be read again');
      resolve();
    }, ms);
  });
  await Promise.race([delivery.drain(), deadline]);
  clearTimeout(timer);
}

function aggregationOf(aggregate: Config['firehose']['aggregate']): Aggregation {
  return aggregate === 'off' ? 'off' : { maxEvents: aggregate.max_events, maxBytes: aggregate.max_bytes };
}
