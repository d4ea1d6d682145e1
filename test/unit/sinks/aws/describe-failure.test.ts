import { expect, test } from 'vitest';
import { FIREHOSE, KINESIS } from '../../../../src/aws/aws-service.ts';
import { describeFailureFinding } from '../../../../src/sinks/aws/describe-failure.ts';

const IRELAND = { region: 'eu-west-1', endpoint: undefined };

test.each([
  ['ResourceNotFoundException', 'error there is no stream s in eu-west-1'],
  ['AccessDeniedException', 'warning the credentials do not allow DescribeDeliveryStream for the stream s'],
  ['CredentialsProviderError', 'error no AWS credentials were found'],
  ['UnrecognizedClientException', 'error AWS rejects the credentials'],
  ['InvalidSignatureException', 'error AWS rejects the credentials'],
  ['ExpiredTokenException', 'error AWS rejects the credentials'],
  ['IncompleteSignatureException', 'error AWS rejects the credentials'],
  ['ThrottlingException', 'warning AWS throttles the check of the stream s'],
  ['ServiceUnavailableException', 'warning AWS throttles the check of the stream s'],
  ['TimeoutError', 'error Firehose in eu-west-1 cannot be reached'],
  ['SyntaxError', 'error Firehose in eu-west-1 does not answer as Amazon Data Firehose'],
])('%s is reported as %s', (name, expected) => {
  const { severity, what } = describeFailureFinding({ name, message: 'm' }, 's', FIREHOSE, IRELAND);
  expect(`${severity} ${what}`).toBe(expected);
});

test.each([
  ['ResourceNotFoundException', 'there is no stream s in eu-west-1', /kinesis\.stream/],
  [
    'AccessDeniedException',
    'the credentials do not allow DescribeStreamSummary for the stream s',
    /kinesis:PutRecords/,
  ],
  ['TimeoutError', 'Kinesis in eu-west-1 cannot be reached', /kinesis\.region/],
  ['SyntaxError', 'Kinesis in eu-west-1 does not answer as Amazon Kinesis Data Streams', /kinesis\.region/],
])('%s of Kinesis names Kinesis and its keys', (name, what, fix) => {
  const finding = describeFailureFinding({ name, message: 'm' }, 's', KINESIS, IRELAND);
  expect(finding).toMatchObject({ what, fix: expect.stringMatching(fix) });
  expect(JSON.stringify(finding)).not.toMatch(/firehose/i);
});
