/** The limits of a stream per second. Firehose has all three. */
export interface QuotaLimits {
  records_per_second?: number | undefined;
  requests_per_second?: number | undefined;
  bytes_per_second?: number | undefined;
  over: 'slots' | 'call';
}

export interface TokenBucket {
  /**
   * Charges the records that fit the stream's quota. Returns the indexes of the others, or `call` to reject the call.
   */
  take(stream: string, records: readonly Buffer[]): 'call' | ReadonlySet<number>;
}

/** The remaining tokens of one stream. */
interface RemainingTokens {
  records: number;
  requests: number;
  bytes: number;
  refilledAtMs: number;
}

/**
 * Token buckets that each hold the quota of one second. A request or record passes while any token is left, and can
 * overdraw the bucket. So a record larger than the quota of a second passes too, and the rate still holds over time.
 */
export function createTokenBucket(limits: QuotaLimits, now: () => number): TokenBucket {
  const buckets = new Map<string, RemainingTokens>();
  const capacity = {
    records: limits.records_per_second ?? Number.POSITIVE_INFINITY,
    requests: limits.requests_per_second ?? Number.POSITIVE_INFINITY,
    bytes: limits.bytes_per_second ?? Number.POSITIVE_INFINITY,
  };
  const refill = (remaining: number, rate: number, seconds: number): number =>
    rate === Number.POSITIVE_INFINITY ? rate : Math.min(rate, remaining + rate * seconds);

  return {
    take(stream, records) {
      const nowMs = now();
      const bucket = buckets.get(stream) ?? { ...capacity, refilledAtMs: nowMs };
      buckets.set(stream, bucket);
      const seconds = (nowMs - bucket.refilledAtMs) / 1000;
      bucket.refilledAtMs = nowMs;
      bucket.records = refill(bucket.records, capacity.records, seconds);
      bucket.requests = refill(bucket.requests, capacity.requests, seconds);
      bucket.bytes = refill(bucket.bytes, capacity.bytes, seconds);

      const passes = () => bucket.records > 0 && bucket.bytes > 0;
      if (bucket.requests <= 0 || (limits.over === 'call' && !passes())) return 'call';
      bucket.requests--;
      const rejected = new Set<number>();
      for (const [index, { length }] of records.entries()) {
        if (limits.over === 'slots' && !passes()) {
          rejected.add(index);
          continue;
        }
        bucket.records--;
        bucket.bytes -= length;
      }
      return rejected;
    },
  };
}
