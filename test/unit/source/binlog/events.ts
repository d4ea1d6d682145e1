import { crc32 } from 'node:zlib';
import type { RowsEvent, Transaction } from '../../../../src/model/rows-event.ts';
import { BinlogDecoder, type DecoderOptions } from '../../../../src/source/binlog/binlog-decoder.ts';
import type { BinlogHandler, LoggedDdl } from '../../../../src/source/binlog/binlog-handler.ts';
import { EventType as E } from '../../../../src/source/binlog/event-type.ts';

/** Builds the bytes of binlog events as a server writes them. */

const u16 = (value: number): Buffer => Buffer.of(value & 255, value >> 8);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
export const lenenc = (value: number): Buffer =>
  value < 251
    ? Buffer.of(value)
    : value < 65536
      ? Buffer.concat([Buffer.of(0xfc), u16(value)])
      : Buffer.concat([Buffer.of(0xfd), u32(value).subarray(0, 3)]);

export interface EventParts {
  type: number;
  body: Buffer;
  /** The end position in the header; 0 if the header has none. */
  endPosition?: number;
  flags?: number;
  checksum?: boolean;
}

export function event({ type, body, endPosition = 0, flags = 0, checksum = true }: EventParts): Buffer {
  const size = 19 + body.length + (checksum ? 4 : 0);
  const bytes = Buffer.concat([
    u32(1_700_000_000),
    Buffer.of(type),
    u32(7),
    u32(size),
    u32(endPosition),
    u16(flags),
    body,
    Buffer.alloc(checksum ? 4 : 0),
  ]);
  if (checksum) bytes.writeUInt32LE(crc32(bytes.subarray(0, size - 4)), size - 4);
  return bytes;
}

export const rotate = (file: string, position = 4): EventParts => ({
  type: E.ROTATE,
  body: Buffer.concat([u64(position), Buffer.from(file)]),
  flags: 0x20,
});

/** Its last byte before the checksum says whether the events after it carry one. */
export const format = (checksums: boolean, version = '9.7.4'): EventParts => ({
  type: E.FORMAT_DESCRIPTION,
  body: Buffer.concat([
    u16(4),
    Buffer.from(version.padEnd(50, '\0')),
    u32(0),
    Buffer.of(19),
    Buffer.alloc(40),
    Buffer.of(checksums ? 1 : 0),
    ...(checksums ? [] : [Buffer.alloc(4)]),
  ]),
  checksum: checksums,
});

export const gtid = (number: number): EventParts => ({
  type: E.GTID,
  body: Buffer.concat([Buffer.of(0), Buffer.alloc(16, 0x11), u64(number), Buffer.alloc(17), Buffer.alloc(7)]),
});

export const mariadbGtid = (number: number, flags: number): EventParts => ({
  type: E.MARIADB_GTID,
  body: Buffer.concat([u64(number), u32(0), Buffer.of(flags), Buffer.alloc(6)]),
});

export const query = (sql: string, schema = 's'): EventParts => ({
  type: E.QUERY,
  body: Buffer.concat([
    u32(0),
    u32(0),
    Buffer.of(schema.length),
    u16(0),
    u16(0),
    Buffer.from(`${schema}\0`),
    Buffer.from(sql),
  ]),
});

export const xid = (): EventParts => ({ type: E.XID, body: u64(1) });

export const xaPrepare = (gtrid: string, onePhase = false): EventParts => ({
  type: E.XA_PREPARE,
  body: Buffer.concat([Buffer.of(onePhase ? 1 : 0), u32(1), u32(gtrid.length), u32(0), Buffer.from(gtrid)]),
});

/** A table of one INT column, with its name as in FULL metadata. */
export const tableMap = (id: number, table: string, schema = 's'): EventParts => ({
  type: E.TABLE_MAP,
  body: Buffer.concat([
    u32(id),
    u16(0),
    u16(1),
    Buffer.of(schema.length),
    Buffer.from(`${schema}\0`),
    Buffer.of(table.length),
    Buffer.from(`${table}\0`),
    Buffer.of(1, 3, 0, 0),
    Buffer.of(4, 3, 2),
    Buffer.from('id'),
    Buffer.of(8, 1, 0),
  ]),
});

/** Rows inserted into that table. */
export const insert = (id: number, ...values: number[]): EventParts => ({
  type: E.WRITE_ROWS,
  body: Buffer.concat([
    u32(id),
    u16(0),
    u16(1),
    u16(2),
    Buffer.of(1, 0xff),
    ...values.map((value) => Buffer.concat([Buffer.of(0), u32(value)])),
  ]),
});

