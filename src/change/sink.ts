/** What became of one record. Only `accepted` is durable at the other side. */
export type Outcome =
  | { kind: 'accepted' }
  /** Not stored; the sink asks to slow down. */
  | { kind: 'throttled'; reason: string }
  /** Perhaps stored, perhaps not: a time-out, a broken connection, an answer that says too little. */
  | { kind: 'unknown'; reason: string }
  /** Not stored, and it will not be on another try: credentials, a missing stream, a request that is not valid. */
  | { kind: 'refused'; reason: string; hint: string };

export interface SinkLimits {
  /** Records in one request, bytes in one record, and bytes of all records in one request. */
  maxRecords: number;
  maxRecordBytes: number;
  maxRequestBytes: number;
}

/** Where records go. */
export interface Sink {
  readonly limits: SinkLimits;
  /** Sends the records in one request and tells what became of each, in their order; never rejects. */
  send(records: readonly Uint8Array[], signal: AbortSignal): Promise<Outcome[]>;
  close(): void;
}
