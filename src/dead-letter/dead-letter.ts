import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { CdcError } from '../runtime/error.ts';

/** An event that is set aside, and why. */
export interface DeadLetter {
  /** The stream that it was meant for. */
  stream: string;
  /** `shop.orders`, as a pattern of `tables` names it. */
  table: string;
  /** The key as JSON text, digit for digit; null where the event has none. */
  key: string | null;
  /** Names the letter within its pipeline. */
  seq: string;
  position: string;
  gtid: string | null;
  op: string;
  reason: string;
  /** How often Firehose was asked to take it. */
  attempts: number;
  /** The line itself, as Firehose would have got it. */
  event: Buffer;
}

/** A letter that lies in the folder. */
export interface StoredDeadLetter extends DeadLetter {
  /** When it was set aside, in ISO 8601. */
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

/** A letter as its file holds it: JSON, with the line as a string and the key as the text that it is. */
export function serializeDeadLetter(pipeline: string, letter: StoredDeadLetter): string {
  const { at, stream, table, key, seq, position, gtid, op, reason, attempts, event } = letter;
  // Anything else would come back as other bytes.
  if (!isUtf8(event)) throw new CdcError(`the event ${seq} of ${table} is not UTF-8`);
  const content: z.input<typeof fileSchema> = {
    version: VERSION,
    ...{ pipeline, at, stream, table, key, seq, position, gtid, op, reason, attempts },
    event: event.toString(),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** @throws Error that says why the text is not the letter that `seq` names */
export function parseDeadLetter(text: string, pipeline: string, seq: string): StoredDeadLetter {
  const parsed = fileSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
  const { version: _, pipeline: owner, event, ...letter } = parsed.data;
  if (owner !== pipeline) throw new Error(`it is of the pipeline "${owner}"`);
  if (letter.seq !== seq) throw new Error(`it holds the event ${letter.seq}`);
  return { ...letter, event: Buffer.from(event) };
}
