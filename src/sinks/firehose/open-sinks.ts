import type { Quota } from '../sink.ts';
import { type FirehoseConnection, firehoseClient } from './firehose-client.ts';
import { FirehoseSink } from './firehose-sink.ts';
import { isLocal } from './local-endpoint.ts';
import { defaultQuota } from './quota.ts';

export interface FirehoseStream {
  name: string;
  sink: FirehoseSink;
  quota: Quota;
}

/** The configured parts of the quota; the others are the default of the region. */
type QuotaOption = { [part in keyof Quota]?: number | undefined } | 'off';

/** Opens a sink for each stream. */
export async function openSinks(
  names: readonly string[],
  connection: FirehoseConnection,
  options: { gzip: boolean; quota: QuotaOption },
): Promise<FirehoseStream[]> {
  const quota = await streamQuota(connection, options.quota);
  const bodyPool: Buffer[] = [];
  return names.map((name) => ({
    name,
    quota,
    sink: new FirehoseSink({ ...connection, stream: name, gzip: options.gzip, bodyPool }),
  }));
}

/** What each stream accepts per second: as configured, otherwise what AWS gives a stream of the region. */
export async function streamQuota(connection: FirehoseConnection, configured: QuotaOption): Promise<Quota> {
  if (configured === 'off') return UNLIMITED;
  const defaults = isLocal(connection.endpoint) ? UNLIMITED : defaultQuota(await regionOf(connection));
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
