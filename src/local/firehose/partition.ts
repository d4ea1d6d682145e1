import { invalidArgument } from './aws-error.ts';

/**
 * Dynamic partitioning: computes the partition of an event. The local Firehose supports the part of JQ that
 * partitioning by table needs: one object whose values are paths or texts, such as
 * `{db: .source.db, table: .source.table}` or `{destinationDatabaseName: "cdc", destinationTableName: ._table}`.
 */

export type PartitionField =
  | { name: string; path: readonly (string | number)[] }
  /** The same for every event. */
  | { name: string; text: string };

export type PartitionQuery = readonly PartitionField[];

/** Firehose de-aggregates at most this many events per record. */
export const MAX_EVENTS_PER_RECORD = 500;

const KEY = /\s*(?:([A-Za-z_]\w*)|"((?:[^"\\]|\\.)*)")\s*:\s*(?=[."])/y;
const TEXT = /"((?:[^"\\]|\\["\\/])*)"/y;
const STEP = /\.([A-Za-z_]\w*)|\.?\["((?:[^"\\]|\\.)*)"\]|\."((?:[^"\\]|\\.)*)"|\.?\[(\d+)\]/y;
const SEPARATOR = /\s*([,}])\s*/y;

export function parsePartitionQuery(text: string): PartitionQuery {
  const fields: PartitionField[] = [];
  let offset = /^\s*\{/.exec(text)?.[0].length ?? -1;
  const take = (token: RegExp): RegExpExecArray | null => {
    token.lastIndex = offset;
    const match = token.exec(text);
    if (match) offset = token.lastIndex;
    return match;
  };
  const reject = (): never => {
    const where = offset < 0 ? 'it must begin with {' : `see ${JSON.stringify(text.slice(offset, offset + 20))}`;
    throw invalidArgument(
      `The local Firehose reads only objects of paths and texts as MetadataExtractionQuery, such as {db: .source.db}; ${where}`,
    );
  };
  if (offset < 0) reject();
  for (;;) {
    const key = take(KEY) ?? reject();
    const name = key[1] ?? unquote(key[2]!);
    const text = take(TEXT);
    const path: (string | number)[] = [];
    for (let step = take(STEP); step; step = take(STEP)) {
      path.push(step[4] === undefined ? (step[1] ?? unquote(step[2] ?? step[3]!)) : Number(step[4]));
    }
    if (text !== null && path.length > 0) reject();
    if (text === null && path.length === 0) reject();
    fields.push(text === null ? { name, path } : { name, text: unquote(text[1]!) });
    const separator = take(SEPARATOR) ?? reject();
    if (separator[1] === '}') break;
  }
  if (offset !== text.length) reject();
  if (fields.length > 50) throw invalidArgument('MetadataExtractionQuery cannot have more than 50 keys');
  return fields;
}

const unquote = (text: string): string => JSON.parse(`"${text}"`);

/**
 * The events of an aggregated record: its lines with their newlines, without blank lines. Undefined if there are too
 * many.
 */
export function deaggregate(record: Buffer, most = MAX_EVENTS_PER_RECORD): Buffer[] | undefined {
  const events: Buffer[] = [];
  for (let from = 0; from < record.length; ) {
    const newline = record.indexOf(10, from);
    const to = newline < 0 ? record.length : newline + 1;
    const line = record.subarray(from, to);
    if (newline < 0) events.push(Buffer.concat([line, Buffer.from('\n')]));
    else if (to - from > 1) events.push(line);
    if (events.length > most) return undefined;
    from = to;
  }
  return events;
}

export type Partition = { keys: Map<string, string> } | { failure: string };

export function partitionOf(event: Buffer, query: PartitionQuery): Partition {
  let document: unknown;
  try {
    document = JSON.parse(event.toString('utf8'));
  } catch {
    return { failure: 'Non JSON record provided' };
  }
  const keys = new Map<string, string>();
  for (const field of query) {
    const { name } = field;
    let value = 'text' in field ? field.text : document;
    for (const step of 'text' in field ? [] : field.path) {
      const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, step);
      value = inside ? (value as Record<string | number, unknown>)[step] : undefined;
    }
    if (value === undefined || value === null || value === '') {
      return { failure: 'partitionKeys values must not be null or empty' };
    }
    if (typeof value === 'object') return { failure: `partitionKeys values must be strings: ${name}` };
    keys.set(name, String(value));
  }
  return { keys };
}

/** The line that Firehose writes under the error prefix for an event that it cannot deliver. */
export function failedEvent(event: Buffer, errorCode: string, errorMessage: string, arrival: Date): Buffer {
  const time = arrival.getTime();
  const line = {
    attemptsMade: 1,
    arrivalTimestamp: time,
    errorCode,
    errorMessage,
    attemptEndingTimestamp: time,
    rawData: event.toString('base64'),
  };
  return Buffer.from(`${JSON.stringify(line)}\n`);
}
