import { protocolErrorsCodesById } from '@platformatic/kafka';

/** What an error code of Kafka means for a batch that was sent. */
export type BatchErrorKind =
  /** Not stored. A later attempt can succeed. */
  | 'not stored'
  /** Not stored, because another broker leads the partition or the topic is gone: ask where it is. */
  | 'moved'
  /** Stored or not. The same bytes again have the answer. */
  | 'unknown'
  /** Not stored: the broker does not have the batches before it. A new epoch of the producer begins again. */
  | 'sequence'
  /** Not stored: the broker knows a later epoch of the producer. Only another producer id helps. */
  | 'fenced'
  /** Not stored: more bytes than the topic takes in a batch. */
  | 'too large'
  /** Not stored, because of single records. */
  | 'record'
  /** Not stored, whatever is sent. */
  | 'refused';

interface KnownCode {
  kind: BatchErrorKind;
  hint?: string;
}

const WRITE_HINT = 'allow this user to Write to the topic: the ACLs are in docs/KAFKA.md';
const TIME_HINT = 'set the clock of this machine, or message.timestamp.type=LogAppendTime for the topic';

/** Codes of the protocol (Kafka, Errors.java). */
const ERRORS: ReadonlyMap<number, KnownCode> = new Map<number, KnownCode>([
  [2, { kind: 'unknown' }], // CORRUPT_MESSAGE
  [3, { kind: 'moved' }], // UNKNOWN_TOPIC_OR_PARTITION
  [5, { kind: 'moved' }], // LEADER_NOT_AVAILABLE
  [6, { kind: 'moved' }], // NOT_LEADER_OR_FOLLOWER
  [7, { kind: 'unknown' }], // REQUEST_TIMED_OUT
  [8, { kind: 'moved' }], // BROKER_NOT_AVAILABLE
  [10, { kind: 'too large' }], // MESSAGE_TOO_LARGE
  [13, { kind: 'unknown' }], // NETWORK_EXCEPTION
  [17, { kind: 'refused', hint: 'kafka.topic must give names that Kafka allows' }], // INVALID_TOPIC_EXCEPTION
  [18, { kind: 'too large' }], // RECORD_LIST_TOO_LARGE
  [19, { kind: 'not stored' }], // NOT_ENOUGH_REPLICAS
  [20, { kind: 'unknown' }], // NOT_ENOUGH_REPLICAS_AFTER_APPEND
  [29, { kind: 'refused', hint: WRITE_HINT }], // TOPIC_AUTHORIZATION_FAILED
  [31, { kind: 'refused', hint: 'allow this user IdempotentWrite on the cluster: docs/KAFKA.md' }], // CLUSTER_AUTHORIZATION_FAILED
  [32, { kind: 'refused', hint: TIME_HINT }], // INVALID_TIMESTAMP
  [35, { kind: 'refused', hint: 'the brokers must be Apache Kafka 2.8 or newer' }], // UNSUPPORTED_VERSION
  [43, { kind: 'refused', hint: 'raise the message format of the topic to 2' }], // UNSUPPORTED_FOR_MESSAGE_FORMAT
  [44, { kind: 'refused', hint: 'a policy of the brokers refuses it; ask who runs them' }], // POLICY_VIOLATION
  [45, { kind: 'sequence' }], // OUT_OF_ORDER_SEQUENCE_NUMBER
  // A producer with one batch at a time never has it; what was stored twice is better than what was not.
  [46, { kind: 'sequence' }], // DUPLICATE_SEQUENCE_NUMBER
  [47, { kind: 'fenced' }], // INVALID_PRODUCER_EPOCH
  [56, { kind: 'moved' }], // KAFKA_STORAGE_ERROR
  [59, { kind: 'sequence' }], // UNKNOWN_PRODUCER_ID
  [74, { kind: 'moved' }], // FENCED_LEADER_EPOCH
  [75, { kind: 'moved' }], // UNKNOWN_LEADER_EPOCH
  [76, { kind: 'refused', hint: 'the brokers do not know kafka.compression; choose another' }], // UNSUPPORTED_COMPRESSION_TYPE
  [87, { kind: 'record' }], // INVALID_RECORD
  [89, { kind: 'not stored' }], // THROTTLING_QUOTA_EXCEEDED
  [90, { kind: 'fenced' }], // PRODUCER_FENCED
]);

/** A code that nobody has described leaves open whether the batch was stored. */
export const batchError = (code: number): KnownCode => ERRORS.get(code) ?? { kind: 'unknown' };

/** The name of a code, with the text of the broker if it gave one. */
export function errorText(code: number, message?: string | null): string {
  const name = (protocolErrorsCodesById as Record<number, string>)[code] ?? `error ${code}`;
  return message ? `${name}: ${message}` : name;
}
