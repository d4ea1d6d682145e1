import { createHash } from 'node:crypto';

const MAGIC = Buffer.from([0xf3, 0x89, 0x9a, 0xc2]);
const DIGEST_BYTES = 16;
/** Protobuf: fields of bytes, by number and wire type. */
const RECORDS = 0x1a;
const DATA = 0x1a;

/**
 * The user records of a record of Kinesis, as the Kinesis Producer Library aggregates them; a record that it has not
 * aggregated is its own. Firehose takes records of its source apart like this.
 */
export function userRecords(record: Buffer): Buffer[] {
  if (record.length < MAGIC.length + DIGEST_BYTES || !record.subarray(0, MAGIC.length).equals(MAGIC)) return [record];
  const message = record.subarray(MAGIC.length, -DIGEST_BYTES);
  const digest = createHash('md5').update(message).digest();
  if (!digest.equals(record.subarray(-DIGEST_BYTES))) return [record];
  return fields(message, RECORDS).flatMap((user) => fields(user, DATA));
}

/** The values of a field of bytes, in order. Other fields are skipped. */
function fields(message: Buffer, wanted: number): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const value = varint();
    const isBytes = (tag & 7) === 2;
    if (!isBytes) continue;
    if (tag === wanted) found.push(message.subarray(at, at + value));
    at += value;
  }
  return found;
}
