/** An event that will not be sent, and why. */
export interface DeadLetterRequest {
  stream: string;
  /** Its line, newline included. */
  event: Buffer;
  reason: string;
  attempts: number;
}

/** A failure that is tried again. */
export interface RetryReport {
  stream: string;
  reason: string;
  /** Of the same events, so far. */
  attempts: number;
  /** The oldest of the events that wait for it. */
  event: () => Buffer;
}
