import type { Table } from './table.ts';

/** What happened to a row: created, updated, deleted, read by a backfill; or its table was truncated. */
export type EventOp = 'c' | 'u' | 'd' | 'r' | 't';

/**
 * A change event as the codec emits it: its line and its key, both as offsets into `bytes`. All events of a table share
 * one object, which is valid during the call only. A receiver copies what it keeps.
 */
export interface EncodedEvent {
  op: EventOp;
  /** The version of its table. */
  table: Table;
  bytes: Buffer;
  /** The line is `bytes[from..to)`, newline included. */
  from: number;
  to: number;
  /**
   * After `locateKey`, the key is `bytes[keyFrom..keyTo)`: a JSON object of the key columns, in key order. It is empty
   * without a key.
   */
  keyFrom: number;
  keyTo: number;
  /** Hash of the table's name and the key. Equal keys have equal hashes; different keys can have equal hashes too. */
  keyHash: number;
  /** Whether the event is of a row image that lacks columns. */
  isPartial: boolean;
  /**
   * Sets the key's offsets. A format without a key in its line writes the key here, after the line, so `bytes` can be
   * another buffer afterwards. Only receivers that want keys pay for it.
   */
  locateKey(): void;
}
