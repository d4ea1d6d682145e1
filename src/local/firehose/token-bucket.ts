/** What a stream may take in a second; Firehose has all three limits. */
export interface QuotaLimits {
  records_per_second?: number | undefined;
  requests_per_second?: number | undefined;
  bytes_per_second?: number | undefined;
  over: 'slots' | 'call';
}

export interface TokenBucket {
  /** Takes what fits from the stream's quota: says which records do not, or that the call as a whole does not. */
  take(stream: string, records: readonly Buffer[]): 'call' | ReadonlySet<number>;
}

/** What is left, refilled every second; `at` in milliseconds. */
interface Buckets {
  records: number;
  requests: number;
  bytes: number;
  at: number;
}

/**
 * Token buckets, each of one second. Anything passes while something is left, and may overdraw: so a record larger
 * than the quota of a second gets through at last, and the rate holds over time.
 */
export function createTokenBucket(limits: QuotaLimits, now: () => number): TokenBucket {
  const buckets = new Map<string, Buckets>();
  const most = {
    records: limits.records_per_second ?? Number.POSITIVE_INFINITY,
    requests: limits.requests_per_second ?? Number.POSITIVE_INFINITY,
    bytes: limits.bytes_per_second ?? Number.POSITIVE_INFINITY,
  };
  const refill = (left: number, rate: number, seconds: number): number =>
    rate === Number.POSITIVE_INFINITY ? rate : Math.min(rate, left + rate * seconds);

  return {
    take(stream, records) {
      const at = now();
      const bucket = buckets.get(stream) ?? { ...most, at };
      buckets.set(stream, bucket);
      const seconds = (at - bucket.at) / 1000;
      bucket.at = at;
      bucket.records = refill(bucket.records, most.records, seconds);
      bucket.requests = refill(bucket.requests, most.requests, seconds);
      bucket.bytes = refill(bucket.bytes, most.bytes, seconds);

      const passes = () => bucket.records > 0 && bucket.bytes > 0;
      if (bucket.requests <= 0 || (limits.over === 'call' && !passes())) return 'call';
      bucket.requests--;
      const over = new Set<number>();
      for (const [index, { length }] of records.entries()) {
        if (limits.over === 'slots' && !passes()) {
          over.add(index);
          continue;
        }
        bucket.records--;
        bucket.bytes -= length;
      }
      return over;
    },
  };
}
