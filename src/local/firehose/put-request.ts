import { randomUUID } from 'node:crypto';
import { constraintViolation, invalidArgument, serializationError, validationError } from './aws-error.ts';
import { streamNameProblems } from './stream-options.ts';

/** What a PutRecord or PutRecordBatch asks for, checked against every limit of Firehose. */
export interface PutRequest {
  stream: string;
  records: Buffer[];
}

const MAX_RECORDS = 500;
export const MAX_RECORD_BYTES = 1_024_000;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

export type Json = Record<string, unknown>;

/** The JSON object of a request; the Data of a large one is decoded already. The body's bytes are used up. */
export function parseBody(body: Buffer): Json {
  if (body.length < EXTRACT_FROM_BYTES || body.includes(BACKSLASH)) return expectObject(parseJson(body.toString()));
  const blobs: Buffer[] = [];
  const rest = extractBlobs(body, blobs);
  return expectObject(
    parseJson(rest, (key, value) =>
      key === 'Data' && typeof value === 'string' && value.startsWith(BLOB_PLACEHOLDER)
        ? blobs[Number(value.slice(BLOB_PLACEHOLDER.length))]
        : value,
    ),
  );
}

function parseJson(text: string, reviver?: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch {
    throw serializationError('Unexpected character or end of input');
  }
}

const EXTRACT_FROM_BYTES = 32 * 1024;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const DATA = Buffer.from('"Data":"');
const BLOB_PLACEHOLDER = `cut ${randomUUID()} `;

/**
 * Nearly all of a 5.6 MB body is base64, and as strings it would be copied twice before it is decoded. So each
 * `"Data":"..."`, which can stand nowhere inside a JSON string, is decoded where it lies and cut out before the parse.
 * Only for bodies without escapes; a key written otherwise, with a space say, is left to the parse.
 */
function extractBlobs(body: Buffer, blobs: Buffer[]): string {
  let rest = '';
  let from = 0;
  for (let key = body.indexOf(DATA); key >= 0; key = body.indexOf(DATA, from)) {
    const start = key + DATA.length;
    const end = body.indexOf(QUOTE, start);
    if (end < 0) break;
    rest += `${body.toString('utf8', from, start)}${BLOB_PLACEHOLDER}${blobs.length}`;
    blobs.push(decodeInPlace(body, start, end));
    from = end;
  }
  return rest + body.toString('utf8', from);
}

/** Short-lived small strings stay in the processor's cache; must be a multiple of 4. */
const PIECE = 32 * 1024;

/** What is decoded is shorter than its base64, and so fits where that was. */
function decodeInPlace(body: Buffer, start: number, end: number): Buffer {
  const head = body.toString('latin1', start, Math.min(end, start + 200));
  let to = start;
  for (let from = start; from < end; from += PIECE) {
    const piece = body.toString('latin1', from, Math.min(end, from + PIECE));
    checkBase64(piece, head, end - start);
    const expected = decodedLength(piece);
    const length = body.write(piece, to, expected, 'base64');
    if (length !== expected || (from + PIECE < end && piece.endsWith('='))) throw notBase64(piece, head);
    to += length;
  }
  return body.subarray(start, to);
}

export function readPutRecordBatch(input: Json): PutRequest {
  const records = input.Records ?? null;
  if (records !== null && !Array.isArray(records)) {
    throw serializationError(
      typeof records === 'object' ? 'Start of structure or map found where not expected.' : 'Expected list or null',
    );
  }
  const data = (records ?? []).map((record) => expectBlob(expectObject(record).Data));
  const problems = streamNameProblems(input.DeliveryStreamName);
  if (records === null) problems.push(constraintViolation(null, 'records', 'Member must not be null'));
  else if (data.length === 0) {
    problems.push(constraintViolation('[]', 'records', 'Member must have length greater than or equal to 1'));
  } else if (data.length > MAX_RECORDS) {
    problems.push(
      constraintViolation(undefined, 'records', `Member must have length less than or equal to ${MAX_RECORDS}`),
    );
  }
  let total = 0;
  for (const [index, bytes] of data.entries()) {
    problems.push(...blobProblems(bytes, `records.${index + 1}.member.data`));
    total += bytes?.length ?? 0;
  }
  if (problems.length > 0) throw validationError(problems.slice(0, 10));
  if (total > MAX_BATCH_BYTES) throw invalidArgument('Records size exceeds 4 MB limit');
  return { stream: input.DeliveryStreamName as string, records: data as Buffer[] };
}

export function readPutRecord(input: Json): PutRequest {
  const record = input.Record ?? null;
  const problems = streamNameProblems(input.DeliveryStreamName);
  const bytes = record === null ? null : expectBlob(expectObject(record).Data);
  if (record === null) problems.push(constraintViolation(null, 'record', 'Member must not be null'));
  else problems.push(...blobProblems(bytes, 'record.data'));
  if (problems.length > 0) throw validationError(problems);
  return { stream: input.DeliveryStreamName as string, records: [bytes!] };
}

function blobProblems(bytes: Buffer | null, at: string): string[] {
  if (bytes === null) return [constraintViolation(null, at, 'Member must not be null')];
  if (bytes.length <= MAX_RECORD_BYTES) return [];
  const shown = `java.nio.HeapByteBuffer[pos=0 lim=${bytes.length} cap=${bytes.length}]`;
  return [constraintViolation(shown, at, `Member must have length less than or equal to ${MAX_RECORD_BYTES}`)];
}

function expectObject(value: unknown): Json {
  if (Array.isArray(value)) throw serializationError('Start of list found where not expected');
  if (typeof value !== 'object' || value === null) throw serializationError('Expected null');
  return value as Json;
}

function expectBlob(value: unknown): Buffer | null {
  if (value === undefined || value === null) return null;
  if (Buffer.isBuffer(value)) return value;
  if (typeof value !== 'string') {
    if (Array.isArray(value)) throw serializationError('Start of list found where not expected');
    if (typeof value === 'object') throw serializationError('Start of structure or map found where not expected.');
    const type = typeof value === 'number' ? 'java.math.BigDecimal' : 'java.lang.Boolean';
    throw serializationError(`class ${type} can not be converted to a Blob`);
  }
  checkBase64(value, value, value.length);
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== decodedLength(value)) throw notBase64(value, value);
  return bytes;
}

/**
 * Strict base64. Node's decoder skips what it does not know and knows the URL alphabet too; so a text is sound if it
 * holds no URL characters and decodes to the length that it promises.
 */
function checkBase64(text: string, head: string, length: number): void {
  if (length % 4 !== 0) {
    throw blobError(head, `Base64 encoded length is expected a multiple of 4 bytes but found: ${length}`);
  }
  if (text.includes('-') || text.includes('_')) throw notBase64(text, head);
}

const decodedLength = (text: string): number =>
  (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);

function notBase64(text: string, head: string) {
  const wrong = /[^A-Za-z0-9+/=]|=(?=[^=])/.exec(text)?.[0] ?? '=';
  return blobError(head, `Invalid Base64 character: '${wrong}'`);
}

const blobError = (head: string, why: string) =>
  serializationError(
    `'${head.length > 100 ? `${head.slice(0, 100)}...` : head}' can not be converted to a Blob: ${why}`,
  );
