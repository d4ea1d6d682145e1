import { createHash } from 'node:crypto';
import { type KinesisClient, ListShardsCommand } from '@aws-sdk/client-kinesis';
import { kinesisClient } from '../../src/sinks/kinesis/kinesis-client.ts';
import type { PutRecord } from './fault-proxy.ts';

interface Bucket {
  records: number;
  bytes: number;
  filledAt: number;
}

/** The quota of each shard, as buckets of one second, by the hash ranges that the local Kinesis has at the moment. */
export class ShardLimits {
  throttled = 0;
  readonly #limits: { records: number; bytes: number } | undefined;
  readonly #client: KinesisClient;
  readonly #buckets = new Map<string, Bucket>();

  constructor(port: number, limits: { records: number; bytes: number } | undefined) {
    this.#limits = limits;
    this.#client = kinesisClient({ region: undefined, endpoint: `http://127.0.0.1:${port}` });
  }

  /** The shard of each record that is over the quota of its shard; undefined for the others, which are charged. */
  async refused(stream: string, records: readonly PutRecord[]): Promise<(string | undefined)[]> {
    const limits = this.#limits;
    if (limits === undefined) return records.map(() => undefined);
    const shards = await this.shardsOf(stream, records);
    const now = performance.now();
    return records.map(({ Data, PartitionKey }, i) => {
      const shard = shards[i] ?? '';
      const bucket = this.#buckets.get(shard) ?? { ...limits, filledAt: now };
      this.#buckets.set(shard, bucket);
      const seconds = (now - bucket.filledAt) / 1_000;
      bucket.records = Math.min(limits.records, bucket.records + seconds * limits.records);
      bucket.bytes = Math.min(limits.bytes, bucket.bytes + seconds * limits.bytes);
      bucket.filledAt = now;
      const bytes = Buffer.from(Data, 'base64').length + Buffer.byteLength(PartitionKey);
      if (bucket.records < 1 || bucket.bytes < bytes) {
        this.throttled++;
        return shard;
      }
      bucket.records -= 1;
      bucket.bytes -= bytes;
      return undefined;
    });
  }

  /** The shard of each record: that whose range has its hash key. */
  async shardsOf(stream: string, records: readonly PutRecord[]): Promise<(string | undefined)[]> {
    const { Shards = [] } = await this.#client.send(new ListShardsCommand({ StreamName: stream }));
    const open = Shards.filter(({ SequenceNumberRange }) => !SequenceNumberRange?.EndingSequenceNumber);
    return records.map(({ PartitionKey, ExplicitHashKey }) => {
      const md5 = createHash('md5').update(PartitionKey).digest('hex');
      const hash = ExplicitHashKey === undefined ? BigInt(`0x${md5}`) : BigInt(ExplicitHashKey);
      return open.find(
        ({ HashKeyRange }) =>
          hash >= BigInt(HashKeyRange?.StartingHashKey ?? 0) && hash <= BigInt(HashKeyRange?.EndingHashKey ?? 0),
      )?.ShardId;
    });
  }
}
