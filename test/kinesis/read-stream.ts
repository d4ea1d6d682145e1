import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis';

/** A record of a stream, as a consumer reads it. */
export interface ReadRecord {
  shardId: string;
  sequenceNumber: string;
  partitionKey: string;
  data: Buffer;
}

/**
 * Reads a whole stream as a consumer does: every shard from its beginning to the end that it has now, and a parent
 * before its children, so that the records of a key are in the order in which they were stored.
 * @param read the last sequence number that was read of each shard; moved on to those of this call
 */
export async function readStream(
  client: KinesisClient,
  stream: string,
  read: Map<string, string> = new Map(),
): Promise<ReadRecord[]> {
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: stream }));
  const left = new Map(Shards.map((shard) => [shard.ShardId ?? '', shard]));
  const records: ReadRecord[] = [];
  while (left.size > 0) {
    const next = [...left.values()].find(
      ({ ParentShardId, AdjacentParentShardId }) =>
        !left.has(ParentShardId ?? '') && !left.has(AdjacentParentShardId ?? ''),
    );
    const shardId = next?.ShardId ?? '';
    if (!left.delete(shardId)) throw new Error('the shards form a circle');
    const those = await readShard(client, stream, shardId, read.get(shardId));
    for (const record of those) records.push(record);
    const last = those.at(-1);
    if (last !== undefined) read.set(shardId, last.sequenceNumber);
  }
  return records;
}

async function readShard(
  client: KinesisClient,
  stream: string,
  shardId: string,
  after: string | undefined,
): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  let { ShardIterator: iterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: stream,
      ShardId: shardId,
      ...(after === undefined
        ? { ShardIteratorType: 'TRIM_HORIZON' }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: after }),
    }),
  );
  while (iterator !== undefined) {
    const page = await client.send(new GetRecordsCommand({ ShardIterator: iterator }));
    for (const { SequenceNumber = '', PartitionKey = '', Data = new Uint8Array() } of page.Records ?? []) {
      records.push({ shardId, sequenceNumber: SequenceNumber, partitionKey: PartitionKey, data: Buffer.from(Data) });
    }
    const isAtEnd = (page.Records ?? []).length === 0 && page.MillisBehindLatest === 0;
    iterator = isAtEnd ? undefined : page.NextShardIterator;
  }
  return records;
}
