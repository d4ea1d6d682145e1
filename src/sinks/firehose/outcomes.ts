import type { PutRecordBatchCommandOutput } from '@aws-sdk/client-firehose';
import type { RecordOutcome } from '../sink.ts';

const ACCEPTED: RecordOutcome = { kind: 'accepted' };

/**
 * What became of each record of a call that was answered. One answer per record is demanded: an answer that says
 * less (`200 {}` resolves in the SDK with everything undefined) leaves the outcome unknown.
 */
export function recordOutcomes(answer: PutRecordBatchCommandOutput, records: number): RecordOutcome[] {
  const entries = answer.RequestResponses;
  if (entries?.length !== records) {
    const reason = `the answer speaks of ${entries?.length ?? 'no'} records, ${records} were sent`;
    return Array.from({ length: records }, () => ({ kind: 'unknown', reason }));
  }
  return entries.map(({ RecordId, ErrorCode, ErrorMessage }): RecordOutcome => {
    if (ErrorCode === undefined && RecordId) return ACCEPTED;
    const reason = `${ErrorCode ?? 'no record id'}: ${ErrorMessage ?? ''}`;
    if (ErrorCode !== undefined && REJECTED_REQUEST_ERRORS.has(ErrorCode)) {
      return { kind: 'rejected', scope: 'record', reason, hint: SEE_REASON };
    }
    return ErrorCode?.startsWith('ServiceUnavailable') ? { kind: 'throttled', reason } : { kind: 'unknown', reason };
  });
}

/** Errors of the request, perhaps of one record in it, that no retry heals (Firehose API reference, PutRecordBatch). */
const REJECTED_REQUEST_ERRORS = new Set(['InvalidArgumentException', 'ValidationException']);
const SEE_REASON = 'the stream does not take this request; see the reason';

/** Errors that no retry and no other request heals, with what the operator should do. */
const FATAL_ERRORS: Readonly<Record<string, string>> = {
  ResourceNotFoundException:
    'check firehose.stream, firehose.routes and firehose.region; cdc check tells which streams there are',
  SerializationException: 'the endpoint does not speak Firehose; check firehose.endpoint',
  UnknownOperationException: 'the endpoint does not speak Firehose; check firehose.endpoint',
  InvalidKMSResourceException: "give the stream's KMS key back, or grant cdc its use",
  InvalidSourceException: 'the stream must be of type Direct PUT',
  AccessDeniedException: 'grant firehose:PutRecordBatch on the stream',
  IncompleteSignatureException: 'check the AWS credentials',
  InvalidClientTokenId: 'check the AWS credentials',
  InvalidSignatureException: 'check the AWS credentials and the clock of this machine',
  MissingAuthenticationTokenException: 'check the AWS credentials',
  SignatureDoesNotMatch: 'check the AWS credentials and the clock of this machine',
  UnrecognizedClientException: 'check the AWS credentials',
  OptInRequired: 'activate Firehose for the account',
};

/** Failures that tell that nothing was stored. */
const THROTTLING_ERRORS = new Set([
  'ServiceUnavailableException',
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
  'LimitExceededException',
  'SlowDown',
]);

/** What became of the records of a call that failed as a whole. */
export function failureOutcome(error: unknown): RecordOutcome {
  const { name = 'Error', message = '', $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const reason = `${name}: ${message}`;
  const hint = FATAL_ERRORS[name];
  if (hint !== undefined) return { kind: 'rejected', scope: 'stream', reason, hint };
  if (REJECTED_REQUEST_ERRORS.has(name)) return { kind: 'rejected', scope: 'request', reason, hint: SEE_REASON };
  if (THROTTLING_ERRORS.has(name)) return { kind: 'throttled', reason };
  // The daemon has found credentials when it started: expired ones heal when their provider renews them, and a
  // provider that has none may be out of reach. Nothing was stored.
  if (name.startsWith('ExpiredToken') || name === 'CredentialsProviderError') return { kind: 'throttled', reason };
  const status = $metadata?.httpStatusCode;
  if (status === 413)
    return { kind: 'rejected', scope: 'request', reason, hint: 'a proxy or the service refuses requests of this size' };
  // A 403 without a name that AWS has for it is a proxy's, which may think better of it.
  return { kind: 'unknown', reason };
}
