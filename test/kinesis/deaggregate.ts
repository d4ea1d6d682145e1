import { createRequire } from 'node:module';

/** A user record of an aggregated record. */
export interface UserRecord {
  data: Buffer;
  partitionKey: string;
  explicitHashKey: string | undefined;
}

interface AggUserRecord {
  data: string;
  partitionKey: string;
  explicitPartitionKey?: string;
}

type DeaggregateSync = (
  record: { data: string; partitionKey: string; sequenceNumber: string; kinesisSchemaVersion: string },
  computeChecksums: boolean,
  done: (error: Error | null, records: AggUserRecord[]) => void,
) => void;

const { deaggregateSync } = createRequire(import.meta.url)('aws-kinesis-agg') as { deaggregateSync: DeaggregateSync };

/** The user records of a record, as the library of AWS for consumers reads them; the record itself if it has none. */
export function deaggregate(data: Buffer): UserRecord[] {
  const record = { data: data.toString('base64'), partitionKey: 'p', sequenceNumber: '1', kinesisSchemaVersion: '1.0' };
  let read: UserRecord[] = [];
  deaggregateSync(record, true, (error, records) => {
    if (error) throw error;
    read = records.map((user) => ({
      data: Buffer.from(user.data, 'base64'),
      partitionKey: user.partitionKey,
      explicitHashKey: user.explicitPartitionKey,
    }));
  });
  return read;
}
