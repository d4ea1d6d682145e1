import { describe, expect, test } from 'vitest';
import { FIREHOSE, KINESIS } from '../../../../src/aws/aws-service.ts';
import * as aws from '../../../../src/sinks/aws/outcomes.ts';
import { recordResults as firehoseResults } from '../../../../src/sinks/firehose/outcomes.ts';

const response = (RequestResponses: object[] | undefined): Parameters<typeof firehoseResults>[0] =>
  ({ FailedPutCount: 0, RequestResponses, $metadata: {} }) as Parameters<typeof firehoseResults>[0];

const recordOutcomes = (given: Parameters<typeof firehoseResults>[0], records: number) =>
  aws.resultOutcomes(firehoseResults(given), records);
const failureOutcome = (given: Error, service = FIREHOSE) => aws.failureOutcome(given, service);

const failure = (name: string, status?: number): Error =>
  Object.assign(new Error('message'), { name, $metadata: { httpStatusCode: status } });

describe('the outcome of each record', () => {
  test('is the result in its own entry, in order', () => {
    const outcomes = recordOutcomes(
      response([
        { RecordId: 'a' },
        { ErrorCode: 'ServiceUnavailableException', ErrorMessage: 'Slow down.' },
        { RecordId: 'c' },
      ]),
      3,
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', 'throttled', 'accepted']);
  });

  test('a record with an internal failure is possibly stored', () => {
    expect(recordOutcomes(response([{ ErrorCode: 'InternalFailure' }]), 1)[0]?.kind).toBe('unknown');
  });

  test.each([
    ['none', undefined],
    ['too few', [{ RecordId: 'a' }]],
    ['too many', [{ RecordId: 'a' }, { RecordId: 'b' }, { RecordId: 'c' }]],
  ])('with %s entries no record counts as accepted', (_, entries) => {
    expect(recordOutcomes(response(entries), 2).map(({ kind }) => kind)).toEqual(['unknown', 'unknown']);
  });

  test('an entry without a record id is not accepted', () => {
    expect(recordOutcomes(response([{}]), 1)[0]?.kind).toBe('unknown');
  });
});

describe('the outcome of a call that failed', () => {
  test.each([
    ['ServiceUnavailableException', 503, 'throttled'],
    ['ServiceUnavailableException', 400, 'throttled'],
    ['ThrottlingException', 400, 'throttled'],
    ['ExpiredTokenException', 400, 'throttled'],
    ['CredentialsProviderError', undefined, 'throttled'],
    ['InternalFailure', 500, 'unknown'],
    ['TimeoutError', undefined, 'unknown'],
    ['Error', undefined, 'unknown'],
    ['SyntaxError', 200, 'unknown'],
    ['Error', 403, 'unknown'],
    ['ResourceNotFoundException', 400, 'rejected'],
    ['InvalidArgumentException', 400, 'rejected'],
    ['InvalidKMSResourceException', 400, 'rejected'],
    ['AccessDeniedException', 400, 'rejected'],
  ])('%s (%s) is %s', (name, status, kind) => {
    expect(failureOutcome(failure(name, status)).kind).toBe(kind);
  });

  test.each([
    ['ResourceNotFoundException', 400, 'stream'],
    ['AccessDeniedException', 400, 'stream'],
    ['IncompleteSignature', 400, 'stream'],
    ['InvalidArgumentException', 400, 'request'],
    ['ValidationException', 400, 'request'],
    ['Error', 413, 'request'],
  ])('%s (%s) rejects the %s', (name, status, scope) => {
    expect(failureOutcome(failure(name, status))).toMatchObject({ kind: 'rejected', scope });
  });

  test('a record that its own entry rejects is rejected alone', () => {
    const outcomes = recordOutcomes(response([{ RecordId: 'a' }, { ErrorCode: 'ValidationException' }]), 2);
    expect(outcomes[0]?.kind).toBe('accepted');
    expect(outcomes[1]).toMatchObject({ kind: 'rejected', scope: 'record' });
  });

  test.each(['ThrottlingException', 'LimitExceededException', 'SlowDown', 'ServiceUnavailable'])(
    'a record with the error code %s is throttled, not of unknown outcome',
    (code) => {
      expect(recordOutcomes(response([{ ErrorCode: code, ErrorMessage: 'no' }]), 1)[0]?.kind).toBe('throttled');
    },
  );

  test.each(['ExpiredToken', 'ExpiredTokenException', 'ExpiredTokenFault'])('%s is retried', (name) => {
    expect(failureOutcome(failure(name, 403)).kind).toBe('throttled');
  });

  test('a rejection has a hint', () => {
    expect(failureOutcome(failure('AccessDeniedException', 400))).toMatchObject({
      hint: expect.stringContaining('PutRecordBatch'),
    });
  });

  test.each([
    ['ProvisionedThroughputExceededException', 'throttled'],
    ['KMSThrottlingException', 'throttled'],
    ['LimitExceededException', 'throttled'],
    ['InternalFailureException', 'unknown'],
    ['KMSAccessDeniedException', 'rejected'],
    ['KMSDisabledException', 'rejected'],
    ['KMSInvalidStateException', 'rejected'],
    ['KMSNotFoundException', 'rejected'],
    ['KMSOptInRequired', 'rejected'],
  ])('%s of Kinesis is %s', (name, kind) => {
    expect(failureOutcome(failure(name, 400), KINESIS).kind).toBe(kind);
  });

  test.each(['AccessDeniedException', 'ResourceNotFoundException', 'UnknownOperationException', 'OptInRequired'])(
    'the hint for %s names what belongs to the service',
    (name) => {
      const hintOf = (service: typeof FIREHOSE): string =>
        (failureOutcome(failure(name, 400), service) as { hint: string }).hint;
      expect(hintOf(KINESIS)).toMatch(/kinesis/i);
      expect(hintOf(KINESIS)).not.toMatch(/firehose/i);
      expect(hintOf(FIREHOSE)).toBe(
        hintOf(KINESIS)
          .replaceAll('kinesis', 'firehose')
          .replace('Kinesis', 'Firehose')
          .replace('PutRecords', 'PutRecordBatch'),
      );
    },
  );
});
