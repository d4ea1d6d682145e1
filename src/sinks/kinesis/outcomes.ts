import type { PutRecordsCommandOutput } from '@aws-sdk/client-kinesis';
import type { PutResult } from '../aws/outcomes.ts';

/** The result of each record of a call with a response. */
export const putResults = ({ Records }: PutRecordsCommandOutput): PutResult[] | undefined =>
  Records?.map(({ SequenceNumber, ErrorCode, ErrorMessage }) => ({
    id: SequenceNumber,
    code: ErrorCode,
    message: ErrorMessage,
  }));
