/** test/unit/delivery/limits.test.ts tests how these limits relate; docs/LIMITS.md states their values. */

/** Event bytes that delivery buffers. Above it the source pauses, below `RESUME_SHARE` of it the source resumes. */
export const BUDGET_BYTES = 64 * 1024 * 1024;
export const RESUME_SHARE = 0.5;
/** An open transaction beyond this share of the budget is sent before its COMMIT is read. */
export const OPEN_TRANSACTION_SHARE = 0.25;
/** Budgets that transactions past the watermark can take, settled or not: a restart repeats at most that much. */
export const BUDGETS_PAST_WATERMARK_MAX = 4;
/** Transactions past the watermark, however small: each takes about 340 bytes of memory. */
export const TRANSACTIONS_PAST_WATERMARK_MAX = 400_000;

/** Lanes of one stream. A power of two: a hash picks the lane by its low bits. */
export const LANES = 64;
/** Bytes of one chunk of a lane, at most and at least. A larger event gets a chunk of its own size. */
export const CHUNK_BYTES = 64 * 1024;
export const CHUNK_BYTES_MIN = 2 * 1024;
/** Bytes of free chunks that the pool keeps. */
export const FREE_BYTES_MAX = 16 * 1024 * 1024;

/** Requests of one stream in flight. */
export const REQUESTS_IN_FLIGHT = 4;
/** How long to wait where this process may not send. */
export const FORBIDDEN_DELAY_MS = 100;
/** Sendable bytes that are sent before the linger time ends. They fill about half of a record. */
export const FLUSH_BYTES = 500_000;

/** How long nothing that was sent is accepted until a stream counts as not accepting. */
export const NOT_ACCEPTING_AFTER_MS = 3_000;
/** Lanes that the status names of a stream. */
export const STUCK_LANES_SHOWN = 20;

/** Bounds of the delay before a lane is sent again; it doubles with each attempt, with full jitter. */
export const RETRY_BASE_MS = 100;
export const RETRY_CAP_MS = 10_000;
/** Failed attempts after which the events of a lane are isolated to find the one that blocks it. */
export const ISOLATE_AFTER_ATTEMPTS = 6;
/** Events of a lane that are isolated at most: the default number of events in one record. */
export const ISOLATION_EVENTS_MAX = 500;
/** Dead letters in a row without an accepted record. After that the stream is the cause, not the events. */
export const CONSECUTIVE_REJECTIONS_MAX = 20;
