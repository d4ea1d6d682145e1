import type { DestinationDescription, ExtendedS3DestinationDescription, Processor } from '@aws-sdk/client-firehose';
import type { Config } from '../../config/schema.ts';
import type { FirehoseConfig } from '../../config/transport-schema.ts';
import { error, type Finding, warning } from '../../model/finding.ts';

/** The keys of the configuration that a stream must fit. */
export type StreamOptionsToCheck = Pick<FirehoseConfig, 'aggregate' | 'compression'> &
  Partial<Pick<Config, 'format' | 'flat_prefix'>>;

/** Destinations that take each record as one document, event or row, where a record of cdc can have many events. */
const ONE_EVENT_PER_RECORD = {
  AmazonopensearchserviceDestinationDescription: 'OpenSearch',
  AmazonOpenSearchServerlessDestinationDescription: 'OpenSearch Serverless',
  ElasticsearchDestinationDescription: 'Elasticsearch',
  HttpEndpointDestinationDescription: 'an HTTP endpoint',
  IcebergDestinationDescription: 'Iceberg',
  SnowflakeDestinationDescription: 'Snowflake',
  SplunkDestinationDescription: 'Splunk',
} as const;

/** Events in one record that dynamic partitioning can take apart (Amazon Data Firehose quota page). */
const DEAGGREGATED_EVENTS_MAX = 500;

/** What the destination does with a record, and whether the events of cdc survive it. */
export function checkDestination(
  stream: string,
  destination: DestinationDescription,
  options: StreamOptionsToCheck,
): Finding[] {
  const findings: Finding[] = [];
  const kinds = Object.keys(ONE_EVENT_PER_RECORD) as (keyof typeof ONE_EVENT_PER_RECORD)[];
  const kind = kinds.find((one) => destination[one]);
  if (kind !== undefined && options.aggregate !== 'off') {
    const why =
      'it stores each record as one row or document, and a record of cdc contains up to firehose.aggregate.max_events events';
    const what = `the stream ${stream} delivers to ${ONE_EVENT_PER_RECORD[kind]}`;
    findings.push(warning(what, why, 'firehose.aggregate: off'));
  }
  const copy = destination.RedshiftDestinationDescription?.CopyCommand;
  if (copy !== undefined && !/\bjson\b/i.test(copy.CopyOptions ?? '')) {
    findings.push(
      error(
        `the stream ${stream} copies into Redshift, and its CopyOptions have no JSON`,
        'COPY expects delimited text by default, and each event is a JSON object',
        "add JSON 'auto' to the CopyOptions of the stream",
      ),
    );
  }
  const s3 = destination.ExtendedS3DestinationDescription;
  if (s3 === undefined) return findings;
  const processors = s3.ProcessingConfiguration?.Enabled ? (s3.ProcessingConfiguration.Processors ?? []) : [];
  return [
    ...findings,
    // Compressed records, which no destination can take apart, have a finding of their own.
    ...(s3.DynamicPartitioningConfiguration?.Enabled && options.compression !== 'gzip'
      ? checkPartitioning(stream, processors, options)
      : []),
    ...checkProcessors(stream, s3, processors, options),
  ];
}

/** Records must be taken apart before they are partitioned, and the query must find its fields. */
function checkPartitioning(stream: string, processors: Processor[], options: StreamOptionsToCheck): Finding[] {
  const findings: Finding[] = [];
  const { aggregate } = options;
  const deaggregation = processors.find(({ Type }) => Type === 'RecordDeAggregation');
  if (deaggregation === undefined && aggregate !== 'off') {
    findings.push(
      error(
        `the stream ${stream} partitions records without taking them apart`,
        'a record of cdc has events of several tables: it goes to one prefix as a whole, or to the error prefix',
        'add the processor RecordDeAggregation with SubRecordType JSON to the stream, or firehose.aggregate: off',
      ),
    );
  }
  if (deaggregation !== undefined && aggregate !== 'off' && aggregate.max_events > DEAGGREGATED_EVENTS_MAX) {
    findings.push(
      error(
        `firehose.aggregate.max_events is ${aggregate.max_events}, and the stream ${stream} partitions dynamically`,
        `Firehose takes at most ${DEAGGREGATED_EVENTS_MAX} events out of a record: larger ones land in the error prefix`,
        `firehose.aggregate.max_events: ${DEAGGREGATED_EVENTS_MAX}`,
      ),
    );
  }
  const delimiter = parameter(deaggregation, 'Delimiter');
  if (parameter(deaggregation, 'SubRecordType') === 'DELIMITED' && delimiter !== undefined && !isNewline(delimiter)) {
    findings.push(
      error(
        `the stream ${stream} takes records apart at another delimiter than a newline`,
        'the events in a record end with a newline each',
        'set SubRecordType of the processor RecordDeAggregation to JSON',
      ),
    );
  }
  const query = parameter(
    processors.find(({ Type }) => Type === 'MetadataExtraction'),
    'MetadataExtractionQuery',
  );
  return query === undefined ? findings : [...findings, ...checkQuery(stream, query, options)];
}

