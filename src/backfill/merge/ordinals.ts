/** Ordinals that a checkpoint reserves ahead. A restart loses those that were not used. */
export const ORDINALS_RESERVED = 2 ** 20;

/**
 * The ordinals of `r` events, the last part of their `seq`: numbers that never repeat while the epoch lasts, also after
 * a crash, so that two rows never share a `seq`, wherever their windows close. A checkpoint reserves them before they
 * are used.
 */
export class Ordinals {
  /** The next ordinal. */
  next: number;
  /** Ordinals below this one are reserved in the checkpoint on disk. */
  #durable: number;

  /** @param reserved what the last checkpoint reserved: those below it can have been used */
  constructor(reserved: number) {
    this.next = reserved;
    this.#durable = reserved;
  }

  /** How many can be used now. */
  get available(): number {
    return this.#durable - this.next;
  }

  /** What a checkpoint reserves that is made now. */
  get reservation(): number {
    return this.next + ORDINALS_RESERVED;
  }

  /** A checkpoint with this reservation is durable. */
  saved(reservation: number): void {
    this.#durable = Math.max(this.#durable, reservation);
  }
}
