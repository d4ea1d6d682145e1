/** The limits of a backfill; docs/LIMITS.md states those that an operator can notice. */

/** Rows of the first chunk of a table, and of any chunk at most. */
export const FIRST_CHUNK_ROWS = 2_000;
export const CHUNK_ROWS_MAX = 200_000;
/** Bytes of one chunk. It ends with the row that exceeds them, so it has one row at least. */
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024;
/** A chunk grows at most this much over the one before it. */
export const CHUNK_GROWTH_MAX = 4;

/** How long rows are merged into the stream at a time, milliseconds. The stream has its turn in between. */
export const SLICE_MS = 4;
/** Rows that are merged between two looks at the clock. */
export const SLICE_CHECK_ROWS = 64;

/**
 * Bytes of rows that wait in delivery: what was delivered in the last second, within these bounds. More would only make
 * the events of the stream wait behind them.
 */
export const WAITING_BYTES_MIN = 2 * 1024 * 1024;
export const WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** How often it is asked whether reading can go on. */
export const GATE_POLL_MS = 5;
/** How often the lag of a replica is read. */
export const REPLICA_LAG_POLL_MS = 5_000;

/** A window that takes longer than this to close is given up, and its chunk is read again later. */
export const WINDOW_TIMEOUT_MS = 600_000;
/** Times that a table without an index for its key is read again from its start. */
export const WHOLE_READS_MAX = 3;
/** A connection without work is closed after this time. */
export const IDLE_CONNECTION_MS = 10_000;
/** Finished tables that the status still shows. */
export const FINISHED_TABLES_MAX = 20_000;

/** Times that rows of a repair are read, of which the last one is with the stream paused. */
export const REPAIR_TRIES = 5;
/** Bytes of the rows that one SELECT of a repair reads, and of the keys in its condition. More keys are divided. */
export const REPAIR_ROWS_MAX_BYTES = 1024 * 1024;
export const REPAIR_KEYS_MAX_BYTES = 256 * 1024;
/** Keys that are read while the stream is paused once. */
export const REPAIR_KEYS_PER_PAUSE = 20;