/** The fields at the top of an event, where the format alone decides them. */
const TOP_FIELDS: Readonly<Partial<Record<NonNullable<StreamOptionsToCheck['format']>, readonly string[]>>> = {
  debezium: ['op', 'before', 'after', 'key', 'seq', 'source', 'ts_ms', 'partial'],
  maxwell: [
    ...['database', 'table', 'type', 'ts', 'xid', 'commit', 'xoffset', 'position', 'gtid', 'server_id', 'data', 'old'],
    ...['key', 'seq', 'partial', 'primary_key', 'primary_key_columns'],
  ],
};

function checkQuery(stream: string, query: string, { format, flat_prefix = '_' }: StreamOptionsToCheck): Finding[] {
  if (format === undefined) return [];
  // Not the names of the partition keys and literals: only paths begin with a dot.
  const paths = [...query.replace(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/(?<![\w\])"])\.(\w+)(?:\.\w+)*/g)];
  const known = TOP_FIELDS[format];
  const wrong = paths
    .filter(([path, top]) => (known ? !known.includes(top as string) : /^\.source\.(?:db|table|ts_ms)$/.test(path)))
    .map(([path]) => path);
  if (wrong.length === 0) return [];
  const fields = {
    debezium: '{db: .source.db, table: .source.table}',
    flat: `{db: .${flat_prefix}db, table: .${flat_prefix}table}`,
    maxwell: '{db: .database, table: .table}',
  }[format];
  return [
    error(
      `the stream ${stream} partitions by ${[...new Set(wrong)].join(' and ')}, which events of format ${format} do not have`,
      'the query finds nothing in them, so they land in the error prefix',
      `change MetadataExtractionQuery of the stream to ${fields}, or format`,
    ),
  ];
}

/** Processors and conversions that see a record as one event, or add what the events already have. */
function checkProcessors(
  stream: string,
  s3: ExtendedS3DestinationDescription,
  processors: Processor[],
  { aggregate, format }: StreamOptionsToCheck,
): Finding[] {
  const findings: Finding[] = [];
  const has = (type: Processor['Type']): boolean => processors.some(({ Type }) => Type === type);
  if (has('AppendDelimiterToRecord') && !has('RecordDeAggregation')) {
    findings.push(
      warning(
        `the stream ${stream} appends a delimiter to each record`,
        'events end with a newline, so the objects get blank lines',
        'remove the processor AppendDelimiterToRecord',
      ),
    );
  }
  if (has('Lambda') && aggregate !== 'off') {
    findings.push(
      warning(
        `the stream ${stream} transforms records with a function`,
        'the function gets up to firehose.aggregate.max_events events in one record, each on its line',
        'check that the function reads line by line, or firehose.aggregate: off',
      ),
    );
  }
  if (s3.DataFormatConversionConfiguration?.Enabled && format !== undefined && format !== 'flat') {
    findings.push(
      warning(
        `the stream ${stream} converts the format of records, and format is ${format}`,
        'the conversion writes the fields at the top of an event as the columns of one table; row columns are deeper',
        'format: flat, with a stream for each table (firehose.routes)',
      ),
    );
  }
  return findings;
}

const parameter = (processor: Processor | undefined, name: string): string | undefined =>
  processor?.Parameters?.find(({ ParameterName }) => ParameterName === name)?.ParameterValue;

/** As text, escaped, or in base64. */
const isNewline = (delimiter: string): boolean =>
  ['\n', '\\n'].some((text) => delimiter === text || Buffer.from(delimiter, 'base64').toString() === text);

/** An S3 destination that stores the bytes of a record as they are. */
export function isPlainS3({ ExtendedS3DestinationDescription: s3 }: DestinationDescription): boolean {
  return (
    s3 !== undefined &&
    (s3.CompressionFormat ?? 'UNCOMPRESSED') === 'UNCOMPRESSED' &&
    s3.DataFormatConversionConfiguration?.Enabled !== true &&
    s3.ProcessingConfiguration?.Enabled !== true &&
    s3.DynamicPartitioningConfiguration?.Enabled !== true
  );
}
