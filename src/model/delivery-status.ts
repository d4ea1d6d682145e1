/** What delivery shows of itself: plain data. Times are ISO 8601. */

export interface DeliveryStatus {
  counters: DeliveryCounters;
  /** Bytes that wait or are in flight, and how many there can be. */
  bufferedBytes: number;
  budgetBytes: number;
  /** Transactions that are read and not delivered. */
  pendingTransactions: number;
  /** Whether the budget is used up, so that the binlog is not read at the moment. */
  backpressure: boolean;
  /** How long that was so since the start, in all. */
  backpressureSeconds: number;
  streams: StreamDelivery[];
}

/** Of all streams, since the daemon started. */
export interface DeliveryCounters {
  events: number;
  records: number;
  requests: number;
  bytes: number;
  /** Records that were sent again. */
  retries: number;
  /** Events that were sent again although they were possibly stored. */
  repeats: number;
  deadLetters: number;
}

/** One stream of Firehose. */
export interface StreamDelivery {
  stream: string;
  /** False if nothing that was sent in the last seconds was accepted. */
  accepting: boolean;
  lastAcceptedAt: string | null;
  /** Why events wait in a sink that sends again by itself, and since when; null if nothing is in their way. */
  obstacle: { reason: string; since: string } | null;
  /** Records by outcome. */
  outcomes: { accepted: number; throttled: number; unknown: number; rejected: number };
  requestsInFlight: number;
  requests: number;
  /** How long its requests took, in all. */
  requestSeconds: number;
  lanes: { total: number; waiting: number; inFlight: number; retrying: number };
  /** Lanes whose last attempt failed, the one that waits longest first, at most 20. */
  stuck: StuckLane[];
}

export interface StuckLane {
  lane: number;
  /** Failed attempts in a row. */
  attempts: number;
  /** When the first of them failed. */
  since: string;
  /** Why the last of them failed. */
  reason: string;
  events: number;
  bytes: number;
  /** The oldest event of the lane. */
  oldest: { table: string; seq: string };
}
