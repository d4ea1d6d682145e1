import type { SinkLimits } from '../sink.ts';

/**
 * What delivery hands over at once. Kafka has no limit of records. A record beyond these bytes never goes out; below
 * them the topic's `max.message.bytes` decides, which is 1 MiB unless the topic says more.
 */
export const KAFKA_LIMITS: SinkLimits = {
  maxRecords: 20_000,
  maxRecordBytes: 16 * 1024 * 1024,
  maxRequestBytes: 16 * 1024 * 1024,
};

/** Bytes of a batch before compression: below the `max.message.bytes` that a topic has by default (1,048,588). */
export const BATCH_BYTES = 1_000_000;
/** Bytes of the batches in one Produce request: below `socket.request.max.bytes` of a broker (100 MiB). */
export const REQUEST_BYTES = 16_000_000;
/** Requests to one broker that are not answered. It works on one after the other. */
/** A broker that has not answered a request for so long is named as what events wait for. */
export const SILENT_AFTER_MS = 2_000;
export const BROKER_REQUESTS_MAX = 5;

/** Without an answer in this time a connection is closed, unless the sink's own timeout is near. */
export const REQUEST_TIMEOUT_MS = 30_000;
/** Another broker is asked for metadata if one has not answered in this time. */
export const ANSWER_PATIENCE_MS = 5_000;
/** Attempts that have time before the sink gives up. */
export const ATTEMPTS_MIN = 4;
export const BROKER_CONNECT_TIMEOUT_MS = 10_000;

/** Bounds of the wait before the same bytes are sent again. */
export const BATCH_RETRY_BASE_MS = 20;
export const BATCH_RETRY_MAX_MS = 1_000;
/** Bounds of the wait until metadata are asked for again, longer after each failure. */
export const REFRESH_RETRY_BASE_MS = 100;
export const REFRESH_RETRY_MAX_MS = 1_000;
/** How old metadata can be until they are asked for again, so that new partitions are seen. */
export const METADATA_MAX_AGE_MS = 300_000;
/** How long a broker can say that a topic is missing which others have: a new topic is not known everywhere at once. */
export const TOPIC_GRACE_MS = 3_000;
