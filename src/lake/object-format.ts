/** The bytes that an object needs to show its format. */
export const FORMAT_BYTES = 10;

const latin = (text: string): Buffer => Buffer.from(text, 'latin1');

/** First bytes that no line of JSON has (the specifications of the formats). */
const FORMATS: readonly [start: Buffer, name: string][] = [
  [latin('\x1f\x8b'), 'gzip'],
  [latin('PAR1'), 'Parquet'],
  [latin('ORC'), 'ORC'],
  [latin('Obj\x01'), 'Avro'],
  [latin('\x28\xb5\x2f\xfd'), 'zstd'],
  [latin('\xff\x06\x00\x00sNaPpY'), 'Snappy'],
  [latin('\x82SNAPPY\x00'), 'Snappy'],
  [latin('BZh'), 'bzip2'],
  [latin('PK\x03\x04'), 'ZIP'],
  [latin('\xfd7zXZ\x00'), 'xz'],
];

/** What the first bytes certainly are; undefined for anything else, such as JSON. */
export const formatOf = (head: Buffer): string | undefined =>
  FORMATS.find(([start]) => head.subarray(0, start.length).equals(start))?.[1];
