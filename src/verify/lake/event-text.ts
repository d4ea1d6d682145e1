import { type EventFormatName, EventScanner } from '../../lake/event-scanner.ts';
import { formatRawObject, parseRawObject } from '../../runtime/raw-json.ts';

/** The row and the key that are in the line of an event, as JSON text. */
export interface EventText {
  /** The members of the row's object, without its braces. */
  row: string;
  /** The object that has the key columns among its members. */
  key: string;
}

/** Reads lines that were scanned before. */
export class EventReader {
  readonly #scanner: EventScanner;

  constructor(format: EventFormatName, flatPrefix: string) {
    this.#scanner = new EventScanner(format, flatPrefix);
  }

  /** Undefined if the line has changed since it was scanned. */
  read(line: Buffer): EventText | undefined {
    const scanner = this.#scanner;
    if (scanner.scan(line, 0, line.length) !== undefined) return undefined;
    const { rowFrom, rowTo, keyFrom, keyTo } = scanner;
    const key = line.toString('utf8', keyFrom, keyTo);
    return { row: line.toString('utf8', rowFrom, rowTo), key: key.endsWith('}') ? key : `${key}}` };
  }
}

/** Column name to the raw JSON text of its value, from the members of a row's object. */
export const parseMembers = (members: string): Map<string, string> => parseRawObject(`{${members}}`);

/** The key columns alone, of an object that has them among its members. */
export function keyMembers(text: string, columns: readonly string[]): string {
  const members = parseRawObject(text);
  return formatRawObject(columns.map((name) => [name, members.get(name) ?? 'null'] as const));
}
