import type { HighWatermark, Processed } from './row-chunk.ts';
import type { ReadSession } from './session.ts';

/**
 * How rows that SELECT returns are ordered against the stream. The stream can be ahead of SELECT, because a transaction
 * is in the binlog before it is visible, and SELECT can be ahead of the stream. Each kind of server has another way to
 * bound both sides.
 */
export interface Visibility {
  /** Checks once a connection, before the first read. @throws CdcError if rows of this server cannot be ordered */
  prepare(session: ReadSession): Promise<void>;
  /**
   * Returns once every SELECT sees all that was processed. With `view`, all following statements see the same state,
   * until `close`.
   */
  open(session: ReadSession, processed: Processed, view: boolean): Promise<void>;
  /** A watermark that is not before any transaction that the statements since `open` have seen. */
  high(session: ReadSession): Promise<HighWatermark>;
  /** Ends the view, if there is one. */
  close(session: ReadSession): Promise<void>;
}
