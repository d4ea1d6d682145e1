import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCreateDeliveryStream } from '../../../src/local/firehose/create-request.ts';
import { validateStream } from '../../../src/local/firehose/stream-options.ts';
import { createInput } from '../../aws/create-input.ts';
import { findingText } from '../../aws/finding.ts';
import { type Parameters, resolveTemplate } from '../../aws/resolve.ts';
import { checkStack, SAMPLES } from '../../aws/stacks.ts';
import { readTemplate, type Template, templateNames } from '../../aws/template.ts';

/** Each rule can fail: a template with one mistake gets the finding of that name, and no other template has it. */

// biome-ignore lint/suspicious/noExplicitAny: a mistake can be anywhere in a template
type Node = any;

interface Mistake {
  rule: string;
  /** Templates; default all. */
  in?: readonly string[];
  /** Changes a template. `stream` is the destination of its stream, `s3` the part of it that has the bucket. */
  make: (parts: { template: Node; stream: Node; destination: Node; s3: Node }) => void;
  /** Instead of the first sample. */
  parameters?: Parameters;
  /** What the local Firehose answers to the stream. */
  refused?: string;
}

const S3 = ['s3'];
const PARQUET = ['parquet'];
const REDSHIFT = ['redshift'];
const SNOWFLAKE = ['snowflake'];
const ICEBERG = ['iceberg'];
const BY_SECRET = ['redshift', 'snowflake'];

/** `<Name>` is a variable. */
const sub = (text: string) => ({ 'Fn::Sub': text.replace(/<(\w+)>/g, (_all, name) => `\${${name}}`) });

/** The processors of s3.yaml: one of the branches of a condition. */
const processors = (s3: Node): Node[] => s3.ProcessingConfiguration['Fn::If'][1].Processors;
const statements = (template: Node, id = 'DeliveryRole'): Node[] => {
  const properties = template.Resources[id].Properties;
  return (properties.PolicyDocument ?? properties.Policies[0].PolicyDocument).Statement;
};
const statement = (template: Node, sid: string): Node => statements(template).find(({ Sid }) => Sid === sid);
const query = (s3: Node, text: unknown): void => {
  processors(s3)[1].Parameters[0].ParameterValue = text;
};

