/** What a row change is: insert, update or delete, as `op` names it. */
export type RowOp = 'c' | 'u' | 'd';

/** A committed (or, while its rows still arrive, about to be committed) transaction of the binlog. */
export interface Transaction {
  /** The text that names it: `uuid:17`, `0-1-17`; empty where the server has no GTIDs. */
  gtid: string;
  /** The GTID in two parts, for sets: `uuid` or `uuid:tag`, or MariaDB's `domain-server`; and the number. */
  gtidSource: string;
  gtidNumber: number;
  /** The binlog that holds it, that name's number, and where it begins there. */
  file: string;
  fileNumber: number;
  position: number;
  /** The byte behind it; known at commit. */
  endPosition: number;
  serverId: number;
  /** Commit time on the server, milliseconds. */
  committedAt: number;
  /** The prepared transaction that this one, an XA COMMIT or XA ROLLBACK, ends; its GTID is done with this one's. */
  preparedTransaction: Transaction | undefined;
}

/**
 * The row images of one rows event of one table, raw: `bytes[at..end)` holds image after image (for updates before
 * and after in turn), each with its NULL bitmap in front (MySQL internals, Rows_event).
 */
export interface RowsEvent {
  op: RowOp;
  bytes: Buffer;
  imagesStart: number;
  end: number;
  /** Offsets of the bitmaps of the columns that the before and after images hold. */
  beforeBitmap: number;
  afterBitmap: number;
  /**
   * The offset in `bytes` from which the ordinals of `seq` count: where the event starts; for events that came out of
   * a compressed transaction, where its payload would. May lie before the buffer.
   */
  ordinalBase: number;
  /** Where the event starts in the binlog. */
  position: number;
  /** After images may hold JSON diffs, applied to the documents of the before image (PARTIAL_UPDATE_ROWS). */
  partialJson: boolean;
}
