import type { PutRecordBatchCommandOutput } from '@aws-sdk/client-firehose';
import type { PutResult } from '../aws/outcomes.ts';

/** The result of each record of a call with a response. */
export const recordResults = ({ RequestResponses }: PutRecordBatchCommandOutput): PutResult[] | undefined =>
  RequestResponses?.map(({ RecordId, ErrorCode, ErrorMessage }) => ({
    id: RecordId,
    code: ErrorCode,
    message: ErrorMessage,
  }));
