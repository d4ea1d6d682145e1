import { describe, expect, test } from 'vitest';
import type { AwsFailure } from '../../../src/aws/aws-failure.ts';
import { isTransient, lossOf, otherRegion, rejectsCredentials, s3Error } from '../../../src/lake/s3-error.ts';
import { CdcError } from '../../../src/runtime/error.ts';

const failure = (name: string, status?: number, more: Partial<AwsFailure> & { Region?: string } = {}): AwsFailure => ({
  name,
  message: `about ${name}`,
  ...(status !== undefined && { $metadata: { httpStatusCode: status } }),
  ...more,
});

const request = {
  action: 's3:GetObject',
  object: 'events/a',
  bucket: 'shop-lake',
  prefix: 'events/',
  region: 'eu-west-1',
  endpoint: undefined,
} as const;

describe('another attempt', () => {
  test.each([
    failure('SlowDown', 503),
    failure('SlowDown', 400),
    failure('ThrottlingException', 400),
    failure('RequestTimeout', 400),
    failure('RequestTimeTooSkewed', 403),
    failure('InternalError', 500),
    failure('UnknownError', 502),
    failure('TooManyRequests', 429),
    failure('Error', undefined, { code: 'ECONNRESET' }),
    failure('TimeoutError'),
    // The body was cut.
    failure('Error', 200),
    failure('CredentialsUnavailableError'),
  ])('can help after $name', (found) => {
    expect(isTransient(found)).toBe(true);
  });

  test.each([
    failure('AccessDenied', 403),
    failure('NoSuchBucket', 404),
    failure('PermanentRedirect', 301),
    failure('InvalidAccessKeyId', 403),
    failure('SignatureDoesNotMatch', 403),
    failure('ExpiredToken', 400),
    failure('CredentialsProviderError'),
    failure('TypeError'),
  ])('does not help after $name', (found) => {
    expect(isTransient(found)).toBe(false);
  });

  test('does not help after an error that is explained', () => {
    expect(isTransient(Object.assign(new CdcError('no proxy'), { code: 'ECONNREFUSED' }) as AwsFailure)).toBe(false);
  });
});

test('other credentials can help where these are rejected', () => {
  for (const name of ['InvalidAccessKeyId', 'ExpiredToken', 'InvalidToken', 'SignatureDoesNotMatch']) {
    expect(rejectsCredentials(failure(name, 403)), name).toBe(true);
  }
  for (const name of ['AccessDenied', 'NoSuchBucket', 'SlowDown', 'InternalError']) {
    expect(rejectsCredentials(failure(name, 403)), name).toBe(false);
  }
});

test('the region of the bucket is in a header, an element or the message', () => {
  const header = { $response: { statusCode: 301, headers: { 'x-amz-bucket-region': 'us-west-2' } } };
  const named = failure('PermanentRedirect', 301, header);
  expect(otherRegion(named, 'eu-west-1')).toBe('us-west-2');
  // Otherwise the same request would be sent again and again.
  expect(otherRegion(named, 'us-west-2')).toBeUndefined();
  const element = failure('AuthorizationHeaderMalformed', 400, { Region: 'us-west-2' });
  expect(otherRegion(element, 'eu-west-1')).toBe('us-west-2');
  const message = "The authorization header is malformed; the region 'a' is wrong; expecting 'us-west-2'";
  expect(otherRegion(failure('AuthorizationHeaderMalformed', 400, { message }), 'eu-west-1')).toBe('us-west-2');
  expect(otherRegion(failure('AccessDenied', 403, { ...header, $response: { statusCode: 403 } }), 'eu-west-1')).toBe(
    undefined,
  );
});

test('an object that is gone or changed is no failure of the store', () => {
  expect(lossOf(failure('NoSuchKey', 404))?.loss).toBe('gone');
  expect(lossOf(failure('PreconditionFailed', 412))?.loss).toBe('changed');
  expect(lossOf(failure('InvalidRange', 416))?.loss).toBe('changed');
  expect(lossOf(failure('NoSuchBucket', 404))).toBeUndefined();
});

describe('the error', () => {
  const reported = (found: AwsFailure, more: Partial<Parameters<typeof s3Error>[1]> = {}) => {
    const { message, why, hint, kind } = s3Error(found, { ...request, ...more });
    return { message, why, hint, kind };
  };

  test('of a denied object names the statement that allows it, in the partition of the region', () => {
    const arn = (region: string) => reported(failure('AccessDenied', 403), { region }).hint?.match(/arn:[^"]*/)?.[0];
    expect(arn('eu-west-1')).toBe('arn:aws:s3:::shop-lake/events/*');
    expect(arn('cn-north-1')).toBe('arn:aws-cn:s3:::shop-lake/events/*');
    expect(arn('us-gov-west-1')).toBe('arn:aws-us-gov:s3:::shop-lake/events/*');
  });

  test('of a denied key of KMS names that key', () => {
    const message = 'User: x is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext';
    expect(reported(failure('AccessDenied', 403, { message }))).toMatchObject({
      message: 'the credentials do not allow kms:Decrypt for s3://shop-lake/events/a',
      hint: 'allow {"Effect":"Allow","Action":"kms:Decrypt","Resource":"the KMS key of the bucket"}',
    });
  });

  test('of a bucket in a region that S3 does not name', () => {
    expect(reported(failure('PermanentRedirect', 301))).toMatchObject({
      message: 'the bucket shop-lake is not in eu-west-1',
      hint: 'set firehose.region, or AWS_REGION in the environment, to the region of the bucket',
    });
  });

  test('of credentials says where they are looked for, and of a role what denies it', () => {
    expect(reported(failure('CredentialsProviderError'))).toMatchObject({
      message: 'no AWS credentials were found',
      hint: expect.stringContaining('AWS_PROFILE'),
    });
    expect(reported(failure('CredentialsDeniedError'))).toMatchObject({
      message: 'AWS does not give the credentials that cdc should use',
      hint: expect.stringContaining('role'),
    });
  });

  test('of the network names the proxy, the endpoint or the way to S3, and can be tried later', () => {
    const found = failure('Error', undefined, { code: 'ECONNREFUSED' });
    expect(reported(found)).toMatchObject({ message: 'S3 cannot be read', kind: 'retry' });
    expect(reported(found, { endpoint: 'http://127.0.0.1:9000' })).toMatchObject({
      message: 'http://127.0.0.1:9000 cannot be read',
      hint: expect.stringContaining('AWS_ENDPOINT_URL_S3'),
    });
    expect(reported({ ...found, proxy: { address: 'proxy:3128', variable: 'HTTPS_PROXY' } })).toMatchObject({
      message: 'the proxy proxy:3128 gives no connection',
      hint: expect.stringContaining('HTTPS_PROXY'),
    });
  });

  test('that is explained stays as it is', () => {
    const explained = new CdcError('no proxy', { exitCode: 2 });
    expect(s3Error(explained as AwsFailure, request)).toBe(explained);
  });

  test('has nothing of the credentials', () => {
    const message = 'The key AKIAIOSFODNN7EXAMPLE of X-Amz-Security-Token=abcdef is not valid';
    const text = JSON.stringify(reported(failure('InvalidAccessKeyId', 403, { message })));
    expect(text).not.toMatch(/AKIA|abcdef/);
  });
});
