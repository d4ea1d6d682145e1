import type { StreamDescriptionSummary } from '@aws-sdk/client-kinesis';
import type { KinesisConfig } from '../../config/kinesis-schema.ts';
import { error, type Finding, transientError, warning } from '../../model/finding.ts';
import { KINESIS_LANES } from './partition-key.ts';

/** The shortest retention, and that of a new stream. Less than a weekend. */
const RETENTION_HOURS_DEFAULT = 24;

/**
 * What a description says about a stream. Its shards have no least number: with too few it throttles, and cdc waits.
 */
export function checkDataStream(
  stream: StreamDescriptionSummary,
  { aggregate }: Pick<KinesisConfig, 'aggregate'>,
): Finding[] {
  const {
    StreamName: name,
    StreamStatus: status,
    OpenShardCount: shards = 0,
    RetentionPeriodHours: hours = 0,
  } = stream;
  const findings: Finding[] = [];
  if (status !== 'ACTIVE' && status !== 'UPDATING') {
    const what = `the stream ${name} is ${status}`;
    const why = 'it accepts no records until it is ACTIVE';
    findings.push(
      status === 'CREATING'
        ? transientError(what, why, 'wait a minute; cdc run waits by itself')
        : error(what, why, 'create the stream again, or set kinesis.stream to another stream'),
    );
  }
  if (hours > 0 && hours <= RETENTION_HOURS_DEFAULT) {
    findings.push(
      warning(
        `the stream ${name} keeps its records for ${hours} hours`,
        'a consumer that is away for longer never gets them, and needs a backfill',
        `aws kinesis increase-stream-retention-period --stream-name ${name} --retention-period-hours 72`,
      ),
    );
  }
  if (aggregate !== 'off' && shards > KINESIS_LANES) {
    findings.push(
      warning(
        `the stream ${name} has ${shards} open shards, and cdc aggregates records`,
        `aggregated records have ${KINESIS_LANES} hash keys, so that ${shards - KINESIS_LANES} shards or more get none`,
        `merge shards until there are at most ${KINESIS_LANES}, or kinesis.aggregate: off`,
      ),
    );
  }
  return findings;
}

/** The finding if the shards cannot be listed. */
export const unlistedShards = (stream: string, reason: string): Finding =>
  warning(
    `the shards of the stream ${stream} cannot be listed`,
    `${reason}; without them cdc cannot keep to the quota of each shard, and Kinesis throttles it`,
    `allow {"Effect":"Allow","Action":"kinesis:ListShards","Resource":"arn:aws:kinesis:*:*:stream/${stream}"}`,
  );
