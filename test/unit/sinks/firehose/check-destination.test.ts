import type { DestinationDescription, Processor } from '@aws-sdk/client-firehose';
import { describe, expect, test } from 'vitest';
import { checkDestination, type StreamOptionsToCheck } from '../../../../src/sinks/firehose/check-destination.ts';

const OPTIONS: StreamOptionsToCheck = {
  aggregate: { max_events: 500, max_bytes: 524288 },
  compression: 'none',
  format: 'debezium',
  flat_prefix: '_',
};

const processor = (Type: string, parameters: Record<string, string> = {}): Processor =>
  ({
    Type,
    Parameters: Object.entries(parameters).map(([ParameterName, ParameterValue]) => ({
      ParameterName,
      ParameterValue,
    })),
  }) as Processor;

const s3 = (processors: Processor[], more: object = {}): DestinationDescription =>
  ({
    DestinationId: '1',
    ExtendedS3DestinationDescription: {
      ProcessingConfiguration: { Enabled: processors.length > 0, Processors: processors },
      ...more,
    },
  }) as unknown as DestinationDescription;

const DEAGGREGATION = processor('RecordDeAggregation', { SubRecordType: 'JSON' });
const query = (MetadataExtractionQuery: string) =>
  processor('MetadataExtraction', { MetadataExtractionQuery, JsonParsingEngine: 'JQ-1.6' });
const partitioned = (...processors: Processor[]) =>
  s3(processors, { DynamicPartitioningConfiguration: { Enabled: true } });

const findings = (destination: DestinationDescription, options: Partial<StreamOptionsToCheck> = {}) =>
  checkDestination('s', destination, { ...OPTIONS, ...options }).map(({ severity, what }) => `${severity} ${what}`);

const BY_TABLE = query('{db: .source.db, table: .source.table}');

describe('dynamic partitioning', () => {
  test('with de-aggregation, fields of the format and at most 500 events a record has no finding', () => {
    expect(findings(partitioned(DEAGGREGATION, BY_TABLE))).toEqual([]);
  });

  test('takes at most 500 events out of a record', () => {
    const aggregate = { max_events: 501, max_bytes: 524288 };
    expect(findings(partitioned(DEAGGREGATION, BY_TABLE), { aggregate })).toEqual([
      'error firehose.aggregate.max_events is 501, and the stream s partitions dynamically',
    ]);
    expect(findings(s3([]), { aggregate })).toEqual([]);
  });

  test('needs de-aggregation, unless each event is a record', () => {
    expect(findings(partitioned(BY_TABLE))).toEqual([
      'error the stream s partitions records without taking them apart',
    ]);
    expect(findings(partitioned(BY_TABLE), { aggregate: 'off' })).toEqual([]);
  });

  test('takes records apart at newlines', () => {
    const delimited = (Delimiter: string) =>
      processor('RecordDeAggregation', { SubRecordType: 'DELIMITED', Delimiter });
    expect(findings(partitioned(delimited('XG4='), BY_TABLE))).toEqual([]);
    expect(findings(partitioned(delimited('Iw=='), BY_TABLE))).toEqual([
      'error the stream s takes records apart at another delimiter than a newline',
    ]);
  });

  test.each([
    ['debezium', '{db: .source.db, table: .source.table}', undefined],
    ['debezium', '{db:.source.db|ascii_downcase,op:.op,"x.y":.key.id}', undefined],
    ['debezium', '{db: ._db, table: ._table}', '._db and ._table'],
    ['debezium', '{db: .database}', '.database'],
    ['flat', '{db: ._db, table: ._table, customer: .customer}', undefined],
    ['flat', '{db: .source.db, table: .source.table}', '.source.db and .source.table'],
    ['maxwell', '{db: .database, table: .table}', undefined],
    ['maxwell', '{db: .source.db, table: .table}', '.source.db'],
  ] as const)('of format %s by %s names the fields that events do not have', (format, text, wrong) => {
    expect(findings(partitioned(DEAGGREGATION, query(text)), { format })).toEqual(
      wrong ? [`error the stream s partitions by ${wrong}, which events of format ${format} do not have`] : [],
    );
  });

  test('of format flat names the fields with their prefix', () => {
    const options = { ...OPTIONS, format: 'flat', flat_prefix: 'cdc_' } as const;
    expect(checkDestination('s', partitioned(DEAGGREGATION, BY_TABLE), options)[0]?.fix).toContain(
      '{db: .cdc_db, table: .cdc_table}',
    );
  });
});

test.each([
  ['SplunkDestinationDescription', 'Splunk'],
  ['HttpEndpointDestinationDescription', 'an HTTP endpoint'],
  ['SnowflakeDestinationDescription', 'Snowflake'],
  ['IcebergDestinationDescription', 'Iceberg'],
  ['AmazonopensearchserviceDestinationDescription', 'OpenSearch'],
  ['AmazonOpenSearchServerlessDestinationDescription', 'OpenSearch Serverless'],
  ['ElasticsearchDestinationDescription', 'Elasticsearch'],
])('%s wants one event a record', (kind, name) => {
  const destination = { DestinationId: '1', [kind]: {} } as DestinationDescription;
  expect(findings(destination)).toEqual([`warning the stream s delivers to ${name}`]);
  expect(findings(destination, { aggregate: 'off' })).toEqual([]);
});

test('a delimiter for records that are not taken apart gives blank lines', () => {
  const append = processor('AppendDelimiterToRecord', { Delimiter: '\\n' });
  expect(findings(s3([append]))).toEqual(['warning the stream s appends a delimiter to each record']);
  expect(findings(partitioned(DEAGGREGATION, BY_TABLE, append))).toEqual([]);
});

test('a function that transforms records gets several events', () => {
  expect(findings(s3([processor('Lambda')]))).toEqual(['warning the stream s transforms records with a function']);
  expect(findings(s3([processor('Lambda')]), { aggregate: 'off' })).toEqual([]);
});

test('format conversion fits format flat', () => {
  const converted = s3([], { DataFormatConversionConfiguration: { Enabled: true } });
  expect(findings(converted, { format: 'flat' })).toEqual([]);
  expect(findings(converted)).toEqual(['warning the stream s converts the format of records, and format is debezium']);
});

test('processing that is not enabled has no finding', () => {
  const off = s3([], { ProcessingConfiguration: { Enabled: false, Processors: [processor('Lambda')] } });
  expect(findings(off)).toEqual([]);
});

test('a COPY into Redshift reads JSON', () => {
  const redshift = (CopyOptions?: string): DestinationDescription =>
    ({
      DestinationId: '1',
      RedshiftDestinationDescription: { CopyCommand: { DataTableName: 'events', CopyOptions } },
    }) as unknown as DestinationDescription;
  expect(findings(redshift("format as json 'auto' gzip"))).toEqual([]);
  const missing = ['error the stream s copies into Redshift, and its CopyOptions have no JSON'];
  expect(findings(redshift('GZIP'))).toEqual(missing);
  expect(findings(redshift())).toEqual(missing);
});
