import { parseSeq } from '../../model/seq.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import { formatRawObject, type JsonSpan, parseRawSpans } from '../../runtime/raw-json.ts';
import type { EventFormatOptions } from './event-format.ts';

/** The metadata of a finished event line, in every format. */
export interface ParsedEvent {
  /** `shop.orders`, in the form of a pattern of `tables`. */
  table: string;
  /** The key columns as the JSON text in the event, digit for digit. It is null if the event has none of them. */
  key: string | null;
  seq: string;
  op: 'c' | 'u' | 'd' | 'r' | 't';
  /** `binlog.000012:1234`, or `*.000012:1234` in format flat, whose events do not contain the file name. */
  position: string;
  gtid: string | null;
}

const MAXWELL_OPS = new Map<string, ParsedEvent['op']>([
  ['insert', 'c'],
  ['update', 'u'],
  ['delete', 'd'],
  ['bootstrap-insert', 'r'],
  ['table-truncate', 't'],
]);

/** A longer key is not repeated outside of its event. */
const KEY_BYTES_MAX = 1024 * 1024;

/** Members of an object in the line. */
interface Members {
  line: Buffer;
  spans: ReadonlyMap<string, JsonSpan>;
}

const membersOf = (line: Buffer, span: JsonSpan = { from: 0, to: line.length }): Members => ({
  line,
  spans: parseRawSpans(line, span),
});

/**
 * Parses a finished line of an `EventWriter`. It reads the whole line, so it is for dead letters and log messages only.
 * The line can be too long for a string.
 * @param keyColumns the key columns of the table, for the formats whose events do not name them
 */
export function parseEvent(
  line: Buffer,
  format: EventFormatOptions['format'],
  keyColumns: readonly string[],
  flatPrefix: string,
): ParsedEvent {
  const event = membersOf(line);
  if (format === 'debezium') {
    const source = membersOf(line, span(event, 'source'));
    const { from, to } = span(event, 'key');
    const key = to - from > KEY_BYTES_MAX ? 'null' : raw(event, 'key');
    return {
      table: formatTableName(text(source, 'db'), text(source, 'table')),
      key: key === 'null' ? null : key,
      seq: text(event, 'seq'),
      op: text(event, 'op') as ParsedEvent['op'],
      position: `${text(source, 'file')}:${raw(source, 'pos')}`,
      gtid: raw(source, 'gtid') === 'null' ? null : text(source, 'gtid'),
    };
  }
  if (format === 'maxwell') {
    const type = text(event, 'type');
    const op = MAXWELL_OPS.get(type);
    if (op === undefined) throw notAnEvent(`its type ${type} is unknown`);
    return {
      table: formatTableName(text(event, 'database'), text(event, 'table')),
      key: keyOf(membersOf(line, span(event, 'data')), keyColumns),
      seq: text(event, 'seq'),
      op,
      position: text(event, 'position'),
      gtid: event.spans.has('gtid') ? text(event, 'gtid') : null,
    };
  }
  const seq = text(event, `${flatPrefix}seq`);
  const seqParts = parseSeq(seq);
  if (seqParts === undefined) throw notAnEvent(`its seq ${seq} is invalid`);
  return {
    table: formatTableName(text(event, `${flatPrefix}db`), text(event, `${flatPrefix}table`)),
    key: keyOf(event, keyColumns),
    seq,
    op: text(event, `${flatPrefix}op`) as ParsedEvent['op'],
    position: `*.${String(seqParts.file).padStart(6, '0')}:${seqParts.position}`,
    gtid: null,
  };
}

function keyOf(row: Members, columns: readonly string[]): string | null {
  const named = columns.filter((name) => row.spans.has(name));
  let bytes = 0;
  for (const name of named) bytes += span(row, name).to - span(row, name).from;
  if (named.length === 0 || bytes > KEY_BYTES_MAX) return null;
  return formatRawObject(named.map((name) => [name, raw(row, name)] as const));
}

function span({ spans }: Members, name: string): JsonSpan {
  const value = spans.get(name);
  if (value === undefined) throw notAnEvent(`it has no ${name}`);
  return value;
}

function raw(members: Members, name: string): string {
  const { from, to } = span(members, name);
  return members.line.toString('utf8', from, to);
}

const text = (members: Members, name: string): string => JSON.parse(raw(members, name));

const notAnEvent = (why: string): CdcError => new CdcError('a line is not a change event of this format', { why });
