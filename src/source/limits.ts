/** The limits of the source, in one place; docs/LIMITS.md states those that an operator can notice. */

/** How long a connection attempt takes at most. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** A query that stays unanswered this long ends its connection. No query of cdc takes a server that long. */
export const QUERY_TIMEOUT_MS = 20_000;

/** How often the server is asked where its binlog ends, and how long an answer can take. */
export const MONITOR_INTERVAL_MS = 2_000;
export const MONITOR_TIMEOUT_MS = 3_000;

/** A binlog connection that is silent for this many heartbeats is dead. */
export const MISSED_HEARTBEATS_MAX = 3;

/** The same before the first event: the server can be searching the start position, and MariaDB is silent meanwhile. */
export const MISSED_HEARTBEATS_MAX_AT_START = 12;

/**
 * How long the server waits for a client that reads nothing (net_write_timeout). Backpressure can pause the connection
 * for long, and the server's own default is 60 s.
 */
export const NET_WRITE_TIMEOUT_S = 3600;

/** How long zongji's second connection, which is idle during the dump, stays open (wait_timeout). */
export const WAIT_TIMEOUT_S = 31_536_000;

/** How long the steps of one event can hold the event loop at a time. */
export const EVENT_LOOP_SLICE_MS = 15;

/**
 * How long a server is given to have executed what was delivered. A transaction is in the binlog, and so at the reader,
 * before it counts as executed; and a replica that takes over can be a moment behind.
 */
export const CATCH_UP_TIMEOUT_MS = 10_000;

/** Rows of XA transactions that are neither committed nor rolled back: their raw bytes, all together. */
export const XA_BUFFER_MAX_BYTES = 128 * 1024 * 1024;

/**
 * The largest window of a zstd frame. fzstd reads match offsets of at most 26 bits, and a window is memory; zstd needs
 * more only at level 21 and above.
 */
export const ZSTD_WINDOW_MAX_BYTES = 2 ** 26 - 4;

/** COM_BINLOG_DUMP has 32 bits for the position; COM_BINLOG_DUMP_GTID has 64. */
export const DUMP_POSITION_MAX = 2 ** 32 - 1;
/**
 * Table versions that are kept with their compiled writers, and the bytes of their table maps. A version of ten columns
 * takes about 20 KB with its writer.
 */
export const TABLE_VERSIONS_MAX = 2_000;
export const TABLE_VERSIONS_MAX_BYTES = 1024 * 1024;

/** Table ids that are kept. The number of ids in one binlog file is not bounded. */
export const TABLE_IDS_MAX = 1_000;
