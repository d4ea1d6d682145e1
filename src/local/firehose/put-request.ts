import { randomUUID } from 'node:crypto';
import { constraintViolation, invalidArgument, serializationError, validationError } from './aws-error.ts';
import { streamNameProblems } from './stream-options.ts';

/** The input of a PutRecord or PutRecordBatch, checked against every limit of Firehose. */
export interface PutRequest {
  stream: string;
  records: Buffer[];
}

const MAX_RECORDS = 500;
export const MAX_RECORD_BYTES = 1_024_000;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

export type Json = Record<string, unknown>;

/** Parses the JSON object of a request. In a large body, `Data` is decoded in place, which overwrites the body. */
export function parseBody(body: Buffer): Json {
  if (body.length < EXTRACT_BYTES_MIN || body.includes(BACKSLASH)) return expectObject(parseJson(body.toString()));
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

const EXTRACT_BYTES_MIN = 32 * 1024;
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const DATA = Buffer.from('"Data":"');
const BLOB_PLACEHOLDER = `cut ${randomUUID()} `;

/**
 * Nearly all of a 5.6 MB body is base64, and JSON.parse would copy it twice before it is decoded. So each
 * `"Data":"..."` is decoded in place and cut out before the parse. Without escapes, that text cannot occur inside a
 * JSON string. A key in another spelling, for example with a space, is left to JSON.parse.
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

/** Small strings stay in the processor's cache. Must be a multiple of 4. */
const DECODE_STEP = 32 * 1024;

/** Decodes base64 over itself, which fits because decoded bytes are shorter. */
function decodeInPlace(body: Buffer, start: number, end: number): Buffer {
  const head = body.toString('latin1', start, Math.min(end, start + 200));
  let to = start;
  for (let from = start; from < end; from += DECODE_STEP) {
    const piece = body.toString('latin1', from, Math.min(end, from + DECODE_STEP));
    checkBase64(piece, head, end - start);
    const expected = decodedLength(piece);
    const length = body.write(piece, to, expected, 'base64');
    if (length !== expected || (from + DECODE_STEP < end && piece.endsWith('='))) throw notBase64(piece, head);
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

function blobProblems(bytes: Buffer | null, field: string): string[] {
  if (bytes === null) return [constraintViolation(null, field, 'Member must not be null')];
  if (bytes.length <= MAX_RECORD_BYTES) return [];
  const shown = `java.nio.HeapByteBuffer[pos=0 lim=${bytes.length} cap=${bytes.length}]`;
  return [constraintViolation(shown, field, `Member must have length less than or equal to ${MAX_RECORD_BYTES}`)];
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
 * Checks for strict base64. Node's decoder skips unknown characters and accepts the URL alphabet. So text is valid if
 * it has no characters of the URL alphabet and, as the caller checks, decodes to the expected length.
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
