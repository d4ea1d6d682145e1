import { DescribeStreamSummaryCommand } from '@aws-sdk/client-kinesis';
import { isLocal } from '../../aws/local-endpoint.ts';
import type { KinesisConfig } from '../../config/kinesis-schema.ts';
import type { SinkTarget } from '../sink.ts';
import { type KinesisConnection, kinesisClient } from './kinesis-client.ts';
import { KinesisSink } from './kinesis-sink.ts';
import { SHARD_QUOTA, type ShardQuota } from './quota.ts';

const DESCRIBE_TIMEOUT_MS = 5_000;

/** Opens a sink for each stream. What a stream that does not answer allows is not known: then it is the default. */
export async function openKinesisSinks(
  config: KinesisConfig,
  streams: readonly { name: string; stream: string }[],
): Promise<SinkTarget[]> {
  const { aggregate, linger: lingerMs, timeout: timeoutMs, region, endpoint } = config;
  const aggregation =
    aggregate === 'off' ? aggregate : { maxEvents: aggregate.max_events, maxBytes: aggregate.max_bytes };
  const shared = { region, endpoint, timeoutMs, aggregate: aggregation, quota: shardQuota(config), bodyPool: [] };
  return Promise.all(
    streams.map(async ({ name, stream }) => {
      const sink = new KinesisSink({ ...shared, stream, recordKiB: await maxRecordKiB(shared, stream) });
      await sink.open();
      return { name, sink, aggregation, lingerMs };
    }),
  );
}

/** What each shard takes per second: as configured, otherwise what AWS gives one. A local Kinesis has no quota. */
function shardQuota({ quota, endpoint }: KinesisConfig): ShardQuota | 'off' {
  if (quota === 'off') return 'off';
  const { records, bytes } = quota;
  if (records === undefined && bytes === undefined && isLocal(endpoint)) return 'off';
  return { records: records ?? SHARD_QUOTA.records, bytes: bytes ?? SHARD_QUOTA.bytes };
}

async function maxRecordKiB(connection: KinesisConnection, stream: string): Promise<number | undefined> {
  const client = kinesisClient(connection);
  try {
    const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName: stream }), {
      abortSignal: AbortSignal.timeout(DESCRIBE_TIMEOUT_MS),
    });
    return StreamDescriptionSummary?.MaxRecordSizeInKiB;
  } catch {
    return undefined;
  } finally {
    client.destroy();
  }
}
