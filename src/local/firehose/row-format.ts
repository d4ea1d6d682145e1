import { deaggregate, type PartitionQuery, partitionOf } from './partition.ts';

/**
 * How a destination other than plain S3 makes rows of records. Its tables are not here, so the lake gets the rows, a
 * line of JSON each.
 */
export interface RowFormat {
  /** What one document is: a whole record, or each line of it. */
  documents: 'record' | 'line';
  /** The column that gets the whole document. Default: each key of the document is a column. */
  column?: string;
  /** Finds the database and the table of a document, for a destination that has several. */
  route?: PartitionQuery;
  /** `!{firehose:error-output-type}` and `errorCode` of a document that is no row. */
  errorType: string;
  errorCode: string;
}

export type DestinationRow =
  | { line: Buffer; keys: ReadonlyMap<string, string> | undefined }
  | { document: Buffer; failure: { code: string; message: string } };

const NEWLINES = /[\r\n]+/g;

export function rowsOf(record: Buffer, format: RowFormat): DestinationRow[] {
  const documents = format.documents === 'record' ? [record] : deaggregate(record, Number.POSITIVE_INFINITY)!;
  return documents.map((document) => rowOf(document, format));
}

function rowOf(document: Buffer, { column, route, errorCode }: RowFormat): DestinationRow {
  const fail = (message: string): DestinationRow => ({ document, failure: { code: errorCode, message } });
  // JSON has no newline within a text, so this changes no value.
  const text = document.toString('utf8').trim().replace(NEWLINES, ' ');
  if (!isObject(text)) return fail('The record must be one JSON object');
  const table = route && partitionOf(document, route);
  if (table && 'failure' in table) return fail(table.failure);
  const line = column === undefined ? text : `{${JSON.stringify(column)}:${text}}`;
  return { line: Buffer.from(`${line}\n`), keys: table?.keys };
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
