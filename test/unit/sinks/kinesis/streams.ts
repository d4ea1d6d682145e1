import type { SinkRecord } from '../../../../src/sinks/sink.ts';
import { deaggregate } from '../../../kinesis/deaggregate.ts';
import type { ReadRecord } from '../../../kinesis/read-stream.ts';

const TABLE = { schema: 'shop', name: 'orders', columns: [], key: [0] };

/** `{"id":KEY,"n":N}` for each key, with n from `from` to below `to`, padded to `bytes`. */
export function eventsOf(
  keys: number,
  each: number,
  { bytes = 0, from = 0, to = each } = {},
): Map<string, SinkRecord[]> {
  return new Map(
    Array.from({ length: keys }, (_, id) => [
      String(id),
      Array.from({ length: to - from }, (_, i): SinkRecord => {
        const n = from + i;
        const line = `{"id":${id},"n":${n},"pad":"`;
        const buffers = [Buffer.from(`${line}${'x'.repeat(Math.max(0, bytes - line.length - 3))}"}\n`)];
        return { buffers, events: [{ key: Buffer.from(`{"id":${id}}`), table: TABLE, op: 'c' }], lane: id % 64 };
      }),
    ]),
  );
}

/** The events of each key in the order of the stream, as their `n`; repeats of the newest included. */
export function readKeys(records: readonly ReadRecord[]): Map<string, number[]> {
  const keys = new Map<string, number[]>();
  for (const record of records) {
    for (const { data } of deaggregate(record.data)) {
      const { id, n } = JSON.parse(data.toString()) as { id: number; n: number };
      keys.set(String(id), [...(keys.get(String(id)) ?? []), n]);
    }
  }
  return keys;
}

/** What is wrong with the events of the keys: something lost, or an old event after a new one; empty if nothing is. */
export function faultsIn(read: ReadonlyMap<string, number[]>, keys: number, each: number): string[] {
  const faults: string[] = [];
  for (let id = 0; id < keys; id++) {
    const events = read.get(String(id)) ?? [];
    const missing = Array.from({ length: each }, (_, n) => n).filter((n) => !events.includes(n));
    if (missing.length > 0) faults.push(`key ${id} lacks ${missing}`);
    if (events.some((n, i) => i > 0 && n < (events[i - 1] as number))) faults.push(`key ${id} has ${events}`);
  }
  return faults;
}
