/**
 * What distinguishes a binlog from another one with the same file names and GTIDs, as a reset or a restore makes it:
 * when its file was created, and the last event before a position. A resume compares it with what the server has there.
 */
export interface BinlogFingerprint {
  /** The timestamp of the file's FORMAT_DESCRIPTION event, in seconds. A dump sends it from any position. */
  created: number;
  /** Where the last event of the last transaction starts; 0 if the file has no transaction before the position. */
  position: number;
  /** The digest of that event. */
  digest: number;
  /** The GTID of the last transaction, whichever file it is in; empty if it has none. */
  gtid: string;
  /** When that transaction was first committed, in microseconds: the same on every replica. 0 if unknown. */
  committed: number;
}
