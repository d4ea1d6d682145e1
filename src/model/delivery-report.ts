/** An event to move to the dead letters, and why. */
export interface DeadLetterRequest {
  stream: string;
  /** The line of the event, including the newline. It stays unchanged until the event settles. */
  event: Buffer;
  reason: string;
  attempts: number;
}

/** A failed attempt that delivery will repeat. */
export interface RetryReport {
  stream: string;
  reason: string;
  /** Failed attempts of these events so far. */
  attempts: number;
  /** The line of the oldest of these events, valid during the call only. */
  event: () => Buffer;
}

/** What is in the way of events that a sink sends again by itself. */
export interface ObstacleReport {
  stream: string;
  reason: string;
}

/** A dead letter as the status names it: without its key. */
export interface RecentDeadLetter {
  /** ISO 8601 */
  at: string;
  stream: string;
  table: string;
  seq: string;
  why: string;
}
