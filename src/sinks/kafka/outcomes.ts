import { CdcError } from '../../runtime/error.ts';
import type { RecordOutcome } from '../sink.ts';
import { isAuthenticationFailure, isCertificateFailure, kafkaFailureText, listenerHint } from './failure-text.ts';
import { batchError, errorText } from './protocol-errors.ts';

/** The outcome of a record that is not surely stored. */
export type FailedOutcome = Exclude<RecordOutcome, { kind: 'accepted' }>;

export const ACCEPTED: RecordOutcome = { kind: 'accepted' };

export const unknown = (reason: string): FailedOutcome => ({ kind: 'unknown', reason });
export const throttled = (reason: string): FailedOutcome => ({ kind: 'throttled', reason });

type RejectedOutcome = Extract<RecordOutcome, { kind: 'rejected' }>;

/** Why nothing could be sent: what a record has that was not stored because of it. */
export function connectionOutcome(error: unknown): FailedOutcome {
  const reason =
    error instanceof CdcError ? [error.message, error.why].filter(Boolean).join(': ') : kafkaFailureText(error);
  const listener = listenerHint(error);
  if (isAuthenticationFailure(error)) {
    const hint =
      listener ?? 'check kafka.sasl: the mechanism, the username and the password, or the credentials of AWS';
    return { kind: 'rejected', scope: 'stream', reason, hint };
  }
  if (listener !== undefined) return { kind: 'throttled', reason: `${reason} (${listener})` };
  if (isCertificateFailure(error)) return { kind: 'throttled', reason: `${reason} (kafka.tls.ca_file)` };
  return { kind: 'throttled', reason };
}

/** The outcome of everything for a topic that no broker has, or that this user may not see. */
export function topicOutcome(topic: string, errorCode: number): RejectedOutcome {
  const { hint } = batchError(errorCode);
  if (hint === undefined) {
    return {
      kind: 'rejected',
      scope: 'stream',
      reason: `there is no topic ${topic}`,
      hint: 'create the topic, or let cdc create topics: kafka.create_topics',
    };
  }
  return { kind: 'rejected', scope: 'stream', reason: `${topic}: ${errorText(errorCode)}`, hint };
}

export const tooLargeOutcome = (topic: string, bytes: number, text: string): RejectedOutcome => ({
  kind: 'rejected',
  scope: 'record',
  reason: `the topic ${topic} does not take a message of ${bytes} bytes: ${text}`,
  hint: 'raise max.message.bytes of the topic',
});

/** @param scope `request` if the broker did not name the record of a batch */
export const invalidRecordOutcome = (topic: string, text: string, scope: 'record' | 'request'): RejectedOutcome => ({
  kind: 'rejected',
  scope,
  reason: `the topic ${topic} does not take the message: ${text}`,
  hint: 'a topic with cleanup.policy=compact takes no message without a key: name key columns in keys',
});

export const refusedOutcome = (topic: string, text: string, hint: string): RejectedOutcome => ({
  kind: 'rejected',
  scope: 'stream',
  reason: `${topic}: ${text}`,
  hint,
});
