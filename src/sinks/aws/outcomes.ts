import { type AwsErrorKind, awsError } from '../../aws/aws-errors.ts';
import { type AwsFailure, failureText, httpStatusOf, withoutSecrets } from '../../aws/aws-failure.ts';
import type { AwsService } from '../../aws/aws-service.ts';
import type { RecordOutcome } from '../sink.ts';

const ACCEPTED: RecordOutcome = { kind: 'accepted' };

const REJECTED_REQUEST_HINT = 'no retry changes the result; correct what the reason names';

/** The result of one record in a response. Only a record that was stored has an id. */
export interface PutResult {
  id: string | undefined;
  code: string | undefined;
  message: string | undefined;
}

/**
 * The outcome of each record of a call with a response. The response must have one result for each record. Otherwise
 * every outcome is unknown: the SDK resolves `200 {}` with everything undefined.
 */
export function resultOutcomes(results: readonly PutResult[] | undefined, records: number): RecordOutcome[] {
  if (results?.length !== records) {
    const reason = `the response has results for ${results?.length ?? 'no'} records, but ${records} were sent`;
    return Array.from({ length: records }, () => ({ kind: 'unknown', reason }));
  }
  return results.map(({ id, code, message }): RecordOutcome => {
    if (code === undefined && id) return ACCEPTED;
    const reason = `${code ?? 'no record id'}: ${withoutSecrets(message ?? '')}`;
    const { kind } = awsError(code ?? '');
    if (kind === 'request') return { kind: 'rejected', scope: 'record', reason, hint: REJECTED_REQUEST_HINT };
    const isThrottled = kind === 'throttling' || code?.startsWith('ServiceUnavailable');
    return { kind: isThrottled ? 'throttled' : 'unknown', reason };
  });
}

/**
 * Nothing was stored, and a later attempt can succeed. The provider can renew expired credentials, it can be out of
 * reach for a while, and the file that it reads can be half written.
 */
const NOT_SENT: ReadonlySet<AwsErrorKind> = new Set([
  'throttling',
  'expiredCredentials',
  'noCredentials',
  'credentialsSource',
]);

/** The outcome of every record of a call that failed as a whole. */
export function failureOutcome(failure: AwsFailure, service: AwsService): RecordOutcome {
  const reason = failureText(failure);
  const { kind, hint } = awsError(failure.name ?? '', service);
  if (kind === 'request') return { kind: 'rejected', scope: 'request', reason, hint: REJECTED_REQUEST_HINT };
  if (kind !== undefined && NOT_SENT.has(kind)) return { kind: 'throttled', reason };
  if (hint !== undefined) return { kind: 'rejected', scope: 'stream', reason, hint };
  if (httpStatusOf(failure) === 413) {
    const sizeHint = 'a proxy or the service rejects requests of this size; raise the limit of the proxy';
    return { kind: 'rejected', scope: 'request', reason, hint: sizeHint };
  }
  // A 403 without an AWS error name comes from a proxy and can be temporary.
  return { kind: 'unknown', reason };
}
