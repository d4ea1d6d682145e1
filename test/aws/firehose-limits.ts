import type { TemplateFinding } from './finding.ts';
import type { Stack } from './resolve.ts';
import type { Value } from './template.ts';

/** Patterns and ranges of Firehose's API reference, by the name of the field. The schema package has none. */

const PATTERNS: Readonly<Record<string, RegExp>> = {
  AWSKMSKeyARN: /^arn:.*:kms:[a-zA-Z0-9-]+:\d{12}:(key|alias)\/[a-zA-Z_0-9+=,.@\-_/]+$/,
  AccountUrl: /^.+?\.snowflakecomputing\.com(:\d+)?$/,
  BucketARN: /^arn:.*:s3:::[\w.-]{1,255}$/,
  CatalogArn: /^arn:.*:glue:.*:\d{12}:catalog(\/.+)?$/,
  ClusterJDBCURL:
    /^jdbc:(redshift|postgresql):\/\/((?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+redshift(-serverless)?\.[a-zA-Z0-9.-]+:\d{1,5}\/[a-zA-Z0-9_$-]+$/,
  DeliveryStreamName: /^[a-zA-Z0-9_.-]{1,64}$/,
  LogGroupName: /^[.\-_/#A-Za-z0-9]{1,512}$/,
  LogStreamName: /^[^:*]{1,512}$/,
  RoleARN: /^arn:.*:iam::\d{12}:role\/[a-zA-Z_0-9+=,.@\-_/]+$/,
  SecretARN: /^arn:.*:secretsmanager:[a-zA-Z0-9-]+:\d{12}:secret:[a-zA-Z0-9\-/_+=.@!]+$/,
};

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  SizeInMBs: [1, 128],
  IntervalInSeconds: [0, 900],
  DurationInSeconds: [0, 7200],
};

export function checkLimits({ Resources: resources }: Stack): TemplateFinding[] {
  return Object.entries(resources).flatMap(([id, { Type: type, Properties: properties = {} }]) =>
    type === 'AWS::KinesisFirehose::DeliveryStream' ? checkValues(properties, id) : [],
  );
}

function checkValues(value: Value, where: string): TemplateFinding[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => checkValues(item, `${where}.${i}`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const path = `${where}.${name}`;
    const range = RANGES[name];
    if (PATTERNS[name] && !PATTERNS[name].test(String(inner))) return [{ rule: 'pattern', where: path }];
    if (range && (Number(inner) < range[0] || Number(inner) > range[1])) return [{ rule: 'range', where: path }];
    return checkValues(inner, path);
  });
}
