import type { PutRecordBatchCommandOutput } from '@aws-sdk/client-firehose';
import type { Outcome } from '../change/sink.ts';

const ACCEPTED: Outcome = { kind: 'accepted' };

/**
 * What became of each record of a call that was answered. One answer per record is demanded: an answer that says
 * less (`200 {}` resolves in the SDK with everything undefined) leaves the outcome unknown.
 */
export function outcomesOf(answer: PutRecordBatchCommandOutput, records: number): Outcome[] {
  const entries = answer.RequestResponses;
  if (entries?.length !== records) {
    const reason = `the answer speaks of ${entries?.length ?? 'no'} records, ${records} were sent`;
    return Array.from({ length: records }, () => ({ kind: 'unknown', reason }));
  }
  return entries.map(({ RecordId, ErrorCode, ErrorMessage }): Outcome => {
    if (ErrorCode === undefined && RecordId) return ACCEPTED;
    const reason = `${ErrorCode ?? 'no record id'}: ${ErrorMessage ?? ''}`;
    return ErrorCode?.startsWith('ServiceUnavailable') ? { kind: 'throttled', reason } : { kind: 'unknown', reason };
  });
}

/** Error names that no retry heals, with what the operator should do (Firehose API reference, PutRecordBatch). */
const REFUSALS: Readonly<Record<string, string>> = {
  ResourceNotFoundException: 'check firehose.stream and firehose.region; cdc check tells which streams there are',
  InvalidArgumentException: 'the stream does not take this request; see the reason',
  ValidationException: 'the stream does not take this request; see the reason',
  SerializationException: 'the endpoint does not speak Firehose; check firehose.endpoint',
  UnknownOperationException: 'the endpoint does not speak Firehose; check firehose.endpoint',
  InvalidKMSResourceException: "give the stream's KMS key back, or grant cdc its use",
  InvalidSourceException: 'the stream must be of type Direct PUT',
  AccessDeniedException: 'grant firehose:PutRecordBatch on the stream',
  CredentialsProviderError:
    'give credentials in one of the ways of the AWS SDK: environment, profile, or instance role',
  IncompleteSignatureException: 'check the AWS credentials',
  InvalidSignatureException: 'check the AWS credentials and the clock of this machine',
  MissingAuthenticationTokenException: 'check the AWS credentials',
  UnrecognizedClientException: 'check the AWS credentials',
  OptInRequired: 'activate Firehose for the account',
};

/** Failures that tell that nothing was stored. */
const THROTTLES = new Set([
  'ServiceUnavailableException',
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
  'LimitExceededException',
  'SlowDown',
]);

/** What became of the records of a call that failed as a whole. */
export function outcomeOfFailure(error: unknown): Outcome {
  const { name = 'Error', message = '', $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const reason = `${name}: ${message}`;
  const hint = REFUSALS[name];
  if (hint !== undefined) return { kind: 'refused', reason, hint };
  if (THROTTLES.has(name)) return { kind: 'throttled', reason };
  // Expired credentials heal when the provider renews them; an answer without meaning may come from a proxy.
  if (name.startsWith('ExpiredToken')) return { kind: 'throttled', reason };
  const status = $metadata?.httpStatusCode;
  if (status === 413 || status === 403) {
    return { kind: 'refused', reason, hint: 'a proxy or the service refuses the request; see the reason' };
  }
  return { kind: 'unknown', reason };
}
