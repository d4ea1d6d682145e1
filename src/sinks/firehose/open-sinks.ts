import type { Quota } from '../sink.ts';
import { type FirehoseConnection, FirehoseSink, firehoseClient, isLocal } from './firehose-sink.ts';
import { defaultQuota } from './quota.ts';

export interface FirehoseStream {
  name: string;
  sink: FirehoseSink;
  quota: Quota;
}

/** A sink for each stream, and what it takes in a second: as given, else what AWS gives a stream of the region. */
export async function openSinks(
  names: readonly string[],
  access: FirehoseConnection,
  options: { gzip: boolean; quota: { [what in keyof Quota]?: number | undefined } | 'off' },
): Promise<FirehoseStream[]> {
  const quota = await quotaFor(access, options.quota);
  const bodyPool: Buffer[] = [];
  return names.map((name) => ({
    name,
    quota,
    sink: new FirehoseSink({ ...access, stream: name, gzip: options.gzip, bodyPool }),
  }));
}

async function quotaFor(
  access: FirehoseConnection,
  given: { [what in keyof Quota]?: number | undefined } | 'off',
): Promise<Quota> {
  if (given === 'off') return UNLIMITED;
  const defaults = isLocal(access.endpoint) ? UNLIMITED : defaultQuota(await regionOf(access));
  const { records = defaults.records, requests = defaults.requests, bytes = defaults.bytes } = given;
  return { records, requests, bytes };
}

const UNLIMITED: Quota = { records: Infinity, requests: Infinity, bytes: Infinity };

/** The region that the SDK finds; none when there is none, which the first request then says. */
async function regionOf(access: FirehoseConnection): Promise<string> {
  const client = firehoseClient(access);
  try {
    return await client.config.region();
  } catch {
    return '';
  } finally {
    client.destroy();
  }
}
