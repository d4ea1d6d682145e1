import { type KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { PutCalls } from '../aws/put-calls.ts';
import type {
  PartitionPacer,
  RecordBuffers,
  RecordEvent,
  RecordOutcome,
  Sink,
  SinkLimits,
  SinkRecord,
} from '../sink.ts';
import { aggregatedBytesMax, aggregatedRecord } from './aggregated-record.ts';
import { type KinesisConnection, kinesisClient, kinesisRecovery } from './kinesis-client.ts';
import { kinesisLimits } from './limits.ts';
import { putResults } from './outcomes.ts';
import { hashKeyBytes, hashKeyOf, KINESIS_LANES, laneTarget, partitionKey } from './partition-key.ts';
import { ShardPacer, type ShardQuota } from './quota.ts';
import { type PutEntry, putRecordsBody } from './request-body.ts';
import { ShardMap } from './shard-map.ts';

export interface KinesisOptions extends KinesisConnection {
  stream: string;
  /** How many events a record can have; off: a record is one event, with a partition key of its own. */
  aggregate: { maxEvents: number } | 'off';
  /** What each shard takes; off: nothing is paced. */
  quota: ShardQuota | 'off';
  /** MaxRecordSizeInKiB of the stream, if it is known. */
  recordKiB?: number | undefined;
  /** Free buffers for request bodies. Several sinks can share them. */
  bodyPool?: Buffer[];
}

/**
 * One stream of Amazon Kinesis Data Streams, through the AWS SDK.
 *
 * An event keeps its newline: where Firehose reads the stream, its objects are lines then.
 *
 * PutRecords stores the records behind one that fails, so a request has at most one record of a key, or of a lane if
 * records are aggregated. Then all events of a record are of its lane, whose hash key they have.
 */
export class KinesisSink implements Sink {
  readonly service = 'Kinesis';
  readonly limits: SinkLimits;
  readonly needsKeys: boolean;
  readonly isLog = true;
  readonly oneRecordPerKey = true;
  readonly pacer?: PartitionPacer;
  readonly #client: KinesisClient;
  readonly #stream: string;
  readonly #calls: PutCalls;
  readonly #shards: ShardMap | undefined;

  constructor(options: KinesisOptions) {
    const { stream, aggregate, quota, recordKiB } = options;
    this.#client = kinesisClient(options);
    this.#stream = stream;
    this.#calls = new PutCalls(stream, kinesisRecovery(this.#client), options.timeoutMs, options.bodyPool);
    this.needsKeys = aggregate === 'off';
    this.limits = kinesisLimits(recordKiB, aggregate === 'off' ? undefined : aggregate.maxEvents);
    if (quota === 'off') return;
    const pacer = new ShardPacer(quota);
    const shards = new ShardMap(this.#client, stream, (open) => pacer.keep(open));
    this.#shards = shards;
    this.pacer = { admit: (record, now) => this.#admit(record, now, shards, pacer) };
  }

  /** Asks for the shards, which pacing needs. Without them nothing is paced until they are known. */
  async open(): Promise<void> {
    await this.#shards?.refresh();
  }

  async send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]> {
    const entries = records.map((record) => this.#entry(record));
    const command = new PutRecordsCommand({ StreamName: this.#stream, Records: [] });
    const call = {
      command,
      write: (target: Buffer) => putRecordsBody(this.#stream, entries, target),
      send: (options: { abortSignal: AbortSignal }) => this.#client.send(command, options),
      resultsOf: putResults,
      records: records.length,
    };
    const outcomes = await this.#calls.put(call, signal);
    if (outcomes.some(({ kind }) => kind === 'throttled')) this.#shards?.suspect();
    return outcomes;
  }

  close(): void {
    this.#client.destroy();
  }

  #entry(record: SinkRecord): PutEntry {
    if (this.needsKeys) return { data: record.buffers, partitionKey: partitionKeyOf(record) };
    const target = targetOf(record);
    return { data: [aggregatedRecord(record.buffers, target)], ...target };
  }

  /** The partition key counts too, and so does what aggregation adds. */
  #admit(record: SinkRecord, now: number, shards: ShardMap, pacer: ShardPacer): number {
    if (this.needsKeys) {
      const key = partitionKeyOf(record);
      const shard = shards.shardOf(hashKeyOf(key));
      return shard === undefined ? 0 : pacer.admit(shard, bytesOf(record.buffers) + Buffer.byteLength(key), now);
    }
    const shard = shards.shardOf(hashKeyBytes(targetOf(record).explicitHashKey));
    return shard === undefined ? 0 : pacer.admit(shard, aggregatedBytesMax(record.buffers), now);
  }
}

function bytesOf(buffers: RecordBuffers): number {
  let bytes = 0;
  for (const buffer of buffers) bytes += buffer.length;
  return bytes;
}

const partitionKeyOf = ({ events }: SinkRecord): string => partitionKey(events?.[0] as RecordEvent);

const TARGETS = Array.from({ length: KINESIS_LANES }, (_, lane) => laneTarget(lane));

/** A record without a lane is one of the dead letters, which are sent again beside the stream. */
const targetOf = ({ lane = 0 }: SinkRecord) => TARGETS[lane] as ReturnType<typeof laneTarget>;
