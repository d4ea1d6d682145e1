import { readServerFacts } from './binlog/server.ts';
import { followChanges } from './changes.ts';
import { type Checkpoint, CheckpointFile } from './checkpoint/checkpoint-file.ts';
import { CheckpointKeeper } from './checkpoint/checkpoint-keeper.ts';
import type { Config } from './config/schema.ts';
import { sourceConnection } from './config/url.ts';
import { Delivery } from './delivery/delivery.ts';
import { asCdcError, CdcError } from './error.ts';
import { FirehoseSink } from './firehose/firehose-sink.ts';
import type { Log } from './log.ts';
import { startPoint } from './start-point.ts';

/** How long what was read may take to arrive once the source has ended, milliseconds. */
const DRAIN_MS = 20_000;

/**
 * The way of a row, once from start to end:
 *
 *     binlog bytes -> row images -> event bytes in their lane -> PutRecordBatch -> ack -> watermark -> checkpoint
 *
 * Runs until `signal` aborts, then delivers what it has read, saves the checkpoint and resolves.
 * Rejects with what broke it; the checkpoint is then where the last acknowledged transaction ended.
 */
export async function runPipeline(config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const server = await readServerFacts(sourceConnection(config.source));
  const file = new CheckpointFile(config.checkpoint.file);
  const saved = await file.load(config.name);
  const start = startPoint({ start: config.source.start }, saved, server);
  const { delivered, epoch, memory } = start;

  const broken = new AbortController();
  /** Firehose itself said no: there is nothing to wait for. */
  let refused = false;
  const ending = AbortSignal.any([signal, broken.signal]);
  const fail = (error: unknown): void => broken.abort(asCdcError(error));

  const checkpoint = (): Checkpoint => ({
    name: config.name,
    server: { flavor: server.flavor, identity: server.identity },
    epoch,
    gtids: delivered.gtids?.toString() ?? null,
    ...delivered.coordinates,
    tables: memory.since(delivered.coordinates),
  });
  const keeper = new CheckpointKeeper(file, checkpoint, fail);
  await file.save(checkpoint());

  const sink = new FirehoseSink({
    stream: config.firehose.stream,
    region: config.firehose.region,
    endpoint: config.firehose.endpoint,
  });
  const delivery = new Delivery({
    sink,
    delivered,
    maxEvents: config.firehose.aggregate.max_events,
    maxBytes: config.firehose.aggregate.max_bytes,
    lingerMs: config.firehose.linger,
    onPressure: (paused) => (paused ? stream.pause() : stream.resume()),
    onDelivered: () => keeper.moved(),
    onRefused(error) {
      refused = true;
      fail(error);
    },
  });
  const stream = followChanges(
    config,
    server,
    start,
    {
      line(keyHash, bytes, from, to) {
        if (to - from > sink.limits.maxRecordBytes)
          throw oversize(bytes.toString('utf8', from, to), sink.limits.maxRecordBytes);
        delivery.append(keyHash, bytes, from, to);
      },
      commit: (transaction) => delivery.commit(transaction),
      rollback: () => delivery.rollback(),
      savepoint: (name) => delivery.savepoint(name),
      rollbackTo: (name) => delivery.rollbackTo(name),
      prepared: (transaction) => delivery.prepared(transaction),
      idle: (at) => delivery.idle(at),
    },
    ending,
  );

  log.info({ server: server.version, from: start.dump, epoch, resumed: saved !== undefined }, 'following the binlog');
  try {
    await stream.follow();
    if (!broken.signal.aborted) log.info({ waiting: delivery.heldBytes }, 'ending: delivering what was read');
  } catch (error) {
    fail(error);
  } finally {
    if (!refused) await drainWithin(delivery, DRAIN_MS, log);
    delivery.stop();
    sink.close();
    await keeper.save().catch(fail);
    log.info({ ...delivery.counters, ...delivered.coordinates, gtids: delivered.gtids?.toString() }, 'stopped');
  }
  if (broken.signal.aborted) throw broken.signal.reason;
}

async function drainWithin(delivery: Delivery, ms: number, log: Log): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn({ waiting: delivery.heldBytes }, 'not everything could be delivered in time; it will be read again');
      resolve();
    }, ms);
  });
  await Promise.race([delivery.drain(), deadline]);
  clearTimeout(timer);
}

function oversize(line: string, limit: number): CdcError {
  const { key } = JSON.parse(line) as { key?: unknown };
  return new CdcError(
    `an event of ${Buffer.byteLength(line)} bytes is larger than a Firehose record may be (${limit})`,
    {
      // Only debezium lines have a key of their own; the columns of the others begin with it, as a rule.
      why: key === undefined ? `it begins with ${line.slice(0, 160)}` : `its key is ${JSON.stringify(key)}`,
      hint: 'exclude the table from `tables`, or make the row smaller; nothing was skipped, the checkpoint stands before it',
    },
  );
}
