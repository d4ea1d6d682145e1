/** An event to move to the dead letters, and why. */
export interface DeadLetterRequest {
  stream: string;
  /** The line of the event, including the newline. */
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
  /** Copies the oldest of these events. */
  event: () => Buffer;
}
