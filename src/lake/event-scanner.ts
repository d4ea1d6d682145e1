import { FLAT_FIELDS } from '../model/flat-fields.ts';
import { SEQ_LENGTH } from '../model/seq.ts';
import { INVALID, MemberCursor, spanEquals } from './json-scan.ts';

export type EventFormatName = 'debezium' | 'flat' | 'maxwell';

/** What an event says of its row: it is there, it is gone, or the whole table is empty. */
export const Op = { row: 1, gone: 2, emptied: 3 } as const;

const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
const LETTER_U = 0x75;

const name = (text: string): Buffer => Buffer.from(text);
const NAMES = {
  op: name('op'),
  before: name('before'),
  after: name('after'),
  key: name('key'),
  seq: name('seq'),
  partial: name('partial'),
  source: name('source'),
  name: name('name'),
  db: name('db'),
  table: name('table'),
  database: name('database'),
  type: name('type'),
  data: name('data'),
};
const TRUE = name('true');
const UPDATE = name('"update"');

/**
 * Finds in the line of one event what verify needs of it: where its parts are, in the bytes of the line. The fields are
 * of the last line, so that no object is made for a line.
 */
export class EventScanner {
  op = 0;
  /** Whether the row is that of an update. */
  isUpdate = false;
  partial = false;
  /** The 36 hex digits. */
  seqFrom = 0;
  /** The names as raw JSON strings, with their quotes. */
  schemaFrom = 0;
  schemaTo = 0;
  tableFrom = 0;
  tableTo = 0;
  /** The name of the pipeline, likewise; both 0 in the formats that do not have it. */
  pipelineFrom = 0;
  pipelineTo = 0;
  /** The object that has the key columns: the key itself, or the row. Both 0 if there is none. */
  keyFrom = 0;
  keyTo = 0;
  /** The members of the row's object, without its braces and metadata. */
  rowFrom = 0;
  rowTo = 0;
  readonly #format: EventFormatName;
  readonly #cursor = new MemberCursor();
  readonly #inner = new MemberCursor();
  /** The metadata fields of format flat. */
  readonly #meta: Record<'op' | 'seq' | 'db' | 'table' | 'partial', Buffer>;
  readonly #metaPrefix: Buffer;
  readonly #metaNames: readonly Buffer[];

  constructor(format: EventFormatName, flatPrefix: string) {
    this.#format = format;
    const meta = (field: string): Buffer => Buffer.from(flatPrefix + field);
    this.#meta = { op: meta('op'), seq: meta('seq'), db: meta('db'), table: meta('table'), partial: meta('partial') };
    this.#metaPrefix = Buffer.from(flatPrefix);
    this.#metaNames = FLAT_FIELDS.map(meta);
  }

  /** Reads the line `bytes[from..to)`, without its line end. Returns why it is not an event; undefined if it is one. */
  scan(bytes: Buffer, from: number, to: number): string | undefined {
    this.op = 0;
    this.isUpdate = false;
    this.partial = false;
    this.seqFrom = this.schemaTo = this.tableTo = this.pipelineTo = 0;
    this.keyFrom = this.keyTo = this.rowFrom = this.rowTo = 0;
    if (bytes[from] !== OPEN_OBJECT) return 'it is not JSON';
    this.#cursor.open(bytes, from, to);
    if (this.#format === 'debezium') this.#scanDebezium(bytes, to);
    else if (this.#format === 'flat') this.#scanFlat(bytes, from);
    else this.#scanMaxwell(bytes);
    const { end } = this.#cursor;
    if (end === INVALID) return 'it is not JSON';
    if (end !== to) return 'something follows the JSON';
    if (this.op === 0 || this.seqFrom === 0 || this.schemaTo === 0 || this.tableTo === 0) {
      return `it is no event of format ${this.#format}`;
    }
    if (!isSeq(bytes, this.seqFrom)) return 'its seq is none of cdc';
    if (this.op === Op.row && this.rowTo === 0) return 'it has no row';
    return undefined;
  }

  #scanDebezium(bytes: Buffer, to: number): void {
    const cursor = this.#cursor;
    while (cursor.next()) {
      const { nameFrom, nameTo, valueFrom, valueTo } = cursor;
      switch (nameTo - nameFrom) {
        case 2:
          if (cursor.nameIs(NAMES.op)) this.#setOp(bytes, valueFrom, valueTo);
          break;
        case 3:
          if (cursor.nameIs(NAMES.seq)) this.#setSeq(bytes, valueFrom, valueTo);
          else if (cursor.nameIs(NAMES.key) && bytes[valueFrom] === OPEN_OBJECT) {
            this.keyFrom = valueFrom;
            this.keyTo = valueTo;
          }
          break;
        case 5:
          if (cursor.nameIs(NAMES.after) && bytes[valueFrom] === OPEN_OBJECT) this.#setRow(valueFrom, valueTo);
          break;
        case 6:
          if (cursor.nameIs(NAMES.source)) this.#scanSource(bytes, valueFrom, to);
          break;
        case 7:
          if (cursor.nameIs(NAMES.partial)) this.partial = spanEquals(bytes, valueFrom, valueTo, TRUE);
          break;
      }
    }
  }

  #scanSource(bytes: Buffer, from: number, to: number): void {
    const cursor = this.#inner;
    cursor.open(bytes, from, to);
    while (cursor.next()) {
      if (cursor.nameIs(NAMES.name)) {
        this.pipelineFrom = cursor.valueFrom;
        this.pipelineTo = cursor.valueTo;
      } else if (cursor.nameIs(NAMES.db)) this.#setSchema(bytes, cursor.valueFrom, cursor.valueTo);
      else if (cursor.nameIs(NAMES.table)) {
        this.#setTable(bytes, cursor.valueFrom, cursor.valueTo);
        return;
      }
    }
  }

