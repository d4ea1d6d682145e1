import type { SinkLimits } from '../sink.ts';
import { EVENT_OVERHEAD_MAX, RECORD_OVERHEAD_MAX } from './aggregated-record.ts';
import { PARTITION_KEY_MAX_BYTES } from './partition-key.ts';

const KIB = 1024;
/** Kinesis quota page. A stream can allow records of up to 10 MiB (MaxRecordSizeInKiB); a request has as much then. */
const RECORDS_MAX = 500;
const RECORD_KIB_DEFAULT = 1024;
const REQUEST_BYTES = 5 * KIB * KIB;
const LARGE_REQUEST_BYTES = 10 * KIB * KIB;

/**
 * The limits of PutRecords for the bytes of events. The partition keys count in both sizes, and so does what
 * aggregation adds, so there is room for them.
 * @param recordKiB MaxRecordSizeInKiB of the stream; undefined if it does not say
 * @param aggregatedEvents the most events in an aggregated record; undefined without aggregation
 */
export function kinesisLimits(recordKiB: number | undefined, aggregatedEvents: number | undefined): SinkLimits {
  const recordBytes = (recordKiB ?? RECORD_KIB_DEFAULT) * KIB;
  const requestBytes = recordBytes > RECORD_KIB_DEFAULT * KIB ? LARGE_REQUEST_BYTES : REQUEST_BYTES;
  // Delivery counts the events of a whole request, so the format's part is subtracted for as many as it can have.
  const format = aggregatedEvents === undefined ? 0 : RECORD_OVERHEAD_MAX + aggregatedEvents * EVENT_OVERHEAD_MAX;
  const records = aggregatedEvents === undefined ? RECORDS_MAX : Math.min(RECORDS_MAX, AGGREGATES_MAX);
  const maxRequestBytes = requestBytes - records * (PARTITION_KEY_MAX_BYTES + format);
  return {
    maxRecords: records,
    maxRecordBytes: Math.min(recordBytes - PARTITION_KEY_MAX_BYTES - format, maxRequestBytes),
    maxRequestBytes,
  };
}

/** One for each lane. */
const AGGREGATES_MAX = 64;
