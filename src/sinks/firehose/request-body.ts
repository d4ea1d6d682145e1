import { recordsBody } from '../../aws/records-body.ts';
import type { SinkRecord } from '../sink.ts';

/** The body of a PutRecordBatch (API reference, PutRecordBatch), in `target` if that is large enough. */
export const putRecordBatchBody = (stream: string, records: readonly SinkRecord[], target: Buffer): Buffer =>
  recordsBody(`"DeliveryStreamName":${JSON.stringify(stream)}`, records, target);
