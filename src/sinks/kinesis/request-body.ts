import { type RecordEntry, recordsBody } from '../../aws/records-body.ts';
import type { RecordBuffers } from '../sink.ts';

/** A record as Kinesis takes it. */
export interface PutEntry {
  data: RecordBuffers;
  partitionKey: string;
  /** The hash key, in decimal digits, in place of that of the partition key. */
  explicitHashKey?: string;
}

/** The body of a PutRecords (API reference, PutRecords), in `target` if that is large enough. */
export const putRecordsBody = (stream: string, entries: readonly PutEntry[], target: Buffer): Buffer =>
  recordsBody(`"StreamName":${JSON.stringify(stream)}`, entries.map(recordEntry), target);

function recordEntry({ data, partitionKey, explicitHashKey }: PutEntry): RecordEntry {
  const key = `"PartitionKey":${JSON.stringify(partitionKey)}`;
  return {
    buffers: data,
    members: explicitHashKey === undefined ? key : `${key},"ExplicitHashKey":"${explicitHashKey}"`,
  };
}
