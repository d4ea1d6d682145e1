import { type KinesisClient, ListShardsCommand, type Shard } from '@aws-sdk/client-kinesis';
import { hashKeyBytes } from './partition-key.ts';

const LIST_TIMEOUT_MS = 5_000;
/** A reshard is noticed within this time, unless throttling shows it earlier. */
const REFRESH_MS = 60_000;
const REFRESH_URGENT_MS = 1_000;

interface OpenShard {
  id: string;
  /** The lowest hash key, as 16 bytes. */
  start: Buffer;
}

/** The open shards of a stream: where each hash key goes. It asks again by itself, when it is used. */
export class ShardMap {
  readonly #client: KinesisClient;
  readonly #stream: string;
  readonly #onChange: (open: ReadonlySet<string>) => void;
  #open: OpenShard[] = [];
  #listing: Promise<void> | undefined;
  #listedAt = Number.NEGATIVE_INFINITY;
  #isSuspect = false;

  constructor(client: KinesisClient, stream: string, onChange: (open: ReadonlySet<string>) => void = () => {}) {
    this.#client = client;
    this.#stream = stream;
    this.#onChange = onChange;
  }

  /** Asks for the shards. Without an answer they stay as they are: the policy need not allow ListShards. */
  refresh(): Promise<void> {
    this.#listing ??= listOpenShards(this.#client, this.#stream)
      .then(
        (shards) => {
          this.#open = sortShards(shards);
          this.#isSuspect = false;
          this.#onChange(new Set(this.#open.map(({ id }) => id)));
        },
        () => {},
      )
      .finally(() => {
        this.#listing = undefined;
        this.#listedAt = performance.now();
      });
    return this.#listing;
  }

  /** The shard that takes a hash key; undefined while the shards are not known. */
  shardOf(hashKey: Buffer): string | undefined {
    const age = performance.now() - this.#listedAt;
    const isUrgent = this.#isSuspect || this.#open.length === 0;
    if (age > (isUrgent ? REFRESH_URGENT_MS : REFRESH_MS)) void this.refresh();
    let low = 0;
    let high = this.#open.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Buffer.compare((this.#open[middle] as OpenShard).start, hashKey) <= 0) low = middle + 1;
      else high = middle;
    }
    return this.#open[low - 1]?.id;
  }

  /** A shard throttles within its quota, as it does after a merge. */
  suspect(): void {
    this.#isSuspect = true;
  }
}

const sortShards = (shards: readonly Shard[]): OpenShard[] =>
  shards
    .map(({ ShardId = '', HashKeyRange }) => ({
      id: ShardId,
      start: hashKeyBytes(HashKeyRange?.StartingHashKey ?? '0'),
    }))
    .sort((a, b) => Buffer.compare(a.start, b.start));

/** The shards that take records, those of which a child has taken over left out. */
export async function listOpenShards(client: KinesisClient, stream: string): Promise<Shard[]> {
  const abortSignal = AbortSignal.timeout(LIST_TIMEOUT_MS);
  const shards: Shard[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListShardsCommand(
        token === undefined ? { StreamName: stream, ShardFilter: { Type: 'AT_LATEST' } } : { NextToken: token },
      ),
      { abortSignal },
    );
    shards.push(...(page.Shards ?? []));
    token = page.NextToken;
  } while (token !== undefined);
  // A local Kinesis has no filter.
  return shards.filter(({ SequenceNumberRange }) => !SequenceNumberRange?.EndingSequenceNumber);
}
