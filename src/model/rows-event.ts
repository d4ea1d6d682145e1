/** The kind of a row change: insert, update or delete, as in the field `op`. */
export type RowOp = 'c' | 'u' | 'd';

/** A transaction of the binlog. It is not committed yet while its rows arrive. */
export interface Transaction {
  /** The GTID as text, `uuid:17` or `0-1-17`. It is empty if the server has no GTIDs. */
  gtid: string;
  /** The GTID in two parts, for sets. The source is `uuid` or `uuid:tag`, or `domain-server` on MariaDB. */
  gtidSource: string;
  gtidNumber: number;
  /** The binlog file, the number in its name, and the offset where the transaction starts. */
  file: string;
  fileNumber: number;
  position: number;
  /** The offset after the transaction, known at its commit. */
  endPosition: number;
  serverId: number;
  /** The commit time on the server, in milliseconds. */
  committedAt: number;
  /** The commit time on the server where the transaction began, in microseconds; 0 where the event has none. */
  originalCommit: number;
  /** When the file was created, where the last event of the transaction starts, and its digest (BinlogFingerprint). */
  fileCreated: number;
  lastEvent: number;
  lastEventDigest: number;
  /** The prepared transaction that this XA COMMIT or XA ROLLBACK ends. Its GTID is delivered together with this one. */
  preparedTransaction: Transaction | undefined;
}

/**
 * The raw row images of one rows event of one table: `bytes[imagesStart..end)` is image after image. An update has a
 * before and an after image in turn. Each image starts with its NULL bitmap (MySQL internals, Rows_event).
 */
export interface RowsEvent {
  op: RowOp;
  bytes: Buffer;
  imagesStart: number;
  end: number;
  /** Offsets of the bitmaps of the columns that the before and after images contain. */
  beforeBitmap: number;
  afterBitmap: number;
  /**
   * The offset in `bytes` from which the ordinals of `seq` count: the start of the event, or of the decompressed
   * payload for an event of a compressed transaction. It can be before the start of the buffer.
   */
  ordinalBase: number;
  /** The offset in the binlog file where the event starts. */
  position: number;
  /** Whether after images can contain JSON diffs against the documents of the before image (PARTIAL_UPDATE_ROWS). */
  partialJson: boolean;
}
