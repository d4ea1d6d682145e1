/**
 * The key of one row: for each key column the base64 of its value, as the bytes that the server sent in the binary
 * protocol, without the length in front of them. They return to the server as parameters, so that no value passes
 * through a number of JavaScript and only the server compares keys.
 */
export type Key = readonly string[];

/** The rows between two keys, in the order of the server. */
export interface KeyRange {
  /** Exclusive; null for no bound. */
  after: Key | null;
  /** Inclusive; null for no bound. */
  upTo: Key | null;
}

/** All rows of a table. */
export const WHOLE_TABLE: KeyRange = { after: null, upTo: null };

export const keysEqual = (a: Key, b: Key): boolean => a.length === b.length && a.every((value, i) => value === b[i]);
