import type { ByteCursor } from './byte-cursor.ts';
import { EventType as E } from './event-type.ts';
import { decompressBody } from './mariadb-compression.ts';
import { readQueryEvent } from './query-event.ts';

/** Types that are read before the start too: they begin and end transactions and files. */
export const READ_BEFORE_START: ReadonlySet<number> = new Set([
  E.GTID,
  E.GTID_TAGGED,
  E.ANONYMOUS_GTID,
  E.MARIADB_GTID,
  E.XID,
  E.XA_PREPARE,
  E.ROTATE,
  E.FORMAT_DESCRIPTION,
  E.PREVIOUS_GTIDS,
  E.MARIADB_GTID_LIST,
  E.HEARTBEAT,
  E.HEARTBEAT_V2,
]);

/** The server itself writes these statements, letter for letter. */
const TRANSACTION_CONTROL = /^(?:(?:BEGIN|COMMIT|ROLLBACK)$|XA (?:START|END|PREPARE|COMMIT|ROLLBACK) )/;
const LONGEST_CONTROL = 'XA ROLLBACK '.length;

/** Whether the Query event, whose body is not read yet, begins or ends a transaction. */
export function isTransactionControl(body: ByteCursor, compressed: boolean): boolean {
  readQueryEvent(body, false);
  const text = compressed ? decompressBody(body).toString() : body.text(Math.min(body.remaining, LONGEST_CONTROL));
  return TRANSACTION_CONTROL.test(text);
}
