import { setTimeout as sleep } from 'node:timers/promises';
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  type Shard,
} from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { userRecords } from './aggregated-records.ts';

/** A data stream that is the source of a local delivery stream. */
export interface KinesisSource {
  endpoint: string;
  stream: string;
}

const POLL_MS = 200;
const RETRY_MS = 1_000;
/** A local Kinesis checks no signature. */
const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };

/** How far a shard is read. */
interface ShardReader {
  shard: Shard;
  iterator: string | undefined;
  /** The last record that is stored. */
  sequenceNumber: string | undefined;
  isAtEnd: boolean;
}

/**
 * Reads a data stream from its beginning and stores its records, as a delivery stream with a Kinesis source does, until
 * the signal aborts. There is no checkpoint: the next start reads everything that the stream still has again.
 * @param store resolves when the records are durable
 */
export async function readKinesisSource(
  { endpoint, stream }: KinesisSource,
  store: (records: Buffer[]) => Promise<void>,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = new KinesisClient({
    ...{ endpoint, region: 'us-east-1', credentials: CREDENTIALS },
    requestHandler: new NodeHttpHandler(),
  });
  const readers = new Map<string, ShardReader>();
  let lastProblem: string | undefined;
  while (!signal.aborted) {
    try {
      await addShards(client, stream, readers, signal);
      const open = [...readers.values()].filter(({ isAtEnd, shard }) => !isAtEnd && parentsAreRead(shard, readers));
      for (const reader of open) await readPage(client, stream, reader, store, signal);
      lastProblem = undefined;
      await sleep(POLL_MS, undefined, { signal });
    } catch (error) {
      if (signal.aborted) break;
      // Iterators expire.
      for (const reader of readers.values()) reader.iterator = undefined;
      const { name, message } = error as Error;
      const problem = `cannot read the Kinesis stream ${stream} at ${endpoint}: ${name}: ${message}`;
      if (problem !== lastProblem) log(problem);
      lastProblem = problem;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
  client.destroy();
}

async function addShards(
  client: KinesisClient,
  stream: string,
  readers: Map<string, ShardReader>,
  abortSignal: AbortSignal,
): Promise<void> {
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: stream }), { abortSignal });
  for (const shard of Shards) {
    const { ShardId: id = '' } = shard;
    if (!readers.has(id)) readers.set(id, { shard, iterator: undefined, sequenceNumber: undefined, isAtEnd: false });
  }
}

/** A child continues its parents: only then is the order of a key kept. */
const parentsAreRead = (shard: Shard, readers: ReadonlyMap<string, ShardReader>): boolean =>
  [shard.ParentShardId, shard.AdjacentParentShardId].every((id) => readers.get(id ?? '')?.isAtEnd ?? true);

async function readPage(
  client: KinesisClient,
  stream: string,
  reader: ShardReader,
  store: (records: Buffer[]) => Promise<void>,
  abortSignal: AbortSignal,
): Promise<void> {
  reader.iterator ??= await iteratorOf(client, stream, reader, abortSignal);
  const page = await client.send(new GetRecordsCommand({ ShardIterator: reader.iterator }), { abortSignal });
  const records = page.Records ?? [];
  if (records.length > 0) {
    await store(records.flatMap(({ Data = new Uint8Array() }) => userRecords(Buffer.from(Data))));
    reader.sequenceNumber = records.at(-1)?.SequenceNumber;
  }
  reader.iterator = page.NextShardIterator;
  reader.isAtEnd = page.NextShardIterator === undefined;
}

async function iteratorOf(
  client: KinesisClient,
  stream: string,
  { shard, sequenceNumber }: ShardReader,
  abortSignal: AbortSignal,
): Promise<string | undefined> {
  const command = new GetShardIteratorCommand({
    StreamName: stream,
    ShardId: shard.ShardId,
    ...(sequenceNumber === undefined
      ? { ShardIteratorType: 'TRIM_HORIZON' }
      : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: sequenceNumber }),
  });
  return (await client.send(command, { abortSignal })).ShardIterator;
}
