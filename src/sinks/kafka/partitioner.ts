const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** The hash of Java's client (Utils.murmur2 in Kafka), a signed int32. */
export function murmur2(data: Buffer): number {
  const { length } = data;
  let h = SEED ^ length;
  const whole = length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(data.readInt32LE(at), M);
    k = Math.imul(k ^ (k >>> 24), M);
    h = Math.imul(h, M) ^ k;
  }
  const rest = length - whole;
  if (rest > 2) h ^= (data[whole + 2] as number) << 16;
  if (rest > 1) h ^= (data[whole + 1] as number) << 8;
  if (rest > 0) h = Math.imul(h ^ (data[whole] as number), M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
}

/** The partition that Java's default partitioner chooses for a key, so that keys meet those of other producers. */
export const partitionOfKey = (key: Buffer, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions;

/**
 * The partition of messages without a key. Java's partitioner spreads them; one partition keeps the order of a table
 * without a key. It is another one for each topic, so that such tables do not share a broker.
 */
export const partitionWithoutKey = (topic: string, partitions: number): number =>
  partitionOfKey(Buffer.from(topic), partitions);
