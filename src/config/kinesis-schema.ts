import { z } from 'zod';
import { numberWithUnit, parseInteger } from './refinements.ts';
import { byTable, endpoint, linger, region, timeout } from './sink-schema.ts';
import { parseSize } from './units.ts';

/** What a stream of Kinesis can be called (API reference, CreateStream). */
const streamName = z
  .string()
  .refine(
    (name) => /^[A-Za-z0-9_.-]{1,128}$/.test(name),
    'must be 1 to 128 letters, digits, dots, dashes or underscores: the name of a stream, not its ARN',
  );

const aggregate = z.strictObject({
  max_events: numberWithUnit(parseInteger, { min: 1, max: 1_000, what: 'a whole number from 1 to 1000' })
    .prefault(500)
    .describe('The maximum number of events in one record.'),
  max_bytes: numberWithUnit(parseSize, { min: 1, max: 1_000_000, what: 'a size such as 50KiB, at most 1MB' })
    .prefault('50KiB')
    .describe('The maximum size of the events in one record.'),
});

const quota = z.strictObject({
  bytes: numberWithUnit(parseSize, { min: 1024, max: 2 ** 40, what: 'a size such as 1MiB, at least 1KiB' })
    .optional()
    .describe('Bytes per second and shard.'),
  records: numberWithUnit(parseInteger, { min: 1, max: 1e9, what: 'a whole number, at least 1' })
    .optional()
    .describe('Records per second and shard.'),
});

/** The section `kinesis`. */
export const kinesis = z.strictObject({
  region,
  stream: streamName.describe('The Kinesis data stream that receives the events.'),
  routes: byTable(streamName)
    .default({})
    .describe('Other streams for some tables, by table pattern. The first matching pattern applies.'),
  endpoint: endpoint('Only for a local Kinesis or a VPC endpoint.'),
  aggregate: z
    .literal('off')
    .or(aggregate)
    .default('off')
    .describe(
      'off: one event per record, whose partition key is the table and the key of the row. Otherwise many events share ' +
        'a record, in the aggregated format of the Kinesis Producer Library, which consumers must take apart.',
    ),
  quota: quota
    .or(z.literal('off'))
    .prefault({})
    .describe(
      "What each shard takes. Default: that of AWS, 1MiB and 1000 records per second. off: no limit except the stream's own throttling.",
    ),
  linger,
  timeout,
});

export type KinesisConfig = z.output<typeof kinesis>;
