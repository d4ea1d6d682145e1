import type { Coordinates } from '../../model/coordinates.ts';
import type { GtidSet } from '../../model/gtid-set.ts';
import type { Key } from '../../model/key-range.ts';
import type { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';

/** What the stream has processed: every transaction of `gtids`, and everything before `coordinates`. */
export interface Processed {
  gtids: GtidSet | MariadbGtidPosition | undefined;
  coordinates: Coordinates;
}

/** A point that no transaction of a view lies behind: coordinates of the source, or a set of transactions. */
export type HighWatermark = { coordinates: Coordinates } | { gtids: GtidSet | MariadbGtidPosition };

/** The length and sequence number before each packet. */
export const PACKET_HEADER_LENGTH = 4;

/** Row packets of the binary protocol, each with its header, in the order of the key. */
export interface RowChunk {
  count: number;
  bytes: Buffer;
  /** The end of each packet. Its payload begins `PACKET_HEADER_LENGTH` bytes after the end of the packet before it. */
  ends: Uint32Array;
  /**
   * Where the next chunk begins. With a condition it is the last key that was looked at, so a chunk without rows can
   * have one. Undefined if nothing was looked at.
   */
  lastKey: Key | undefined;
  /** Whether the range has no more rows. */
  isLast: boolean;
  elapsedMs: number;
  high: HighWatermark;
}
