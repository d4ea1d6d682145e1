import { crc32 } from 'node:zlib';
import type { RowsEvent, Transaction } from '../../../../src/model/rows-event.ts';
import {
  BinlogDecoder,
  type BinlogHandler,
  type DecoderOptions,
} from '../../../../src/source/binlog/binlog-decoder.ts';
import { EventType as E } from '../../../../src/source/binlog/event-type.ts';

/** Bytes of binlog events, put together as a server writes them. */

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
  /** Where the header says that the event ends; 0 for nothing. */
  stated?: number;
  flags?: number;
  checksum?: boolean;
}

export function event({ type, body, stated = 0, flags = 0, checksum = true }: EventParts): Buffer {
  const size = 19 + body.length + (checksum ? 4 : 0);
  const bytes = Buffer.concat([
    u32(1_700_000_000),
    Buffer.of(type),
    u32(7),
    u32(size),
    u32(stated),
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

/** Its own last byte in front of the checksum says whether the events behind it carry one. */
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

/** A table of one INT column, with names as FULL metadata has them. */
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

/** Inserted rows of that table. */
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

/** A TRANSACTION_PAYLOAD body, its fields as the server orders them. */
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

/** A zstd frame of these blocks: `raw` bytes, or a byte that is `repeated`. */
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

/** What a reader told, as text; a table is its name. */
export class Told implements BinlogHandler<string> {
  readonly said: string[] = [];
  readonly transactions: Transaction[] = [];
  readonly positions: number[] = [];
  readonly ordinals: number[] = [];
  captured = (_schema: string, table: string): boolean => table !== 'other';

  isCaptured(schema: string, table: string): boolean {
    return this.captured(schema, table);
  }
  tableMap({ name }: { name: string }): string {
    this.said.push(`table ${name}`);
    return name;
  }
  ddl(): void {}
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
    this.said.push(`${op} ${table} ${values} in ${name.slice(-2)}`);
  }
  truncate(schema: string, table: string): void {
    this.said.push(`truncate ${schema}.${table}`);
  }
  commit(transaction: Transaction): void {
    this.transactions.push(transaction);
    this.said.push(`commit ${transaction.gtid.slice(-2)}`);
  }
  rollback(): void {
    this.said.push('rollback');
  }
  savepoint(name: string): void {
    this.said.push(`savepoint ${name}`);
  }
  rollbackTo(name: string): void {
    this.said.push(`rollback to ${name}`);
  }
  xaPrepared({ gtid: name }: Transaction): void {
    this.said.push(`prepared ${name.slice(-2)}`);
  }
  previousGtids(): void {}
  heartbeat({ file, position }: { file: string; position: number }): void {
    this.said.push(`idle ${file}:${position}`);
  }
}

/** A reader at the begin of binlog.000001, and what it told. */
export class Stream {
  readonly told = new Told();
  readonly reader: BinlogDecoder<string>;
  #position = 4;

  constructor(options: DecoderOptions<string> = {}) {
    this.reader = new BinlogDecoder<string>(this.told, (bytes) => bytes.toString(), true, options);
    this.read(rotate('binlog.000001'), format(true));
  }

  /** Reads events one after the other, each to its end. */
  read(...events: EventParts[]): this {
    for (const parts of events) this.bytes(event({ ...parts, ...this.#place(parts) }));
    return this;
  }

  /** Reads the bytes of an event, some others around it. */
  bytes(bytes: Buffer): this {
    const among = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('behind')]);
    for (const _ of this.reader.read(among, 6, 6 + bytes.length) ?? []) {
      // Each step tells by itself.
    }
    // What is kept must have been copied.
    among.fill(0xee);
    return this;
  }

  /** Where a server would say that the event ends. */
  #place(parts: EventParts): { stated: number } {
    if (parts.stated !== undefined || ((parts.flags ?? 0) & 0x20) !== 0) return { stated: parts.stated ?? 0 };
    this.#position += 19 + parts.body.length + (parts.checksum === false ? 0 : 4);
    return { stated: this.#position };
  }
}
