import { isLocal } from '../../aws/local-endpoint.ts';
import type { FirehoseConfig } from '../../config/transport-schema.ts';
import type { Quota, SinkTarget } from '../sink.ts';
import { type FirehoseConnection, firehoseClient } from './firehose-client.ts';
import { FirehoseSink } from './firehose-sink.ts';
import { defaultQuota } from './quota.ts';

/** Opens a sink for each stream. */
export async function openSinks(
  config: FirehoseConfig,
  streams: readonly { name: string; stream: string }[],
): Promise<SinkTarget[]> {
  const { aggregate, compression, linger: lingerMs, timeout: timeoutMs, region, endpoint } = config;
  const quota = await streamQuota(config);
  const shared = { region, endpoint, timeoutMs, gzip: compression === 'gzip', bodyPool: [] };
  const aggregation =
    aggregate === 'off' ? aggregate : { maxEvents: aggregate.max_events, maxBytes: aggregate.max_bytes };
  return streams.map(({ name, stream }) => ({
    ...{ name, quota, aggregation, lingerMs },
    sink: new FirehoseSink({ ...shared, stream }),
  }));
}

/** What each stream accepts per second: as configured, otherwise what AWS gives a stream of the region. */
export async function streamQuota(config: Pick<FirehoseConfig, 'quota' | 'endpoint' | 'region'>): Promise<Quota> {
  const { quota: configured, region, endpoint } = config;
  if (configured === 'off') return UNLIMITED;
  const defaults = isLocal(endpoint) ? UNLIMITED : defaultQuota(await regionOf({ region, endpoint }));
  const { records = defaults.records, requests = defaults.requests, bytes = defaults.bytes } = configured;
  return { records, requests, bytes };
}

const UNLIMITED: Quota = { records: Infinity, requests: Infinity, bytes: Infinity };

/** The region that the SDK finds. Without a region it is empty, and the first request fails with that error. */
async function regionOf(connection: FirehoseConnection): Promise<string> {
  const client = firehoseClient(connection);
  try {
    return await client.config.region();
  } catch {
    return '';
  } finally {
    client.destroy();
  }
}
