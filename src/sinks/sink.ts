import type { EventOp } from '../model/encoded-event.ts';
import type { Table } from '../model/table.ts';

/** The outcome of one record. Only an `accepted` record is durable on the other side. */
export type RecordOutcome =
  | { kind: 'accepted' }
  /** Not stored. The transport asks for a lower rate. */
  | { kind: 'throttled'; reason: string }
  /** Possibly stored: a timeout, a broken connection, a response without a result for each record. */
  | { kind: 'unknown'; reason: string }
  /**
   * Not stored, and another attempt gives the same result. `scope` says what was rejected: this record; the request,
   * possibly because of one record in it; or everything sent to the stream (credentials, a stream that does not exist).
   */
  | { kind: 'rejected'; scope: 'record' | 'request' | 'stream'; reason: string; hint: string };

export interface SinkLimits {
  /** Records in one request, bytes in one record, and bytes of all records in one request. */
  maxRecords: number;
  maxRecordBytes: number;
  maxRequestBytes: number;
}

/** What a stream accepts per second. */
export interface Quota {
  records: number;
  requests: number;
  bytes: number;
}

/** The bytes of one record, in buffers that follow each other. */
export type RecordBuffers = readonly Buffer[];

/** What an event is, for a transport that partitions or names messages by it. */
export interface RecordEvent {
  /** A JSON object of the key columns. Empty where the table has no key, and for a TRUNCATE. */
  key: Buffer;
  /** The version of its table. */
  table: Table;
  op: EventOp;
}

/** One record of a request: one event, or several whole events. Every event ends with a newline. */
export interface SinkRecord {
  buffers: RecordBuffers;
  /** What each event is, in their order, for a sink that `needsKeys`. */
  events?: readonly RecordEvent[];
  /**
   * The number of the lane that all its events are of, for a sink that `isLog`. It then has a buffer for each event.
   */
  lane?: number;
}

export interface SinkObstacle {
  reason: string;
  /** Milliseconds since 1970. */
  since: number;
}

/** How events become records: each on its own, or up to this many events and bytes in one. */
export type Aggregation = { maxEvents: number; maxBytes: number } | 'off';

/** Quotas of the partitions of a stream. */
export interface PartitionPacer {
  /**
   * Milliseconds until its partition takes this record. If it is 0, the record is sent now, and charged.
   * @param now milliseconds of `performance.now()`
   */
  admit(record: SinkRecord, now: number): number;
}

/** A stream that events go to, and how delivery sends to it. */
export interface SinkTarget {
  /** As messages, metrics and dead letters name it. */
  name: string;
  sink: Sink;
  quota?: Quota | undefined;
  aggregation: Aggregation;
  /** How long an event waits for others to share its record or request, milliseconds. */
  lingerMs: number;
}

/**
 * A transport for records. `test/contract/sink.contract.ts` is this contract as tests; every sink passes it.
 *
 * - Order: delivery sends at most one request at a time with events of one key, so a sink need not keep any order
 *   between requests. It keeps the order of the records within a request.
 * - Retries: a sink sends once and reports. Delivery decides what is sent again and when, because it knows which events
 *   have to wait for it. A sink can send a request again by itself where the transport stores it only once (Kafka's
 *   sequence numbers). A sink that rejects a record by itself does not store those behind it.
 * - Memory: finished or copied. When `send` resolves, the sink no longer reads the buffers, whatever the outcome:
 *   delivery writes other events over them.
 * - Errors: `send` never rejects. A failure is an outcome of each record.
 */
export interface Sink {
  /** The product, as messages name it: `Firehose`. */
  readonly service: string;
  readonly limits: SinkLimits;
  /** Whether records come with what their events are: a transport partitions or names messages by it. */
  readonly needsKeys: boolean;
  /**
   * Whether readers see records in the order of their arrival, so that an old event behind a newer one misleads them.
   * No record has events of several lanes then.
   */
  readonly isLog?: boolean;
  /**
   * A record can fail while those behind it are stored. In a request of records of one event each, no two are of one
   * key then: a log that keeps order would keep the wrong one.
   */
  readonly oneRecordPerKey?: boolean;
  readonly pacer?: PartitionPacer;
  /** Why records wait in a sink that sends again by itself; undefined if nothing is in their way. */
  readonly obstacle?: () => SinkObstacle | undefined;
  /** Turns the bytes of a record into those on the wire, where they differ: compression, for example. */
  readonly encodeRecord?: (record: RecordBuffers) => Promise<RecordBuffers>;
  /** Sends the records in one request. Resolves with one outcome for each record, in their order. */
  send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]>;
  close(): void;
}
