import type { EncodedEvent } from '../src/model/encoded-event.ts';
import type { Table } from '../src/model/table.ts';
import type { ChangeHandler } from '../src/source/change-stream.ts';

const TABLE: Table = { schema: 'shop', name: 'orders', columns: [], key: [] };

/** An event with that line (newline included) and key. */
export function encodedEvent(line: string, key = '', keyHash = 0): EncodedEvent {
  const bytes = Buffer.from(line + key);
  const to = Buffer.byteLength(line);
  const text = { bytes, from: 0, to, keyFrom: to, keyTo: bytes.length, keyHash, isPartial: false };
  return { ...text, op: 'u', table: TABLE, locateKey() {} };
}

export const lineOf = ({ bytes, from, to }: EncodedEvent): string => bytes.toString('utf8', from, to);
export function keyOf(event: EncodedEvent): string {
  event.locateKey();
  return event.bytes.toString('utf8', event.keyFrom, event.keyTo);
}

/** A handler that wants none of the changes: spread it, and add what matters. */
export const IGNORE_CHANGES: ChangeHandler = {
  append() {},
  commit() {},
  rollback() {},
  savepoint() {},
  rollbackTo() {},
  gtidsBeforeStart() {},
  gtidsBeforeFile() {},
  skipped() {},
  xaPrepared() {},
  fileBegins() {},
  heartbeat() {},
};
