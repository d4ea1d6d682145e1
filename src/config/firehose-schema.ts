import { z } from 'zod';
import { numberWithUnit, parseInteger, plainName } from './refinements.ts';
import { endpoint, linger, quota, region, streamRoutes, timeout } from './sink-schema.ts';
import { parseSize } from './units.ts';

const aggregate = z.strictObject({
  max_events: numberWithUnit(parseInteger, { min: 1, max: 100_000, what: 'a whole number from 1 to 100000' })
    .prefault(500)
    .describe('The maximum number of events in one record; dynamic partitioning allows 500.'),
  max_bytes: numberWithUnit(parseSize, {
    min: 1,
    max: 1_024_000,
    what: 'a size such as 512KiB, at most 1,024,000 bytes (1000KiB)',
  })
    .prefault('512KiB')
    .describe('The maximum size of one record; Firehose allows 1,024,000 bytes.'),
});

export const firehose = z
  .strictObject({
    region,
    stream: plainName.describe('The delivery stream that receives the events.'),
    routes: streamRoutes,
    endpoint: endpoint('Only for a local Firehose or a VPC endpoint.'),
    aggregate: aggregate
      .or(z.literal('off'))
      .prefault({})
      .describe('How many events share one Firehose record. off: one event per record.'),
    compression: z
      .enum(['none', 'gzip'])
      .default('none')
      .describe('gzip: each record is compressed; only for streams that deliver records to S3 unchanged.'),
    quota: quota
      .or(z.literal('off'))
      .prefault({})
      .describe(
        "The quota of each stream. Default: the quota that AWS gives a stream of the region. off: no limit except the stream's own throttling, as for a local Firehose.",
      ),
    linger,
    timeout,
  })
  .superRefine(({ aggregate, compression }, context) => {
    if (aggregate !== 'off' || compression !== 'gzip') return;
    const message =
      'gzip cannot be used with aggregate: off, because it compresses records of many events; remove one of the two';
    context.addIssue({ code: 'custom', path: ['compression'], message });
  });