  #scanFlat(bytes: Buffer, from: number): void {
    const cursor = this.#cursor;
    const meta = this.#meta;
    let rowTo = from + 1;
    while (cursor.next()) {
      const { nameFrom, nameTo, valueFrom, valueTo } = cursor;
      if (!this.#isMeta(bytes, nameFrom, nameTo)) {
        rowTo = valueTo;
        continue;
      }
      if (cursor.nameIs(meta.op)) this.#setOp(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(meta.seq)) this.#setSeq(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(meta.db)) this.#setSchema(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(meta.table)) this.#setTable(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(meta.partial)) this.partial = spanEquals(bytes, valueFrom, valueTo, TRUE);
    }
    this.keyFrom = from;
    this.rowFrom = from + 1;
    this.rowTo = this.keyTo = rowTo;
  }

  #scanMaxwell(bytes: Buffer): void {
    const cursor = this.#cursor;
    while (cursor.next()) {
      const { valueFrom, valueTo } = cursor;
      if (cursor.nameIs(NAMES.database)) this.#setSchema(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(NAMES.table)) this.#setTable(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(NAMES.type)) {
        this.op = opOfType(bytes, valueFrom, valueTo);
        this.isUpdate = spanEquals(bytes, valueFrom, valueTo, UPDATE);
      } else if (cursor.nameIs(NAMES.seq)) this.#setSeq(bytes, valueFrom, valueTo);
      else if (cursor.nameIs(NAMES.partial)) this.partial = spanEquals(bytes, valueFrom, valueTo, TRUE);
      else if (cursor.nameIs(NAMES.data) && bytes[valueFrom] === OPEN_OBJECT) {
        this.#setRow(valueFrom, valueTo);
        this.keyFrom = valueFrom;
        this.keyTo = valueTo;
      }
    }
  }

  #setOp(bytes: Buffer, from: number, to: number): void {
    this.op = opOfLetter(bytes, from, to);
    this.isUpdate = bytes[from + 1] === LETTER_U;
  }

  #setRow(from: number, to: number): void {
    this.rowFrom = from + 1;
    this.rowTo = to - 1;
  }

  #setSeq(bytes: Buffer, from: number, to: number): void {
    if (bytes[from] === QUOTE && to - from === SEQ_LENGTH + 2) this.seqFrom = from + 1;
  }

  #setSchema(bytes: Buffer, from: number, to: number): void {
    if (bytes[from] !== QUOTE) return;
    this.schemaFrom = from;
    this.schemaTo = to;
  }

  #setTable(bytes: Buffer, from: number, to: number): void {
    if (bytes[from] !== QUOTE) return;
    this.tableFrom = from;
    this.tableTo = to;
  }

  #isMeta(bytes: Buffer, from: number, to: number): boolean {
    const prefix = this.#metaPrefix;
    if (to - from <= prefix.length) return false;
    for (let i = 0; i < prefix.length; i++) if (bytes[from + i] !== prefix[i]) return false;
    return this.#metaNames.some((field) => spanEquals(bytes, from, to, field));
  }
}

function opOfLetter(bytes: Buffer, from: number, to: number): number {
  if (to - from !== 3 || bytes[from] !== QUOTE) return 0;
  switch (String.fromCharCode(bytes[from + 1] as number)) {
    case 'c':
    case 'u':
    case 'r':
      return Op.row;
    case 'd':
      return Op.gone;
    case 't':
      return Op.emptied;
    default:
      return 0;
  }
}

const TYPES: readonly (readonly [Buffer, number])[] = [
  [name('"insert"'), Op.row],
  [name('"update"'), Op.row],
  [name('"bootstrap-insert"'), Op.row],
  [name('"delete"'), Op.gone],
  [name('"table-truncate"'), Op.emptied],
];

const opOfType = (bytes: Buffer, from: number, to: number): number =>
  TYPES.find(([text]) => spanEquals(bytes, from, to, text))?.[1] ?? 0;

function isSeq(bytes: Buffer, from: number): boolean {
  for (let i = 0; i < SEQ_LENGTH; i++) {
    const byte = bytes[from + i] as number;
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return false;
  }
  return true;
}
