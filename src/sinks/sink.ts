/** What became of one record. Only `accepted` is durable at the other side. */
export type RecordOutcome =
  | { kind: 'accepted' }
  /** Not stored; the sink asks to slow down. */
  | { kind: 'throttled'; reason: string }
  /** Perhaps stored, perhaps not: a time-out, a broken connection, an answer that says too little. */
  | { kind: 'unknown'; reason: string }
  /**
   * Not stored, and it will not be on another try. `of` says what was refused: this record; the request as a whole,
   * perhaps for a record in it; or everything that goes to the stream: credentials, a stream that is not there.
   */
  | { kind: 'rejected'; scope: 'record' | 'request' | 'stream'; reason: string; hint: string };

export interface SinkLimits {
  /** Records in one request, bytes in one record, and bytes of all records in one request. */
  maxRecords: number;
  maxRecordBytes: number;
  maxRequestBytes: number;
}

/** What a stream takes in a second. */
export interface Quota {
  records: number;
  requests: number;
  bytes: number;
}

/** The bytes of one record, in pieces that follow each other. */
export type RecordBuffers = readonly Buffer[];

/** Where records go. */
export interface Sink {
  readonly limits: SinkLimits;
  /** What a record is on the wire, where that is not what was packed: compressed, say. */
  readonly encodeRecord?: (record: RecordBuffers) => Promise<RecordBuffers>;
  /**
   * Sends the records in one request and tells what became of each, in their order; never rejects.
   * The pieces are valid until then.
   */
  send(records: readonly RecordBuffers[], signal: AbortSignal): Promise<RecordOutcome[]>;
  close(): void;
}
