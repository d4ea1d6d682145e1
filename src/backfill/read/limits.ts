/** The limits of reading for a backfill, in one place. */

/** How long a statement runs at most. The server ends it, and what has arrived by then is kept. */
export const STATEMENT_TIMEOUT_MS = 10_000;

/** A connection whose server sends nothing for this long is dead. A statement is over before that. */
export const ANSWER_TIMEOUT_MS = 30_000;

/** How long a server is given to show transactions that the stream has processed. */
export const VISIBILITY_TIMEOUT_MS = 10_000;

/** The rest of a result set that is read and dropped. For a larger rest, a new connection costs less. */
export const DISCARD_MAX_BYTES = 4 * 1024 * 1024;

/** The size of a new buffer for a chunk whose size is not known. */
export const CHUNK_BUFFER_BYTES = 1024 * 1024;

/** Up to this size a buffer doubles; a larger one grows by half of it. */
export const BUFFER_DOUBLING_MAX_BYTES = 128 * 1024 * 1024;

/** The bytes of one piece of a table that is read in one view. */
export const PIECE_MAX_BYTES = 4 * 1024 * 1024;

/** How many rows a sample for a split skips, most first: a shorter range has fewer. */
export const SAMPLE_OFFSETS = [200_000, 60_000, 20_000, 6_000];

/** How often the middle of a range is moved to where its rows are. */
export const BISECTIONS_MAX = 12;

/** A range is halved only if its left half has at least this many rows. */
export const SPLIT_MIN_ROWS = 2_000;

/** An ENUM with more labels is compared by its number: the server reads the index from its start for each chunk. */
export const LISTED_MEMBERS_MAX = 256;
