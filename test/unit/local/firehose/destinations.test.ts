import { describe, expect, test } from 'vitest';
import { readCreateDeliveryStream } from '../../../../src/local/firehose/create-request.ts';
import { DeliveryStream } from '../../../../src/local/firehose/delivery-stream.ts';
import { describeStream } from '../../../../src/local/firehose/describe-stream.ts';
import { type RowFormat, rowsOf } from '../../../../src/local/firehose/row-format.ts';
import { validateStream } from '../../../../src/local/firehose/stream-options.ts';

const ROLE = 'arn:aws:iam::123456789012:role/firehose';
const S3 = { RoleARN: ROLE, BucketARN: 'arn:aws:s3:::lake' };

const CONVERSION = {
  SchemaConfiguration: { RoleARN: ROLE, DatabaseName: 'cdc', TableName: 'orders' },
  InputFormatConfiguration: { Deserializer: { OpenXJsonSerDe: {} } },
  OutputFormatConfiguration: { Serializer: { ParquetSerDe: {} } },
};
const PARQUET = { ...S3, DataFormatConversionConfiguration: CONVERSION };

const SNOWFLAKE = {
  RoleARN: ROLE,
  AccountUrl: 'https://shop.snowflakecomputing.com',
  Database: 'CDC',
  Schema: 'PUBLIC',
  Table: 'CHANGES',
  SecretsManagerConfiguration: { Enabled: true, SecretARN: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:s' },
  S3Configuration: S3,
};

const routing = (query: string) => ({
  Enabled: true,
  Processors: [
    {
      Type: 'MetadataExtraction',
      Parameters: [{ ParameterName: 'MetadataExtractionQuery', ParameterValue: query }],
    },
  ],
});
const ICEBERG = {
  RoleARN: ROLE,
  CatalogConfiguration: { CatalogARN: 'arn:aws:glue:eu-west-1:123456789012:catalog' },
  ProcessingConfiguration: routing('{destinationDatabaseName: "cdc", destinationTableName: ._table}'),
  S3Configuration: S3,
};

const create = (field: string, destination: object) =>
  validateStream(
    readCreateDeliveryStream({ DeliveryStreamName: 's', [`${field}DestinationConfiguration`]: destination }),
  );

describe('the buffers of a destination are those of Firehose', () => {
  test.each<[string, string, object, number, number]>([
    ['format conversion', 'ExtendedS3', PARQUET, 128, 300],
    [
      'format conversion that is switched off',
      'ExtendedS3',
      { ...S3, DataFormatConversionConfiguration: { ...CONVERSION, Enabled: false } },
      5,
      300,
    ],
    ['Snowflake', 'Snowflake', SNOWFLAKE, 128, 0],
    ['Iceberg', 'Iceberg', ICEBERG, 5, 300],
    ['Iceberg with hints', 'Iceberg', { ...ICEBERG, BufferingHints: { SizeInMBs: 1, IntervalInSeconds: 0 } }, 1, 0],
  ])('%s', (_what, field, destination, mebibytes, seconds) => {
    expect(create(field, destination)).toMatchObject({ bufferSize: mebibytes * 1024 * 1024, bufferSeconds: seconds });
  });
});

test.each<[string, string, object, string]>([
  [
    'conversion without a schema',
    'ExtendedS3',
    { ...S3, DataFormatConversionConfiguration: {} },
    "dataFormatConversionConfiguration.schemaConfiguration.roleARN'",
  ],
  ['conversion with gzip', 'ExtendedS3', { ...PARQUET, CompressionFormat: 'GZIP' }, 'must be UNCOMPRESSED'],
  ['conversion with 63 MiB', 'ExtendedS3', { ...PARQUET, BufferingHints: { SizeInMBs: 63 } }, 'must be at least 64'],
  [
    'conversion of nothing',
    'ExtendedS3',
    { ...S3, DataFormatConversionConfiguration: { ...CONVERSION, InputFormatConfiguration: {} } },
    'exactly one of OpenXJsonSerDe, HiveJsonSerDe',
  ],
  [
    'no bucket for failed rows',
    'Snowflake',
    { ...SNOWFLAKE, S3Configuration: { RoleARN: ROLE } },
    "s3Configuration.bucketARN'",
  ],
  ['no table', 'Snowflake', { ...SNOWFLAKE, Table: undefined }, "'snowflakeDestinationConfiguration.table'"],
  ['no secret', 'Snowflake', { ...SNOWFLAKE, SecretsManagerConfiguration: { Enabled: true } }, 'SecretARN is required'],
  [
    'no credentials',
    'Snowflake',
    { ...SNOWFLAKE, SecretsManagerConfiguration: undefined },
    'Either SecretsManagerConfiguration',
  ],
  [
    'two credentials',
    'Snowflake',
    { ...SNOWFLAKE, User: 'CDC', PrivateKey: 'x' },
    'Either SecretsManagerConfiguration',
  ],
  ['a backup of all', 'Snowflake', { ...SNOWFLAKE, S3BackupMode: 'AllData' }, 'does not support S3BackupMode AllData'],
  [
    'a private link',
    'Snowflake',
    { ...SNOWFLAKE, SnowflakeVpcConfiguration: {} },
    'SnowflakeDestinationConfiguration.SnowflakeVpcConfiguration',
  ],
  [
    '901 seconds',
    'Snowflake',
    { ...SNOWFLAKE, BufferingHints: { IntervalInSeconds: 901 } },
    "'snowflakeDestinationConfiguration.bufferingHints.intervalInSeconds'",
  ],
  [
    'a size that is a text',
    'Iceberg',
    { ...ICEBERG, BufferingHints: { SizeInMBs: '64' } },
    'Expected a number, found "64"',
  ],
  ['no catalog', 'Iceberg', { ...ICEBERG, CatalogConfiguration: {} }, "catalogConfiguration.catalogARN'"],
  [
    'no route',
    'Iceberg',
    { ...ICEBERG, ProcessingConfiguration: undefined },
    'exactly one destination table is required',
  ],
  [
    'a route without a table',
    'Iceberg',
    { ...ICEBERG, ProcessingConfiguration: routing('{destinationDatabaseName: "a"}') },
    'must have the keys',
  ],
  [
    'an operation of each event',
    'Iceberg',
    {
      ...ICEBERG,
      ProcessingConfiguration: routing(
        '{destinationDatabaseName: "a", destinationTableName: ._table, operation: ._op}',
      ),
    },
    'an operation other than "insert"',
  ],
  [
    'schema evolution',
    'Iceberg',
    { ...ICEBERG, SchemaEvolutionConfiguration: { Enabled: true } },
    'SchemaEvolutionConfiguration',
  ],
  ['Splunk', 'Splunk', {}, 'does not support SplunkDestinationConfiguration'],
])('a stream with %s is refused', (_what, field, destination, message) => {
  expect(() => create(field, destination)).toThrow(message);
});

test('a stream is described with the destination that it was created with, without its key', () => {
  const describeOf = (field: string, destination: object) => {
    const stream = new DeliveryStream(create(field, destination), { folders: { lake: '', spool: '' }, log: () => {} });
    return JSON.parse(JSON.stringify(describeStream(stream, 'arn'))).DeliveryStreamDescription.Destinations;
  };
  const inline = { ...SNOWFLAKE, SecretsManagerConfiguration: undefined, User: 'CDC', PrivateKey: 'MIIE' };
  const [snowflake] = describeOf('Snowflake', inline);
  expect(snowflake.SnowflakeDestinationDescription).toMatchObject({ User: 'CDC', S3DestinationDescription: S3 });
  expect(JSON.stringify(snowflake)).not.toContain('MIIE');
  const [iceberg] = describeOf('Iceberg', ICEBERG);
  expect(iceberg.IcebergDestinationDescription).toMatchObject({ S3DestinationDescription: S3 });
  expect(iceberg.IcebergDestinationDescription).not.toHaveProperty('S3Configuration');
  const [parquet] = describeOf('ExtendedS3', PARQUET);
  expect(parquet.ExtendedS3DestinationDescription).toMatchObject({ DataFormatConversionConfiguration: CONVERSION });
});

describe('the rows of a record', () => {
  const rows = (record: string, format: Partial<RowFormat>) =>
    rowsOf(Buffer.from(record), { documents: 'record', errorType: 'x-failed', errorCode: 'X', ...format }).map((row) =>
      'failure' in row ? `${row.failure.code}: ${row.failure.message}` : String(row.line),
    );

  test('one document is one row, on one line; numbers keep their digits', () => {
    expect(rows('{\n  "a": 12345678901234567890\r\n}', {})).toEqual(['{   "a": 12345678901234567890 }\n']);
    expect(rows('{"a":"line\\nbreak"}\n', {})).toEqual(['{"a":"line\\nbreak"}\n']);
  });

  test('the column of a whole document is quoted', () => {
    expect(rows('{"a":1}\n', { column: 'the "row"' })).toEqual(['{"the \\"row\\"":{"a":1}}\n']);
  });

  test.each(['', 'text', '[1]', 'null', '1', '{"a":1}\n{"a":2}\n'])('%j is no row', (record) => {
    expect(rows(record, {})).toEqual(['X: The record must be one JSON object']);
  });

  test('each line of an aggregated record is a row, over 500 of them too; a bad line is one failure', () => {
    expect(rows('{"a":1}\n\n{"a":2}\n{', { documents: 'line' })).toEqual([
      '{"a":1}\n',
      '{"a":2}\n',
      'X: The record must be one JSON object',
    ]);
    expect(rows('{}\n'.repeat(501), { documents: 'line' })).toHaveLength(501);
  });

  test('a document without a table fails', () => {
    const route = [{ name: 'destinationTableName', path: ['_table'] }];
    expect(rows('{"a":1}', { route })).toEqual(['X: partitionKeys values must not be null or empty']);
  });
});
