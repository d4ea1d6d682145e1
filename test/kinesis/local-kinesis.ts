import { once } from 'node:events';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  ListStreamsCommand,
  MergeShardsCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis';
import { awsClientOptions } from '../../src/aws/client-options.ts';
import { listOpenShards } from '../../src/sinks/kinesis/shard-map.ts';
import { type FaultProxy, type OnPut, startFaultProxy } from './fault-proxy.ts';

type Kinesalite = (options: object) => Server;

export interface LocalKinesis extends FaultProxy {
  client: KinesisClient;
  /** Creates a stream, and waits until it is ACTIVE. */
  createStream(name: string, shards: number): Promise<void>;
  /** Splits an open shard in the middle. Records continue meanwhile. */
  split(stream: string, shard: string): Promise<void>;
  /** Merges two neighbours. */
  merge(stream: string, shard: string, neighbour: string): Promise<void>;
  openShards(stream: string): Promise<string[]>;
  /** Removes a stream and its records. Resolves when it is gone. */
  deleteStream(name: string): Promise<void>;
}

const RESHARD_MS = 50;
const POLL_MS = 10;

/**
 * A local Kinesis: kinesalite, with the wire protocol of AWS, behind a proxy that has faults and the quotas of shards.
 * @param quota what each shard takes per second; without it nothing is limited
 * @param createStreamMs how long a stream is CREATING
 * @param onPut is called for each PutRecords
 */
export async function startLocalKinesis(
  quota?: { records: number; bytes: number },
  { createStreamMs = 5, onPut }: { createStreamMs?: number; onPut?: OnPut } = {},
): Promise<LocalKinesis> {
  const kinesalite = createRequire(import.meta.url)('kinesalite') as Kinesalite;
  const options = { createStreamMs, deleteStreamMs: 5, updateStreamMs: RESHARD_MS, shardLimit: 1_000 };
  const server = kinesalite(options).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await startFaultProxy((server.address() as AddressInfo).port, quota, onPut);
  // A kept connection can close in the moment in which it is used. Unlike the sink, nobody sends again but the client.
  const connection = awsClientOptions({ region: undefined, endpoint: proxy.endpoint });
  const client = new KinesisClient({ ...connection, maxAttempts: 5 });
  const active = async (stream: string): Promise<void> => {
    for (;;) {
      const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName: stream }));
      if (StreamDescriptionSummary?.StreamStatus === 'ACTIVE') return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  return {
    ...proxy,
    client,
    async createStream(name, shards) {
      await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }));
      await active(name);
    },
    async split(stream, shard) {
      const range = (await listOpenShards(client, stream)).find(({ ShardId }) => ShardId === shard)?.HashKeyRange;
      const middle = (BigInt(range?.StartingHashKey ?? 0) + BigInt(range?.EndingHashKey ?? 0)) / 2n + 1n;
      await client.send(
        new SplitShardCommand({ StreamName: stream, ShardToSplit: shard, NewStartingHashKey: middle.toString() }),
      );
      await active(stream);
    },
    async merge(stream, shard, neighbour) {
      await client.send(
        new MergeShardsCommand({ StreamName: stream, ShardToMerge: shard, AdjacentShardToMerge: neighbour }),
      );
      await active(stream);
    },
    openShards: async (stream) => (await listOpenShards(client, stream)).map(({ ShardId = '' }) => ShardId),
    async deleteStream(name) {
      await client.send(new DeleteStreamCommand({ StreamName: name }));
      for (;;) {
        const { StreamNames = [] } = await client.send(new ListStreamsCommand({}));
        if (!StreamNames.includes(name)) return;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    async close() {
      client.destroy();
      await proxy.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
