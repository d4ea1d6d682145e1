import type { DeliveryStreamDescription } from '@aws-sdk/client-firehose';
import { expect, test } from 'vitest';
import { judgeStream, streamFailure } from '../../../../src/sinks/firehose/preflight.ts';

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

const SEVERAL = { aggregate: { max_events: 500, max_bytes: 524288 }, compression: 'none' as const };

const judged = (changes: Partial<DeliveryStreamDescription>, options: Parameters<typeof judgeStream>[1] = SEVERAL) =>
  judgeStream(stream(changes), options).map(({ severity, what }) => `${severity} ${what}`);

test('an active Direct PUT stream gives no problem', () => {
  expect(judged({})).toEqual([]);
});

test('a stream that takes no records is an error with the reason', () => {
  expect(judged({ DeliveryStreamStatus: 'CREATING' })).toEqual(['error the stream s is CREATING']);
  expect(judged({ DeliveryStreamStatus: 'DELETING', DeliveryStreamType: 'KinesisStreamAsSource' })).toEqual([
    'error the stream s is DELETING',
    'error the stream s has the source KinesisStreamAsSource, not Direct PUT',
  ]);
  const failure = { Type: 'RETIRE_KMS_GRANT_FAILED', Details: 'the key is disabled' } as const;
  expect(
    judgeStream(stream({ DeliveryStreamStatus: 'CREATING_FAILED', FailureDescription: failure }), SEVERAL)[0]?.why,
  ).toMatch(/the key is disabled/);
  expect(judged({ DeliveryStreamEncryptionConfiguration: { Status: 'ENABLING_FAILED' } })).toHaveLength(1);
});

test('a destination that wants one event in a record is a warning', () => {
  const Destinations = [{ DestinationId: '1', IcebergDestinationDescription: {} }];
  expect(judged({ Destinations })).toEqual(['warning the stream s delivers to Iceberg']);
  expect(judged({ Destinations }, { ...SEVERAL, aggregate: 'off' })).toEqual([]);
  expect(judged({ Destinations: [{ DestinationId: '1', ExtendedS3DestinationDescription: undefined }] })).toEqual([]);
});

test('compressed records are for plain S3 alone', () => {
  const s3 = (ExtendedS3DestinationDescription: object | undefined, changes = {}) =>
    judged({ Destinations: [{ DestinationId: '1', ...changes, ExtendedS3DestinationDescription }] } as object, {
      ...SEVERAL,
      compression: 'gzip',
    });
  expect(s3({ CompressionFormat: 'UNCOMPRESSED', DynamicPartitioningConfiguration: { Enabled: false } })).toEqual([]);
  const refused = ['error the stream s cannot take compressed records'];
  expect(s3({ CompressionFormat: 'GZIP' })).toEqual(refused);
  expect(s3({ DataFormatConversionConfiguration: { Enabled: true } })).toEqual(refused);
  expect(s3({ ProcessingConfiguration: { Enabled: true } })).toEqual(refused);
  expect(s3({ DynamicPartitioningConfiguration: { Enabled: true } })).toEqual(refused);
  expect(s3(undefined, { RedshiftDestinationDescription: {} })).toEqual(refused);
});

test.each([
  ['ResourceNotFoundException', 'error there is no stream s in eu-west-1'],
  ['AccessDeniedException', 'warning the credentials do not allow asking about the stream s'],
  ['CredentialsProviderError', 'error no AWS credentials were found'],
  ['UnrecognizedClientException', 'error AWS refuses the credentials'],
  ['InvalidSignatureException', 'error AWS refuses the credentials'],
  ['ExpiredTokenException', 'error AWS refuses the credentials'],
  ['ThrottlingException', 'warning AWS is too busy to tell about the stream s'],
  ['TimeoutError', 'error Firehose in eu-west-1 cannot be reached'],
  ['SyntaxError', 'error Firehose in eu-west-1 does not answer as Amazon Data Firehose'],
])('a %s is told apart', (name, expected) => {
  const { severity, what } = streamFailure({ name, message: 'm' }, 's', { region: 'eu-west-1' });
  expect(`${severity} ${what}`).toBe(expected);
});