const MISTAKES: Record<string, Mistake> = {
  // Names.
  'a Ref to nothing': { rule: 'unknown-ref', make: ({ stream }) => (stream.DeliveryStreamName = { Ref: 'Strem' }) },
  'a Sub of nothing': {
    rule: 'unknown-ref',
    make: ({ stream }) => (stream.DeliveryStreamName = sub('<Strem>')),
  },
  'a GetAtt of an attribute that the resource does not have': {
    rule: 'unknown-attribute',
    make: ({ destination }) => (destination.RoleARN = { 'Fn::GetAtt': ['DeliveryRole', 'ARN'] }),
  },
  'a condition that is not there': {
    rule: 'unknown-condition',
    make: ({ template }) => (template.Resources.Bucket.Condition = 'IsNew'),
  },
  'an If of a condition that is not there': {
    rule: 'unknown-condition',
    make: ({ stream }) => (stream.DeliveryStreamName = { 'Fn::If': ['IsNew', 'a', 'b'] }),
  },
  'a DependsOn of nothing': {
    rule: 'unknown-resource',
    make: ({ template }) => (template.Resources.Stream.DependsOn = 'Bukcet'),
  },
  'a mapping that is not there': {
    rule: 'unknown-mapping',
    in: S3,
    make: ({ s3 }) => query(s3, { 'Fn::FindInMap': ['Format', { Ref: 'Format' }, 'Query'] }),
  },
  'a key that the mapping does not have': {
    rule: 'missing-mapping',
    in: S3,
    make: ({ s3 }) => query(s3, { 'Fn::FindInMap': ['Formats', { Ref: 'Format' }, 'Jq'] }),
  },
  'a function that the tests do not know': {
    rule: 'unknown-function',
    make: ({ stream }) => (stream.DeliveryStreamName = { 'Fn::Base64': 'x' }),
  },
  'a Ref to a bucket that is not made': {
    rule: 'ref-to-nothing',
    in: S3,
    parameters: { ...SAMPLES.s3![0], DataLocationIs: 'existing' },
    make: ({ s3 }) => (s3.BucketARN = sub('arn:aws:s3:::<Bucket>')),
  },
  'a parameter that nothing uses': {
    rule: 'unused-parameter',
    make: ({ template }) => (template.Parameters.Colour = { Type: 'String', Default: 'red' }),
  },
  'a condition that nothing uses': {
    rule: 'unused-condition',
    make: ({ template }) => (template.Conditions.Never = { 'Fn::Equals': ['a', 'b'] }),
  },
  'a mapping that nothing uses': {
    rule: 'unused-mapping',
    make: ({ template }) => (template.Mappings = { ...template.Mappings, Sizes: { a: { b: 'c' } } }),
  },
  'a parameter that has no value': {
    rule: 'parameter-value',
    make: ({ template }) => delete template.Parameters.StreamName.Default,
  },
  'a parameter that has no value, where it is used': {
    rule: 'parameter-without-value',
    make: ({ template }) => delete template.Parameters.StreamName.Default,
  },
  // Schemas.
  'a property in the wrong case': {
    rule: 'unknown-property',
    make: ({ s3 }) => (s3.errorOutputPrefix = 'failed/'),
  },
  'a number as text': {
    rule: 'wrong-type',
    in: ['s3', 'parquet', 'redshift'],
    make: ({ s3 }) => (s3.BufferingHints.SizeInMBs = '64'),
  },
  'a compression that there is not': {
    rule: 'not-allowed-value',
    make: ({ s3 }) => (s3.CompressionFormat = 'gzip'),
  },
  'a role that is missing': { rule: 'missing-property', make: ({ destination }) => delete destination.RoleARN },
  'a resource that there is not': {
    rule: 'unknown-resource-type',
    make: ({ template }) => (template.Resources.DeliveryLog.Type = 'AWS::Logs::Stream'),
  },
  'a name with a slash': { rule: 'pattern', make: ({ stream }) => (stream.DeliveryStreamName = 'shop/changes') },
  'a JDBC url of another database': {
    rule: 'pattern',
    in: REDSHIFT,
    make: ({ destination }) => (destination.ClusterJDBCURL = 'jdbc:mysql://host:3306/dev'),
  },
  'a buffer over 128 MiB': {
    rule: 'range',
    make: ({ destination, s3 }) => ((destination.BufferingHints ?? s3.BufferingHints).SizeInMBs = 129),
    refused: 'Member must have value less than or equal to 128',
  },
  // Firehose.
  'two destinations': {
    rule: 'one-destination',
    make: ({ stream, s3 }) => (stream.S3DestinationConfiguration = structuredClone(s3)),
    refused: 'Exactly one destination configuration',
  },
  'another source': {
    rule: 'direct-put',
    make: ({ stream }) => (stream.DeliveryStreamType = 'KinesisStreamAsSource'),
    refused: 'DeliveryStreamType KinesisStreamAsSource',
  },
  'records that wait unencrypted': {
    rule: 'encryption-in-firehose',
    make: ({ stream }) => delete stream.DeliveryStreamEncryptionConfigurationInput,
  },
  'an encryption that is not stated': {
    rule: 'encryption-stated',
    make: ({ s3 }) => delete s3.EncryptionConfiguration,
  },
  'no log': { rule: 'delivery-log', make: ({ destination }) => delete destination.CloudWatchLoggingOptions },
  'no error prefix': {
    rule: 'error-prefix',
    make: ({ s3 }) => delete s3.ErrorOutputPrefix,
  },
  'expressions without an error prefix': {
    rule: 'error-prefix-required',
    in: ['s3', 'parquet'],
    make: ({ s3 }) => delete s3.ErrorOutputPrefix,
    refused: 'ErrorOutputPrefix cannot be null or empty when Prefix contains expressions',
  },
  'an error prefix without the error type': {
    rule: 'error-prefix-type',
    make: ({ s3 }) => (s3.ErrorOutputPrefix = sub('<StreamName>-<Environment>/!{timestamp:yyyy}/')),
    refused: 'ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}',
  },
  'an error type in the prefix': {
    rule: 'error-type-in-prefix',
    make: ({ s3 }) => (s3.Prefix = sub('<StreamName>-<Environment>/!{firehose:error-output-type}/')),
  },
  'a partition key in the error prefix': {
    rule: 'partition-key-in-error-prefix',
    in: S3,
    make: ({ s3 }) => (s3.ErrorOutputPrefix['Fn::Sub'] += '!{partitionKeyFromQuery:db}/'),
    refused: "Dynamic Partitioning Namespaces can't be part of an error prefix expression",
  },
  'a prefix that is no folder': {
    rule: 'prefix-is-a-folder',
    make: ({ s3 }) => (s3.ErrorOutputPrefix['Fn::Sub'] += 'failed'),
  },
  'a buffer of 63 MiB': {
    rule: 'buffer-of-64-mib',
    in: ['s3', 'parquet'],
    make: ({ s3 }) => (s3.BufferingHints.SizeInMBs = 63),
    refused: 'BufferingHints.SizeInMBs must be at least 64 when',
  },
  'a buffer of 59 seconds': {
    rule: 'buffer-of-60-seconds',
    in: S3,
    make: ({ s3 }) => (s3.BufferingHints.IntervalInSeconds = 59),
    refused: 'BufferingHints.IntervalInSeconds must be at least 60 seconds',
  },
  'processors in another order': {
    rule: 'processor-order',
    in: S3,
    make: ({ s3 }) => processors(s3).reverse(),
  },
  'partition keys without partitioning': {
    rule: 'partition-key-without-partitioning',
    in: S3,
    make: ({ s3 }) => {
      delete s3.DynamicPartitioningConfiguration;
      delete s3.ProcessingConfiguration;
    },
    refused: 'can only be part of a prefix expression when Dynamic Partitioning is enabled',
  },
  'processors without partitioning': {
    rule: 'processor-without-partitioning',
    in: S3,
    make: ({ s3 }) => delete s3.DynamicPartitioningConfiguration,
    refused: 'can only be present when Dynamic Partitioning is enabled',
  },
  'a delimiter after each record': {
    rule: 'blank-lines',
    in: S3,
    make: ({ s3 }) => {
      delete s3.DynamicPartitioningConfiguration;
      s3.ProcessingConfiguration['Fn::If'][1].Processors = processors(s3).slice(2);
    },
  },
  'partitioning without a query': {
    rule: 'partitioning-without-query',
    in: S3,
    make: ({ s3 }) => processors(s3).splice(1, 1),
    refused: 'Processing Configuration is not enabled when DataPartitioning is enabled',
  },
  'a partition key that the query does not have': {
    rule: 'partition-key-undefined',
    in: S3,
    make: ({ s3 }) => query(s3, '{db: .source.db}'),
    refused: 'S3 Prefix contains keys that the MetaDataExtraction JQ Query does not: table',
  },
  'a partition key that the prefix does not have': {
    rule: 'partition-key-unused',
    in: S3,
    make: ({ s3 }) => query(s3, '{db: .source.db, table: .source.table, op: .op}'),
    refused: "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression",
  },
  'records that are not taken apart': {
    rule: 'deaggregation-missing',
    in: S3,
    make: ({ s3 }) => processors(s3).shift(),
  },
  'events without a newline': { rule: 'newline-missing', in: S3, make: ({ s3 }) => processors(s3).pop() },
  'JSON with a compression that few readers have': {
    rule: 'json-compression',
    in: S3,
    make: ({ s3 }) => (s3.CompressionFormat = 'HADOOP_SNAPPY'),
    refused: 'does not support CompressionFormat HADOOP_SNAPPY',
  },
  'Parquet that is compressed again': {
    rule: 'conversion-compression',
    in: PARQUET,
    make: ({ s3 }) => (s3.CompressionFormat = 'GZIP'),
    refused: 'CompressionFormat must be UNCOMPRESSED',
  },
  'Parquet of no table': {
    rule: 'conversion-schema',
    in: PARQUET,
    make: ({ s3 }) => delete s3.DataFormatConversionConfiguration.SchemaConfiguration.TableName,
    refused: "schemaConfiguration.tableName' failed to satisfy constraint",
  },
  'Parquet by two readers': {
    rule: 'conversion-input',
    in: PARQUET,
    make: ({ s3 }) => (s3.DataFormatConversionConfiguration.InputFormatConfiguration.Deserializer.HiveJsonSerDe = {}),
    refused: 'exactly one of OpenXJsonSerDe, HiveJsonSerDe',
  },
  'Parquet without a writer': {
    rule: 'conversion-output',
    in: PARQUET,
    make: ({ s3 }) => (s3.DataFormatConversionConfiguration.OutputFormatConfiguration.Serializer = {}),
    refused: 'exactly one of ParquetSerDe, OrcSerDe',
  },
  'a password in the template': {
    rule: 'secret-in-secrets-manager',
    in: BY_SECRET,
    make: ({ destination }) => delete destination.SecretsManagerConfiguration,
  },
  'a compression that COPY cannot read': {
    rule: 'redshift-compression',
    in: REDSHIFT,
    make: ({ s3 }) => (s3.CompressionFormat = 'ZIP'),
  },
  'a COPY that does not know of gzip': {
    rule: 'copy-compression',
    in: REDSHIFT,
    make: ({ destination }) => (destination.CopyCommand.CopyOptions = "JSON 'auto'"),
  },
  'a COPY of CSV': {
    rule: 'copy-json',
    in: REDSHIFT,
    make: ({ destination }) => (destination.CopyCommand.CopyOptions = 'CSV GZIP'),
  },
  'a COPY into all columns': {
    rule: 'copy-columns',
    in: REDSHIFT,
    make: ({ destination }) => delete destination.CopyCommand.DataTableColumns,
  },
  'a VARIANT without a column': {
    rule: 'snowflake-content-column',
    in: SNOWFLAKE,
    make: ({ destination }) => delete destination.ContentColumnName,
    refused: 'ContentColumnName is required',
  },
  'metadata without a column': {
    rule: 'snowflake-metadata-column',
    in: SNOWFLAKE,
    make: ({ destination }) => (destination.DataLoadingOption = 'VARIANT_CONTENT_AND_METADATA_MAPPING'),
    refused: 'DataLoadingOption VARIANT_CONTENT_AND_METADATA_MAPPING',
  },
  'a query for Snowflake': {
    rule: 'snowflake-processor',
    in: SNOWFLAKE,
    make: ({ destination }) =>
      (destination.ProcessingConfiguration = { Enabled: true, Processors: [{ Type: 'MetadataExtraction' }] }),
    refused: 'does not support SnowflakeDestinationConfiguration.ProcessingConfiguration',
  },
  'no catalog': {
    rule: 'iceberg-catalog',
    in: ICEBERG,
    make: ({ destination }) => (destination.CatalogConfiguration = {}),
    refused: "catalogConfiguration.catalogARN' failed to satisfy constraint",
  },
  'no table': {
    rule: 'iceberg-route',
    in: ICEBERG,
    make: ({ destination }) => delete destination.ProcessingConfiguration,
    refused: 'exactly one destination table is required',
  },
  'updates of Iceberg rows': {
    rule: 'iceberg-append-only',
    in: ICEBERG,
    make: ({ destination }) =>
      (destination.ProcessingConfiguration.Processors[0].Parameters[0].ParameterValue =
        '{destinationDatabaseName: "cdc", destinationTableName: ._table, operation: "update"}'),
    refused: 'an operation other than "insert"',
  },
  'records for Iceberg with several events': {
    rule: 'iceberg-processor',
    in: ICEBERG,
    make: ({ destination }) => destination.ProcessingConfiguration.Processors.unshift({ Type: 'RecordDeAggregation' }),
    refused: 'the processor RecordDeAggregation with Iceberg',
  },
  // Policies.
  'every action of S3': {
    rule: 'any-action',
    make: ({ template }) => (statement(template, 'Objects').Action = 's3:*'),
  },
  'every bucket': { rule: 'any-resource', make: ({ template }) => (statement(template, 'Objects').Resource = '*') },
  'every bucket, as an ARN': {
    rule: 'any-resource',
    make: ({ template }) =>
      statements(template).push({ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::*' }),
  },
  'every key of KMS': {
    rule: 'any-resource',
    make: ({ template }) => statements(template).push({ Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' }),
  },
  'every table of Glue': {
    rule: 'any-resource',
    in: ['parquet', 'iceberg'],
    make: ({ template }) =>
      statements(template).push({
        Effect: 'Allow',
        Action: 'glue:GetTable',
        Resource: 'arn:aws:glue:eu-west-1:123456789012:*',
      }),
  },
  'a producer that can delete the stream': {
    rule: 'producer-policy',
    make: ({ template }) => statements(template, 'ProducerPolicy')[0].Action.push('firehose:DeleteDeliveryStream'),
  },
  'a producer of every stream': {
    rule: 'producer-policy',
    make: ({ template }) =>
      (statements(template, 'ProducerPolicy')[0].Resource =
        'arn:aws:firehose:eu-west-1:123456789012:deliverystream/shop-*'),
  },
  'a role that cannot write the failed events': {
    rule: 'delivery-policy',
    make: ({ template }) => (statement(template, 'Objects').Resource = sub('arn:aws:s3:::<DataLocation>/events/*')),
  },
  'a role that cannot read the secret': {
    rule: 'delivery-policy',
    in: BY_SECRET,
    make: ({ template }) =>
      (statement(template, 'Secret').Resource = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:x'),
  },
  'a role that cannot see the table': {
    rule: 'delivery-policy',
    in: PARQUET,
    make: ({ template }) => statement(template, 'Schema').Action.pop(),
  },
  'a role that cannot change the tables': {
    rule: 'delivery-policy',
    in: ICEBERG,
    make: ({ template }) => statement(template, 'Tables').Action.pop(),
  },
  'a role that another account can use': {
    rule: 'trust-account',
    make: ({ template }) =>
      delete template.Resources.DeliveryRole.Properties.AssumeRolePolicyDocument.Statement[0].Condition,
  },
  'a role that another service can use': {
    rule: 'trust-firehose',
    make: ({ template }) =>
      (template.Resources.DeliveryRole.Properties.AssumeRolePolicyDocument.Statement[0].Principal.Service =
        'lambda.amazonaws.com'),
  },
  'a public bucket': {
    rule: 'public-access',
    make: ({ template }) =>
      (template.Resources.Bucket.Properties.PublicAccessBlockConfiguration.BlockPublicPolicy = false),
  },
  'a bucket whose encryption is not stated': {
    rule: 'bucket-encryption',
    make: ({ template }) => delete template.Resources.Bucket.Properties.BucketEncryption,
  },
  'a bucket that goes with the stack': {
    rule: 'bucket-retained',
    make: ({ template }) => delete template.Resources.Bucket.DeletionPolicy,
  },
  'logs without end': {
    rule: 'log-retention',
    make: ({ template }) => delete template.Resources.LogGroup.Properties.RetentionInDays,
  },
  // Alarms.
  'an alarm on a metric of another destination': {
    rule: 'alarm-metric',
    make: ({ template }) =>
      (template.Resources.DeliveryIsLate.Properties.MetricName = 'DeliveryToSplunk.DataFreshness'),
  },
  'an alarm in another namespace': {
    rule: 'alarm-metric',
    make: ({ template }) => (template.Resources.DeliveryIsLate.Properties.Namespace = 'AWS/Kinesis'),
  },
  'an alarm of another dimension': {
    rule: 'alarm-dimension',
    make: ({ template }) => (template.Resources.DeliveryIsLate.Properties.Dimensions[0].Name = 'StreamName'),
  },
  'a destination whose metrics the tests do not know': {
    rule: 'alarm-destination',
    in: S3,
    make: ({ stream, s3 }) => {
      stream.S3DestinationConfiguration = s3;
      delete stream.ExtendedS3DestinationConfiguration;
    },
  },
  'no alarm on throttling': {
    rule: 'alarm-missing',
    make: ({ template }) => delete template.Resources.StreamIsThrottled,
  },
  'no alarm on freshness': {
    rule: 'alarm-missing',
    make: ({ template }) => delete template.Resources.DeliveryIsLate,
  },
};

const PARAMETERS: [string, string, Parameters, string][] = [
  ['s3', 'an environment that there is not', { Environment: 'test' }, 'parameter-value: Environment'],
  ['s3', 'a bucket with capitals', { DataLocation: 'Shop' }, 'parameter-value: DataLocation'],
  ['s3', 'a stream name that is too long', { StreamName: 'a'.repeat(54) }, 'parameter-value: StreamName'],
  ['s3', 'an alarm before Firehose must deliver', { LateAfterSeconds: 60 }, 'parameter-value: LateAfterSeconds'],
  ['s3', 'a parameter that there is not', { Region: 'eu-west-1' }, 'unknown-parameter: Region'],
  ['redshift', 'no workgroup', { WorkgroupName: '' }, 'parameter-rule: ServerlessHasWorkgroup'],
  ['redshift', 'no endpoint', { RedshiftType: 'provisioned' }, 'parameter-rule: ProvisionedHasEndpoint'],
];

function wrongTemplate(name: string, { make }: Mistake): Template {
  const template = readTemplate(name) as Node;
  const stream = template.Resources.Stream.Properties;
  const destination = stream[Object.keys(stream).find((key) => key.endsWith('DestinationConfiguration'))!];
  make({ template, stream, destination, s3: destination.S3Configuration ?? destination });
  return template;
}

const cases = Object.entries(MISTAKES).flatMap(([what, mistake]) =>
  (mistake.in ?? templateNames()).map((name) => [name, mistake.rule, what, mistake] as const),
);

test('each rule of the checks has a mistake that it finds', () => {
  const files = ['references', 'resolve', 'resource-schema', 'firehose-limits', 'firehose-rules', 'policy-rules'];
  const rules = [...files, 'alarm-rules'].flatMap((name) => {
    const text = readFileSync(join(import.meta.dirname, '../../aws', `${name}.ts`), 'utf8');
    return [...text.matchAll(/(?:rule: |report\(|missing\(|unused\()'([\w-]+)'/g)].map((match) => match[1]!);
  });
  const found = [...Object.values(MISTAKES).map(({ rule }) => rule), ...PARAMETERS.map(([, , , finding]) => finding)];
  const tested = new Set(found.map((finding) => finding.split(':')[0]));
  expect([...new Set(rules)].filter((rule) => !tested.has(rule))).toEqual([]);
});

test.each(cases)('%s.yaml fails by %s: %s', (name, rule, _what, mistake) => {
  const parameters = mistake.parameters ?? SAMPLES[name]![0];
  // stacks.test.ts has checked the templates with their samples.
  if (mistake.parameters) expect(checkStack(readTemplate(name), parameters)).toEqual([]);
  const rules = checkStack(wrongTemplate(name, mistake), parameters).map((finding) => finding.rule);
  expect(rules).toContain(rule);
});

test.each(cases.filter(([, , , { refused }]) => refused !== undefined))(
  'the local Firehose does not create the stream of %s.yaml with %s: %s',
  (name, _rule, _what, mistake) => {
    const stack = resolveTemplate(wrongTemplate(name, mistake), SAMPLES[name]![0]);
    expect(() => validateStream(readCreateDeliveryStream({ ...createInput(stack) }))).toThrow(mistake.refused);
  },
);

test.each(PARAMETERS)('%s.yaml with %s is rejected', (name, _what, parameters, finding) => {
  const all = checkStack(readTemplate(name), { ...SAMPLES[name]![0], ...parameters });
  expect(all.map(findingText)).toContain(finding);
});
