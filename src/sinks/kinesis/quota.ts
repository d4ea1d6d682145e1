/** What a shard takes per second. */
export interface ShardQuota {
  records: number;
  bytes: number;
}

/** Of each shard, on-demand streams included (Kinesis quota page). */
export const SHARD_QUOTA: ShardQuota = { records: 1_000, bytes: 1024 * 1024 };

/** How far a shard can be ahead of its quota: records that wait together go in one request. */
const BURST_MS = 250;

/** When a shard has caught up with what it was charged, in records and in bytes. */
interface Charged {
  records: number;
  bytes: number;
}

/**
 * Keeps records within the quota of their shards by spacing them. A shard can be ahead of its quota by a quarter of a
 * second, or by one larger record, so that a bucket of one second never overflows.
 */
export class ShardPacer {
  readonly #quota: ShardQuota;
  readonly #shards = new Map<string, Charged>();

  constructor(quota: ShardQuota) {
    this.#quota = quota;
  }

  /** Milliseconds until the shard takes the record; 0 charges it. */
  admit(shard: string, bytes: number, now: number): number {
    const charged = this.#shards.get(shard) ?? { records: 0, bytes: 0 };
    const cost = { records: 1_000 / this.#quota.records, bytes: (bytes * 1_000) / this.#quota.bytes };
    const wait = Math.max(readyAt(charged.records, cost.records) - now, readyAt(charged.bytes, cost.bytes) - now);
    if (wait > 0) return Math.ceil(wait);
    this.#shards.set(shard, {
      records: Math.max(charged.records, now) + cost.records,
      bytes: Math.max(charged.bytes, now) + cost.bytes,
    });
    return 0;
  }

  /** Forgets shards that are closed. */
  keep(open: ReadonlySet<string>): void {
    for (const shard of this.#shards.keys()) if (!open.has(shard)) this.#shards.delete(shard);
  }
}

const readyAt = (charged: number, cost: number): number => charged - Math.max(0, BURST_MS - cost);
