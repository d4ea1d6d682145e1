import type { TemplateFinding } from './finding.ts';
import type { Stack } from './resolve.ts';

/** Rules that only Firehose enforces, when it creates a stream or when it delivers. No schema has them. */

// biome-ignore lint/suspicious/noExplicitAny: a configuration whose types the schema check has seen
type Configuration = any;
type Report = (rule: string, field: string) => void;

const DESTINATIONS = {
  ExtendedS3DestinationConfiguration: checkS3,
  RedshiftDestinationConfiguration: checkRedshift,
  SnowflakeDestinationConfiguration: checkSnowflake,
  IcebergDestinationConfiguration: checkIceberg,
} as const;

export function checkFirehose({ Resources: resources }: Stack): TemplateFinding[] {
  const findings: TemplateFinding[] = [];
  for (const [id, { Type: type, Properties: properties }] of Object.entries(resources)) {
    if (type !== 'AWS::KinesisFirehose::DeliveryStream') continue;
    const report: Report = (rule, field) => findings.push({ rule, where: `${id}.${field}` });
    const stream = properties as Configuration;
    const fields = Object.keys(stream).filter((name) => name.endsWith('DestinationConfiguration'));
    const [field] = fields as (keyof typeof DESTINATIONS)[];
    if (fields.length !== 1 || !field || !(field in DESTINATIONS)) {
      report('one-destination', fields.join(' '));
      continue;
    }
    if (stream.DeliveryStreamType !== 'DirectPut') report('direct-put', 'DeliveryStreamType');
    if (!stream.DeliveryStreamEncryptionConfigurationInput) report('encryption-in-firehose', field);
    const destination = stream[field];
    DESTINATIONS[field](destination, report);
    for (const s3 of [destination, destination.S3Configuration].filter((one) => one?.BucketARN)) {
      checkPrefixes(s3, report);
      if (!s3.EncryptionConfiguration) report('encryption-stated', 'EncryptionConfiguration');
    }
    for (const one of [destination, destination.S3Configuration].filter(Boolean)) {
      const { Enabled: on, LogGroupName: group, LogStreamName: log } = one.CloudWatchLoggingOptions ?? {};
      if (!on || !group || !log) report('delivery-log', 'CloudWatchLoggingOptions');
    }
  }
  return findings;
}

