import { ListShardsCommand } from '@aws-sdk/client-kinesis';
import { type Random, seededRandom } from '../../src/local/demo/random.ts';
import { deaggregate } from '../kinesis/deaggregate.ts';
import type { KinesisFault, LoggedPut } from '../kinesis/fault-proxy.ts';
import { startLocalKinesis } from '../kinesis/local-kinesis.ts';
import { readStream } from '../kinesis/read-stream.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import type { StoredEvent } from './event-log.ts';
import { type CallFaults, kinesisFaults, kinesisRejection, someRecordsFail } from './kinesis-faults.ts';
import { SCHEMA } from './tables.ts';
import type { TransportOptions, TransportUnderTest } from './transport-under-test.ts';

const STREAM = 'changes';
const SHARDS = 4;
/** Merged down to half of `SHARDS` and split up to twice as many. */
const SHARDS_MAX = 8;
/**
 * An answer of PutRecords can be 500 outcomes, and the fault proxy and kinesalite share the machine with the daemon: it
 * has not always read an answer that was forwarded a moment before a cut.
 */
const SETTLE_MS = 1_000;
/** The share of fault plans that begin with a reshard. */
const RESHARD_CHANCE = 0.4;

/**
 * The local Kinesis, with faults of calls and reshards. Its proxy reports each call, and its log is read back.
 * @param aggregates whether the daemon sends many events in a record
 */
export async function startKinesisUnderTest(
  options: TransportOptions,
  aggregates: boolean,
): Promise<TransportUnderTest> {
  const { routed, onCall, onFault } = options;
  const streams = [STREAM, ...routed];
  let calls = 0;
  let storedByCalls = 0;
  const onPut = ({ at: arrivedAt, fault, answered, records }: LoggedPut): void => {
    const data = records.map((record) => ({ ...record, data: eventsOf(record.data) }));
    for (const record of data) if (record.stored) storedByCalls += linesOf(record.data).length;
    const at = new Date(arrivedAt).toISOString();
    onCall({ call: ++calls, at, fault: faultName(fault), answered, records: data });
  };
  const kinesis = await startLocalKinesis(undefined, { onPut });
  for (const stream of streams) await kinesis.createStream(stream, SHARDS);
  const link = await TcpProxy.listen(Number(new URL(kinesis.endpoint).port), { settleMs: SETTLE_MS });
  const routes = routed.map((table) => `"${SCHEMA}.${table}": ${table}`).join(', ');
  const parents = new Map<string, string[]>();
  const read = new Map(streams.map((stream) => [stream, new Map<string, string>()]));

  const setFaults = (faults: CallFaults | undefined, random: Random): void => {
    const each = seededRandom(random.below(2 ** 31));
    kinesis.setFault(faults && (() => faults(each)));
  };

  async function readNew(): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    for (const stream of streams) {
      const records = await readStream(kinesis.client, stream, read.get(stream));
      // After the records: a shard that is listed now has parents that are listed too.
      const { Shards = [] } = await kinesis.client.send(new ListShardsCommand({ StreamName: stream }));
      for (const { ShardId, ParentShardId, AdjacentParentShardId } of Shards) {
        const known = [ParentShardId, AdjacentParentShardId].filter((id) => id !== undefined);
        parents.set(
          `${stream}/${ShardId}`,
          known.map((id) => `${stream}/${id}`),
        );
      }
      for (const { shardId, sequenceNumber: offset, partitionKey: key, data } of records) {
        const partition = `${stream}/${shardId}`;
        for (const line of linesOf(eventsOf(data))) events.push({ partition, key, line, offset, at: 0 });
      }
    }
    return events;
  }

  /** Splits a shard in the middle, or merges two neighbours. */
  async function reshard(random: Random): Promise<void> {
    const stream = random.pick(streams);
    const open = await kinesis.openShards(stream);
    const { Shards = [] } = await kinesis.client.send(new ListShardsCommand({ StreamName: stream }));
    const ranges = Shards.filter(({ ShardId = '' }) => open.includes(ShardId))
      .map(({ ShardId = '', HashKeyRange }) => ({ id: ShardId, from: BigInt(HashKeyRange?.StartingHashKey ?? 0) }))
      .sort((a, b) => (a.from < b.from ? -1 : 1));
    const grows = ranges.length < SHARDS / 2 || (ranges.length < SHARDS_MAX && random.chance(0.5));
    const at = random.below(ranges.length - (grows ? 0 : 1));
    const [shard, neighbour] = [ranges[at]?.id ?? '', ranges[at + 1]?.id ?? ''];
    onFault(grows ? 'split' : 'merge');
    if (grows) await kinesis.split(stream, shard);
    else await kinesis.merge(stream, shard, neighbour);
  }

  return {
    configuration: `kinesis:
  stream: ${STREAM}
  endpoint: "http://127.0.0.1:${link.port}"
  linger: 2ms${aggregates ? '\n  aggregate: { max_events: 6, max_bytes: 8KiB }' : ''}${routes && `\n  routes: { ${routes} }`}
`,
    link,
    lostAnswers: link.lostAnswers,
    log: {
      keyPerRow: !aggregates,
      isOnlyWitness: false,
      readNew,
      parentsOf: (partition) => parents.get(partition) ?? [],
      get storedByCalls() {
        return storedByCalls;
      },
    },
    async injectFaults(random) {
      setFaults(kinesisFaults(random), random);
      if (random.chance(RESHARD_CHANCE)) await reshard(random);
    },
    async rejectEverything(random) {
      kinesis.setFault(kinesisRejection(random));
    },
    failSomeRecords(random) {
      setFaults(someRecordsFail, random);
    },
    async endFaults() {
      kinesis.setFault(undefined);
    },
    async clear() {
      // It keeps its records in memory.
      for (const stream of streams) {
        await kinesis.deleteStream(stream);
        await kinesis.createStream(stream, SHARDS);
        read.get(stream)?.clear();
      }
    },
    async close() {
      await link.close();
      await kinesis.close();
    },
  };
}

/** The lines of a record, aggregated or not. */
function eventsOf(data: Buffer): Buffer {
  const isAggregated = data.readUInt32BE(0) === 0xf3899ac2;
  return isAggregated ? Buffer.concat(deaggregate(data).map((user) => user.data)) : data;
}

const linesOf = (data: Buffer): string[] => data.toString().split('\n').slice(0, -1);

function faultName(fault: KinesisFault | undefined): string | null {
  if (fault === undefined) return null;
  if (typeof fault === 'string') return fault;
  return 'slowMs' in fault ? 'slow' : (Object.keys(fault)[0] ?? null);
}
