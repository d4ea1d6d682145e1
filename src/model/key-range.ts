/** A key: one value for each key column, the base64 of its bytes in the binary protocol. Checkpoints keep it. */
export type Key = readonly string[];

/** The rows of a table whose key is behind `after` and not behind `upTo`, in the order of the server. */
export interface KeyRange {
  after: Key | null;
  upTo: Key | null;
}
