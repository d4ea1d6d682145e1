import { parseSeq } from '../../model/seq.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { CdcError } from '../../runtime/error.ts';
import { formatRawObject, parseRawObject } from '../../runtime/raw-json.ts';
import type { EventFormatOptions } from './event-format.ts';

/** What a finished event line says of itself, whatever its format. */
export interface ParsedEvent {
  /** `shop.orders`, as a pattern of `tables` names it. */
  table: string;
  /** The key columns as the JSON text that the event has of them, digit for digit; null where it has none. */
  key: string | null;
  seq: string;
  op: 'c' | 'u' | 'd' | 'r' | 't';
  /** `binlog.000012:1234`; `*.000012:1234` in format flat, whose events do not name the binlog. */
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
 * Reads a line that an `EventWriter` has finished. For the few events that are set aside: it goes over the whole line.
 * @param keyColumns the key columns of its table, for the formats whose events do not say which they are
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
    if (op === undefined) throw notAnEvent(`its type is ${type}`);
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
  const place = parseSeq(seq);
  if (place === undefined) throw notAnEvent(`its seq is ${seq}`);
  return {
    table: formatTableName(text(event, `${flatPrefix}db`), text(event, `${flatPrefix}table`)),
    key: keyOf(event, keyColumns),
    seq,
    op: text(event, `${flatPrefix}op`) as ParsedEvent['op'],
    position: `*.${String(place.file).padStart(6, '0')}:${place.position}`,
    gtid: null,
  };
}

function keyOf(row: ReadonlyMap<string, string>, columns: readonly string[]): string | null {
  const found = columns.filter((name) => row.has(name)).map((name) => [name, raw(row, name)] as const);
  return found.length === 0 ? null : formatRawObject(found);
}

function raw(from: ReadonlyMap<string, string>, name: string): string {
  const value = from.get(name);
  if (value === undefined) throw notAnEvent(`it has no ${name}`);
  return value;
}

const text = (from: ReadonlyMap<string, string>, name: string): string => JSON.parse(raw(from, name));

const notAnEvent = (why: string): CdcError => new CdcError('a line is not a change event of this format', { why });
