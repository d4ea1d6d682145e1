/** What became of one record. Only `accepted` is durable on the other side. */
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

/** What a stream accepts in one second. */
export interface Quota {
  records: number;
  requests: number;
  bytes: number;
}

/** The bytes of one record, in buffers that follow each other. */
export type RecordBuffers = readonly Buffer[];

/** One record of a request: one event, or several whole events. Every event ends with a newline. */
export interface SinkRecord {
  buffers: RecordBuffers;
  /** The key of each event, in their order, for a sink that `needsKeys`. A key is empty where its table has none. */
  keys?: readonly Buffer[];
}

/**
 * A transport for records. `test/contract/sink.contract.ts` is this contract as tests; every sink passes it.
 *
 * - Order: delivery sends at most one request at a time with events of one key, so a sink need not keep any order
 *   between requests. It keeps the order of the records within a request.
 * - Retries: a sink sends once and reports. Delivery decides what is sent again and when, because it knows which events
 *   have to wait for it.
 * - Memory: finished or copied. When `send` resolves, the sink no longer reads the buffers, whatever the outcome:
 *   delivery writes other events over them.
 * - Errors: `send` never rejects. A failure is an outcome of each record.
 */
export interface Sink {
  /** The product, as messages name it: `Firehose`. */
  readonly service: string;
  readonly limits: SinkLimits;
  /** Whether records come with the keys of their events: a transport partitions or names messages by them. */
  readonly needsKeys: boolean;
  /** Turns the bytes of a record into those on the wire, where they differ: compression, for example. */
  readonly encodeRecord?: (record: RecordBuffers) => Promise<RecordBuffers>;
  /** Sends the records in one request. Resolves with one outcome for each record, in their order. */
  send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]>;
  close(): void;
}
