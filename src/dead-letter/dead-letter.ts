import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { CdcError } from '../runtime/error.ts';
import { parseRawSpans, unescapeJson } from '../runtime/raw-json.ts';

/** An event that was moved to the dead letters, and why. */
export interface DeadLetter {
  /** The stream that rejected the event, or would have received it. */
  stream: string;
  /** `shop.orders`, in the form of a pattern of `tables`. */
  table: string;
  /** The key as JSON text, digit for digit. It is null if the event has no key. */
  key: string | null;
  /** The id of the dead letter within its pipeline. */
  seq: string;
  position: string;
  gtid: string | null;
  op: string;
  reason: string;
  /** Failed attempts to send it. */
  attempts: number;
  /** The line of the event, byte for byte as it would have been sent. */
  event: Buffer;
}

/** A dead letter in the store. */
export interface StoredDeadLetter extends DeadLetter {
  /** When the event was moved to the dead letters, in ISO 8601. */
  at: string;
}

const VERSION = 1;

const fileSchema = z.strictObject({
  version: z.literal(VERSION),
  pipeline: z.string(),
  at: z.iso.datetime(),
  stream: z.string(),
  table: z.string(),
  key: z.string().nullable(),
  seq: z.string(),
  position: z.string(),
  gtid: z.string().nullable(),
  op: z.string(),
  reason: z.string(),
  attempts: z.int().min(0),
  event: z.string().min(1),
});

/** Bytes of an event that become a string at once: a whole event can be too long for one. */
export const PIECE_BYTES = 4 * 1024 * 1024;

/** The content of the file of a dead letter: JSON, with the line and the key as strings. In pieces, of any length. */
export function serializeDeadLetter(pipeline: string, letter: StoredDeadLetter): Iterable<string> {
  const { at, stream, table, key, seq, position, gtid, op, reason, attempts, event } = letter;
  // A JSON string would change other bytes.
  if (!isUtf8(event)) throw new CdcError(`the event ${seq} of ${table} is not UTF-8`);
  const head: Omit<z.input<typeof fileSchema>, 'event'> = {
    version: VERSION,
    ...{ pipeline, at, stream, table, key, seq, position, gtid, op, reason, attempts },
  };
  return jsonWithEvent(head, event);
}

/** A JSON object with these members and, as its last one, the event as a string. */
export function* jsonWithEvent(head: object, event: Buffer): Generator<string> {
  yield `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "event": "`;
  for (let at = 0; at < event.length; ) {
    let end = Math.min(event.length, at + PIECE_BYTES);
    // A character is not cut.
    while (end < event.length && ((event[end] as number) & 0xc0) === 0x80) end--;
    yield JSON.stringify(event.toString('utf8', at, end)).slice(1, -1);
    at = end;
  }
  yield '"\n}\n';
}

/** @throws Error with the reason why the content is not the dead letter `seq` of the pipeline */
export function parseDeadLetter(content: Buffer, pipeline: string, seq: string): StoredDeadLetter {
  const isLarge = content.length > LARGE_FILE_BYTES;
  const { fields, event } = isLarge
    ? parseLarge(content)
    : { fields: JSON.parse(content.toString()), event: undefined };
  const parsed = fileSchema.safeParse(fields);
  if (!parsed.success) {
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
  const { version: _, pipeline: owner, event: text, ...letter } = parsed.data;
  if (owner !== pipeline) throw new Error(`it belongs to the pipeline "${owner}"`);
  if (letter.seq !== seq) throw new Error(`it contains the event ${letter.seq}`);
  return { ...letter, event: event ?? Buffer.from(text) };
}

/** A file beyond this is not read as one string. */
export const LARGE_FILE_BYTES = 64 * 1024 * 1024;

/** The fields of a file, with a placeholder for the event, and the event. */
function parseLarge(content: Buffer): { fields: unknown; event: Buffer } {
  const spans = parseRawSpans(content, { from: 0, to: content.length });
  const span = spans.get('event');
  if (span === undefined || content[span.from] !== 0x22) throw new Error('event: it is no string');
  const members = [...spans].map(([name, { from, to }]) => {
    if (name !== 'event' && to - from > LARGE_FILE_BYTES) throw new Error(`${name}: it is too long`);
    return [name, name === 'event' ? 'in the file' : JSON.parse(content.toString('utf8', from, to))] as const;
  });
  return { fields: Object.fromEntries(members), event: unescapeJson(content, span) };
}