/** A TRANSACTION_PAYLOAD event, its fields in the order of the server. */
export function payload(content: Buffer, size: number, compression = 0): EventParts {
  const field = (type: number, value: Buffer): Buffer => Buffer.concat([Buffer.of(type), lenenc(value.length), value]);
  return {
    type: E.TRANSACTION_PAYLOAD,
    body: Buffer.concat([
      field(2, lenenc(compression)),
      field(3, lenenc(size)),
      field(1, lenenc(content.length)),
      Buffer.of(0),
      content,
    ]),
  };
}

/** A zstd frame of these blocks: `raw` bytes, or one `repeated` byte. */
export function zstdFrame(blocks: ({ raw: Buffer } | { repeated: number; times: number })[], windowLog = 17): Buffer {
  const parts: Buffer[] = [Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3)];
  blocks.forEach((block, i) => {
    const last = i === blocks.length - 1 ? 1 : 0;
    const [type, size] = 'raw' in block ? [0, block.raw.length] : [1, block.times];
    parts.push(u32(last | (type << 1) | (size << 3)).subarray(0, 3));
    parts.push('raw' in block ? block.raw : Buffer.of(block.repeated));
  });
  return Buffer.concat(parts);
}

/** Records the calls of a decoder as text; a table is its name. */
export class RecordingHandler implements BinlogHandler<string> {
  readonly calls: string[] = [];
  readonly transactions: Transaction[] = [];
  readonly positions: number[] = [];
  readonly ordinals: number[] = [];
  captured = (_schema: string, table: string): boolean => table !== 'other';

  isCaptured(schema: string, table: string): boolean {
    return this.captured(schema, table);
  }
  tableMap({ name }: { name: string }): string {
    this.calls.push(`table ${name}`);
    return name;
  }
  isSchemaCaptured(): boolean {
    return true;
  }
  /** What `isHarmless` answers. */
  harmless: boolean | Promise<boolean> = true;
  isHarmless(): boolean | Promise<boolean> {
    return this.harmless;
  }
  ddl({ label, changes }: LoggedDdl): void {
    if (changes.length === 0) return;
    const tables = changes.map(({ effect, schema, table }) => `${effect} ${schema}.${table ?? '*'}`);
    this.calls.push(`${label}: ${tables.join(', ')}`);
  }
  rows(
    table: string,
    { op, bytes, imagesStart, end, ordinalBase, position }: RowsEvent,
    { gtid: name }: Transaction,
  ): void {
    const values: number[] = [];
    for (let next = imagesStart; next < end; next += 5) {
      values.push(bytes.readUInt32LE(next + 1));
      this.ordinals.push(next - ordinalBase);
    }
    this.positions.push(position);
    this.calls.push(`${op} ${table} ${values} in ${name.slice(-2)}`);
  }
  truncate({ schema, table }: { schema: string; table: string }): void {
    this.calls.push(`truncate ${schema}.${table}`);
  }
  commit(transaction: Transaction): void {
    this.transactions.push(transaction);
    this.calls.push(`commit ${transaction.gtid.slice(-2)}`);
  }
  rollback(): void {
    this.calls.push('rollback');
  }
  savepoint(name: string): void {
    this.calls.push(`savepoint ${name}`);
  }
  rollbackTo(name: string): void {
    this.calls.push(`rollback to ${name}`);
  }
  xaPrepared({ gtid: name }: Transaction): void {
    this.calls.push(`prepared ${name.slice(-2)}`);
  }
  previousGtids(): void {}
  fileBegins(): void {}

  heartbeat({ file, position }: { file: string; position: number }): void {
    this.calls.push(`heartbeat ${file}:${position}`);
  }
}

/** A decoder at the start of binlog.000001, and the calls that its handler received. */
export class Stream {
  readonly handler = new RecordingHandler();
  readonly decoder: BinlogDecoder<string>;
  #position = 4;

  constructor(options: DecoderOptions<string> = {}) {
    this.decoder = new BinlogDecoder<string>(this.handler, (bytes) => bytes.toString(), true, options);
    this.read(rotate('binlog.000001'), format(true));
  }

  /** Reads the events in order, each to its end. */
  read(...events: EventParts[]): this {
    for (const parts of events) this.bytes(event({ ...parts, ...this.#withPosition(parts) }));
    return this;
  }

  /** Reads the bytes of an event, with other bytes around it. */
  bytes(bytes: Buffer): this {
    const buffer = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]);
    for (const _ of this.decoder.read(buffer, 6, 6 + bytes.length) ?? []) {
      // Each step calls the handler itself.
    }
    // The decoder must have copied whatever it keeps.
    buffer.fill(0xee);
    return this;
  }

  /** The end position that a server would write. */
  #withPosition(parts: EventParts): { endPosition: number } {
    if (parts.endPosition !== undefined || ((parts.flags ?? 0) & 0x20) !== 0)
      return { endPosition: parts.endPosition ?? 0 };
    this.#position += 19 + parts.body.length + (parts.checksum === false ? 0 : 4);
    return { endPosition: this.#position };
  }
}