/** The page "Custom prefixes for Amazon S3 objects". */
function checkPrefixes({ Prefix: prefix = '', ErrorOutputPrefix: failed = '' }: Configuration, report: Report): void {
  if (prefix.includes('!{') && !failed) report('error-prefix-required', 'ErrorOutputPrefix');
  if (!failed) report('error-prefix', 'ErrorOutputPrefix');
  if (failed.includes('!{') && !failed.includes('!{firehose:error-output-type}')) {
    report('error-prefix-type', 'ErrorOutputPrefix');
  }
  if (prefix.includes('!{firehose:error-output-type}')) report('error-type-in-prefix', 'Prefix');
  if (/!\{partitionKeyFrom/.test(failed)) report('partition-key-in-error-prefix', 'ErrorOutputPrefix');
  for (const text of [prefix, failed]) {
    if (text && !text.endsWith('/')) report('prefix-is-a-folder', text);
  }
}

const processorsOf = ({ ProcessingConfiguration: processing }: Configuration): Configuration[] =>
  processing?.Enabled ? processing.Processors : [];

const parameterOf = (processor: Configuration, name: string): string | undefined =>
  processor?.Parameters?.find((one: Configuration) => one.ParameterName === name)?.ParameterValue;

const queryOf = (processors: Configuration[]): string | undefined =>
  parameterOf(
    processors.find(({ Type }) => Type === 'MetadataExtraction'),
    'MetadataExtractionQuery',
  );

/** The keys of a JQ object of paths or texts. */
const keysOf = (query = ''): string[] => [...query.matchAll(/[{,]\s*"?(\w+)"?\s*:/g)].map((match) => match[1]!);

const ORDER = ['Decompression', 'RecordDeAggregation', 'Lambda', 'MetadataExtraction', 'AppendDelimiterToRecord'];

function checkOrder(processors: Configuration[], report: Report): void {
  const places = processors.map(({ Type }) => ORDER.indexOf(Type));
  if (places.some((place, i) => i > 0 && place <= places[i - 1]!)) report('processor-order', 'Processors');
}

function checkS3(s3: Configuration, report: Report): void {
  const processors = processorsOf(s3);
  const partitioned = s3.DynamicPartitioningConfiguration?.Enabled === true;
  const converted = s3.DataFormatConversionConfiguration?.Enabled === true;
  const { SizeInMBs: size, IntervalInSeconds: seconds } = s3.BufferingHints ?? {};
  if ((partitioned || converted) && size < 64) report('buffer-of-64-mib', 'BufferingHints.SizeInMBs');
  if (partitioned && seconds < 60) report('buffer-of-60-seconds', 'BufferingHints.IntervalInSeconds');
  checkOrder(processors, report);
  checkPartitioning(s3, processors, partitioned, report);
  if (converted) checkConversion(s3, report);
  else if (!['GZIP', 'UNCOMPRESSED'].includes(s3.CompressionFormat)) report('json-compression', 'CompressionFormat');
}

function checkPartitioning(s3: Configuration, processors: Configuration[], partitioned: boolean, report: Report): void {
  const has = (type: string): boolean => processors.some(({ Type }) => Type === type);
  const used = new Set([...(s3.Prefix ?? '').matchAll(/!\{partitionKeyFromQuery:(\w+)\}/g)].map((match) => match[1]!));
  const query = queryOf(processors);
  const keys = keysOf(query);
  if (!partitioned) {
    if (used.size > 0) report('partition-key-without-partitioning', 'Prefix');
    if (has('MetadataExtraction') || has('RecordDeAggregation')) report('processor-without-partitioning', 'Processors');
    if (has('AppendDelimiterToRecord')) report('blank-lines', 'Processors');
    return;
  }
  if (query === undefined) report('partitioning-without-query', 'Processors');
  for (const name of used) if (!keys.includes(name)) report('partition-key-undefined', `Prefix ${name}`);
  for (const name of keys) if (!used.has(name)) report('partition-key-unused', `MetadataExtractionQuery ${name}`);
  // A record of cdc has several events. Taken apart, they lose the newlines between them.
  if (!has('RecordDeAggregation')) report('deaggregation-missing', 'Processors');
  const delimiter = processors.find(({ Type }) => Type === 'AppendDelimiterToRecord');
  if (parameterOf(delimiter, 'Delimiter') !== '\\n') report('newline-missing', 'Processors');
}

function checkConversion(s3: Configuration, report: Report): void {
  const {
    SchemaConfiguration: schema,
    InputFormatConfiguration: input,
    OutputFormatConfiguration: output,
  } = s3.DataFormatConversionConfiguration;
  if (s3.CompressionFormat !== 'UNCOMPRESSED') report('conversion-compression', 'CompressionFormat');
  if (!schema?.DatabaseName || !schema.TableName || !schema.RoleARN) report('conversion-schema', 'SchemaConfiguration');
  if (Object.keys(input?.Deserializer ?? {}).length !== 1) report('conversion-input', 'InputFormatConfiguration');
  if (Object.keys(output?.Serializer ?? {}).length !== 1) report('conversion-output', 'OutputFormatConfiguration');
}

function checkSecret(destination: Configuration, report: Report): void {
  const { Enabled: on, SecretARN: secret } = destination.SecretsManagerConfiguration ?? {};
  const inline = ['Username', 'Password', 'User', 'PrivateKey'].some((name) => destination[name] !== undefined);
  if (inline || !on || !secret) report('secret-in-secrets-manager', 'SecretsManagerConfiguration');
}

function checkRedshift(redshift: Configuration, report: Report): void {
  checkSecret(redshift, report);
  const { CompressionFormat: compression } = redshift.S3Configuration;
  const { CopyOptions: options = '', DataTableColumns: columns } = redshift.CopyCommand;
  // COPY reads no ZIP and no Snappy.
  if (!['GZIP', 'UNCOMPRESSED'].includes(compression)) report('redshift-compression', 'S3Configuration');
  if ((compression === 'GZIP') !== /\bGZIP\b/i.test(options)) report('copy-compression', 'CopyCommand.CopyOptions');
  if (!/\bJSON\s+'auto/i.test(options)) report('copy-json', 'CopyCommand.CopyOptions');
  if (!columns) report('copy-columns', 'CopyCommand.DataTableColumns');
}

function checkSnowflake(snowflake: Configuration, report: Report): void {
  checkSecret(snowflake, report);
  const { DataLoadingOption: option, ContentColumnName: content, MetaDataColumnName: metadata } = snowflake;
  if (option?.startsWith('VARIANT') && !content) report('snowflake-content-column', 'ContentColumnName');
  if (option === 'VARIANT_CONTENT_AND_METADATA_MAPPING' && !metadata) {
    report('snowflake-metadata-column', 'MetaDataColumnName');
  }
  if (processorsOf(snowflake).some(({ Type }) => Type !== 'Lambda')) report('snowflake-processor', 'Processors');
}

function checkIceberg(iceberg: Configuration, report: Report): void {
  const processors = processorsOf(iceberg);
  const query = queryOf(processors);
  const keys = keysOf(query);
  const tables = iceberg.DestinationTableConfigurationList ?? [];
  if (!iceberg.CatalogConfiguration?.CatalogArn) report('iceberg-catalog', 'CatalogConfiguration.CatalogArn');
  const routed = keys.includes('destinationDatabaseName') && keys.includes('destinationTableName');
  if (query === undefined ? tables.length !== 1 : !routed) report('iceberg-route', 'ProcessingConfiguration');
  if (/operation:\s*(?!\s|"insert")/.test(query ?? '') || iceberg.AppendOnly !== true) {
    // Firehose keeps no order, so an update could overwrite a newer row.
    report('iceberg-append-only', 'AppendOnly');
  }
  if (processors.some(({ Type }) => Type === 'RecordDeAggregation')) report('iceberg-processor', 'Processors');
}
