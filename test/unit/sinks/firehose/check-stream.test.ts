import type { DeliveryStreamDescription } from '@aws-sdk/client-firehose';
import { expect, test } from 'vitest';
import { checkStream } from '../../../../src/sinks/firehose/check-stream.ts';

const stream = (changes: Partial<DeliveryStreamDescription> = {}): DeliveryStreamDescription => ({
  DeliveryStreamName: 's',
  DeliveryStreamARN: 'arn:aws:firehose:eu-west-1:1:deliverystream/s',
  DeliveryStreamStatus: 'ACTIVE',
  DeliveryStreamType: 'DirectPut',
  VersionId: '1',
  Destinations: [],
  HasMoreDestinations: false,
  ...changes,
});

const AGGREGATED = { aggregate: { max_events: 500, max_bytes: 524288 }, compression: 'none' as const };

const findings = (
  changes: Partial<DeliveryStreamDescription>,
  options: Parameters<typeof checkStream>[1] = AGGREGATED,
) => checkStream(stream(changes), options).map(({ severity, what }) => `${severity} ${what}`);

test('an active Direct PUT stream has no finding', () => {
  expect(findings({})).toEqual([]);
});

test('a stream that accepts no records is an error with the reason', () => {
  expect(findings({ DeliveryStreamStatus: 'CREATING' })).toEqual(['error the stream s is CREATING']);
  expect(findings({ DeliveryStreamStatus: 'DELETING', DeliveryStreamType: 'KinesisStreamAsSource' })).toEqual([
    'error the stream s is DELETING',
    'error the stream s has the source KinesisStreamAsSource, not Direct PUT',
  ]);
  const failure = { Type: 'RETIRE_KMS_GRANT_FAILED', Details: 'the key is disabled' } as const;
  expect(
    checkStream(stream({ DeliveryStreamStatus: 'CREATING_FAILED', FailureDescription: failure }), AGGREGATED)[0]?.why,
  ).toMatch(/the key is disabled/);
  expect(findings({ DeliveryStreamEncryptionConfiguration: { Status: 'ENABLING_FAILED' } })).toHaveLength(1);
});

test('a destination that stores each record as one event is a warning', () => {
  const Destinations = [{ DestinationId: '1', IcebergDestinationDescription: {} }];
  expect(findings({ Destinations })).toEqual(['warning the stream s delivers to Iceberg']);
  expect(findings({ Destinations }, { ...AGGREGATED, aggregate: 'off' })).toEqual([]);
  expect(findings({ Destinations: [{ DestinationId: '1', ExtendedS3DestinationDescription: undefined }] })).toEqual([]);
});

test('compressed records need plain S3 destinations', () => {
  const s3 = (ExtendedS3DestinationDescription: object | undefined, changes = {}) =>
    findings({ Destinations: [{ DestinationId: '1', ...changes, ExtendedS3DestinationDescription }] } as object, {
      ...AGGREGATED,
      compression: 'gzip',
    });
  expect(s3({ CompressionFormat: 'UNCOMPRESSED', DynamicPartitioningConfiguration: { Enabled: false } })).toEqual([]);
  const rejected = ['error the stream s cannot take compressed records'];
  expect(s3({ CompressionFormat: 'GZIP' })).toEqual(rejected);
  expect(s3({ DataFormatConversionConfiguration: { Enabled: true } })).toEqual(rejected);
  expect(s3({ ProcessingConfiguration: { Enabled: true } })).toEqual(rejected);
  expect(s3({ DynamicPartitioningConfiguration: { Enabled: true } })).toEqual(rejected);
  expect(s3(undefined, { RedshiftDestinationDescription: {} })).toEqual(rejected);
});
