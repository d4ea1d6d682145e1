import { parseSeq } from '../../model/seq.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import { formatRawObject, parseRawObject } from '../../runtime/raw-json.ts';
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
  ['table-truncate', 't'],
]);

/**
 * Parses a finished line of an `EventWriter`. It reads the whole line, so it is for dead letters and log messages only.
 * @param keyColumns the key columns of the table, for the formats whose events do not name them
 */
export function parseEvent(
  line: Buffer,
  format: EventFormatOptions['format'],
  keyColumns: readonly string[],
  flatPrefix: string,
): ParsedEvent {
  const event = parseRawObject(line.toString());
  if (format === 'debezium') {
    const source = parseRawObject(raw(event, 'source'));
    const key = raw(event, 'key');
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
      key: keyOf(parseRawObject(raw(event, 'data')), keyColumns),
      seq: text(event, 'seq'),
      op,
      position: text(event, 'position'),
      gtid: event.has('gtid') ? text(event, 'gtid') : null,
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

function keyOf(row: ReadonlyMap<string, string>, columns: readonly string[]): string | null {
  const members = columns.filter((name) => row.has(name)).map((name) => [name, raw(row, name)] as const);
  return members.length === 0 ? null : formatRawObject(members);
}

function raw(object: ReadonlyMap<string, string>, name: string): string {
  const value = object.get(name);
  if (value === undefined) throw notAnEvent(`it has no ${name}`);
  return value;
}

const text = (object: ReadonlyMap<string, string>, name: string): string => JSON.parse(raw(object, name));

const notAnEvent = (why: string): CdcError => new CdcError('a line is not a change event of this format', { why });
