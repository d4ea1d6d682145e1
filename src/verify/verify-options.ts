/** What a verify compares, and what it does with what differs. */
export interface VerifyOptions {
  /** Only rows of the source that satisfy this condition. Rows that only the lake has are not looked for then. */
  where?: string;
  /** Only keys that objects since this time have events of, in milliseconds. */
  since?: number;
  /** The share of the keys to compare, above 0 and up to 1. */
  sample?: number;
  /** How long it waits for events at most, in milliseconds. */
  waitMs?: number;
  /** Whether what differs is sent again. */
  repair: boolean;
  /** Differences of a table that are kept. */
  differencesMax: number;
}

/** What verify does at the moment. */
export interface Progress {
  phase: 'lake' | 'source' | 'compare' | 'again' | 'wait' | 'repair';
  /** The table, where it is about one. */
  table?: string;
  /** How much of the phase is done, from 0 to 1. */
  fraction?: number;
  rows?: number;
  objects?: number;
  events?: number;
  /** What is waited for, as a sentence. */
  waitingFor?: string;
}
