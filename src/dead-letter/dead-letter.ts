import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { CdcError } from '../runtime/error.ts';

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

/** The content of the file of a dead letter: JSON, with the line and the key as strings. */
export function serializeDeadLetter(pipeline: string, letter: StoredDeadLetter): string {
  const { at, stream, table, key, seq, position, gtid, op, reason, attempts, event } = letter;
  // A JSON string would change other bytes.
  if (!isUtf8(event)) throw new CdcError(`the event ${seq} of ${table} is not UTF-8`);
  const content: z.input<typeof fileSchema> = {
    version: VERSION,
    ...{ pipeline, at, stream, table, key, seq, position, gtid, op, reason, attempts },
    event: event.toString(),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** @throws Error with the reason why the text is not the dead letter `seq` of the pipeline */
export function parseDeadLetter(text: string, pipeline: string, seq: string): StoredDeadLetter {
  const parsed = fileSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
  const { version: _, pipeline: owner, event, ...letter } = parsed.data;
  if (owner !== pipeline) throw new Error(`it belongs to the pipeline "${owner}"`);
  if (letter.seq !== seq) throw new Error(`it contains the event ${letter.seq}`);
  return { ...letter, event: Buffer.from(event) };
}
