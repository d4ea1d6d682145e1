import type { TemplateFinding } from './finding.ts';
import type { Stack } from './resolve.ts';

/** The alarms of a stack: metrics that Firehose has for its destination (page "Monitoring with CloudWatch metrics"). */

// biome-ignore lint/suspicious/noExplicitAny: properties whose types the schema check has seen
type Alarm = any;

interface Metrics {
  freshness: string;
  /** Other metrics that this destination has. */
  others: readonly string[];
}

const BACKUP = ['DeliveryToS3.Bytes', 'DeliveryToS3.Records', 'DeliveryToS3.Success'];
const delivery = (to: string): string[] => ['Bytes', 'Records', 'Success'].map((name) => `DeliveryTo${to}.${name}`);

const METRICS: Readonly<Record<string, Metrics>> = {
  ExtendedS3DestinationConfiguration: {
    freshness: 'DeliveryToS3.DataFreshness',
    others: [
      ...delivery('S3'),
      'ActivePartitionsLimit',
      'PartitionCount',
      'PartitionCountExceeded',
      'FailedConversion.Bytes',
      'FailedConversion.Records',
      'SucceedConversion.Bytes',
      'SucceedConversion.Records',
    ],
  },
  RedshiftDestinationConfiguration: {
    freshness: 'DeliveryToRedshift.DataFreshness',
    others: [...delivery('Redshift'), ...BACKUP, 'DeliveryToS3.DataFreshness'],
  },
  SnowflakeDestinationConfiguration: {
    freshness: 'DeliveryToSnowflake.DataFreshness',
    others: [...delivery('Snowflake'), ...BACKUP, 'DeliveryToSnowflake.DataCommitLatency'],
  },
  IcebergDestinationConfiguration: {
    freshness: 'DeliveryToIceberg.DataFreshness',
    others: ['Bytes', 'IncomingRowCount', 'SuccessfulRowCount', 'FailedRowCount', 'Success'].map(
      (name) => `DeliveryToIceberg.${name}`,
    ),
  },
};

const THROTTLED = 'ThrottledRecords';

export function checkAlarms({ Resources: resources }: Stack): TemplateFinding[] {
  const findings: TemplateFinding[] = [];
  const stream = (resources.Stream?.Properties ?? {}) as Record<string, unknown>;
  const known = METRICS[Object.keys(stream).find((name) => name in METRICS) ?? ''];
  if (!known) return [{ rule: 'alarm-destination', where: 'Stream' }];
  const seen = new Set<string>();
  for (const [id, { Type: type, Properties: properties }] of Object.entries(resources)) {
    if (type !== 'AWS::CloudWatch::Alarm') continue;
    const { Namespace: space, MetricName: metric, Dimensions: dimensions }: Alarm = properties;
    seen.add(metric);
    const isKnown = metric === known.freshness || metric === THROTTLED || known.others.includes(metric);
    if (space !== 'AWS/Firehose' || !isKnown)
      findings.push({ rule: 'alarm-metric', where: `${id} ${space} ${metric}` });
    const [dimension, ...more] = dimensions ?? [];
    const isOfStream = dimension?.Name === 'DeliveryStreamName' && dimension.Value === stream.DeliveryStreamName;
    if (!isOfStream || more.length > 0) findings.push({ rule: 'alarm-dimension', where: id });
  }
  for (const metric of [known.freshness, THROTTLED]) {
    if (!seen.has(metric)) findings.push({ rule: 'alarm-missing', where: metric });
  }
  return findings;
}
