import { GtidSet } from '../../model/gtid-set.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import { CdcError } from '../../runtime/error.ts';
import type { ByteCursor } from './byte-cursor.ts';

export interface Gtid {
  /** `uuid`, `uuid:tag`, or MariaDB's `domain-server`. */
  gtidSource: string;
  gtidNumber: number;
  /** The text form. */
  text: string;
  /** Commit time on this server in milliseconds; 0 where the event has none. */
  committedAt: number;
  /** Commit time on the server where the transaction began, in microseconds; 0 where the event has none. */
  originalCommit: number;
}

/** Formats 16 bytes as a dashed UUID. Keeps the last one, because nearly all GTIDs of a stream share it. */
class UuidFormatter {
  #last: Buffer = Buffer.alloc(0);
  #text = '';

  format(bytes: Buffer): string {
    if (!this.#last.equals(bytes)) {
      this.#last = Buffer.from(bytes);
      this.#text = bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    }
    return this.#text;
  }
}

const uuids = new UuidFormatter();

/** Bit 55 of the immediate commit timestamp: the original commit timestamp follows. */
const HAS_ORIGINAL = 2 ** 55;

/** GTID_LOG_EVENT (MySQL: control_events.h, Gtid_event): flags, uuid, number, logical clock, commit times. */
export function readGtid(cursor: ByteCursor): Gtid {
  cursor.skip(1);
  const gtidSource = uuids.format(cursor.slice(16));
  const gtidNumber = cursor.u64('the transaction number');
  let committedAt = 0;
  let originalCommit = 0;
  if (cursor.remaining >= 17 + 7) {
    cursor.skip(17);
    const micros = cursor.u56();
    const hasOriginal = micros >= HAS_ORIGINAL;
    const immediate = hasOriginal ? micros - HAS_ORIGINAL : micros;
    committedAt = Math.floor(immediate / 1000);
    originalCommit = hasOriginal ? cursor.u56() : immediate;
  }
  return { gtidSource, gtidNumber, text: `${gtidSource}:${gtidNumber}`, committedAt, originalCommit };
}

/** An integer of MySQL's serialization library: the trailing one-bits of its first byte count the bytes that follow. */
function varint(cursor: ByteCursor): bigint {
  const first = cursor.u8();
  let extra = 0;
  while (extra < 8 && ((first >> extra) & 1) === 1) extra++;
  let rest = 0n;
  for (let i = 0; i < extra; i++) rest |= BigInt(cursor.u8()) << BigInt(8 * i);
  return extra === 8 ? rest : BigInt(first >> (extra + 1)) | (rest << BigInt(7 - extra));
}

const signed = (value: bigint): bigint => (value & 1n ? -(value >> 1n) - 1n : value >> 1n);

/**
 * GTID_TAGGED_LOG_EVENT (MySQL 8.3+; control_events.h, Gtid_event::define_fields): fields in the order of their ids.
 */
export function readTaggedGtid(cursor: ByteCursor): Gtid {
  const version = varint(cursor);
  if (version !== 1n) throw new CdcError(`a tagged GTID event has the unknown serialization version ${version}`);
  varint(cursor); // encoded size
  varint(cursor); // last field that cannot be ignored
  const uuid = Buffer.alloc(16);
  let number = 0n;
  let tag = '';
  let immediate = 0n;
  let original: bigint | undefined;
  while (cursor.remaining > 0) {
    const id = varint(cursor);
    if (id === 1n) for (let i = 0; i < 16; i++) uuid[i] = Number(varint(cursor));
    else if (id === 2n) number = signed(varint(cursor));
    else if (id === 3n) tag = cursor.text(Number(varint(cursor)));
    else if (id === 6n) immediate = varint(cursor);
    else if (id === 7n) original = varint(cursor);
    else if (id < 6n) varint(cursor);
    else break;
  }
  if (number < 1n || number > BigInt(Number.MAX_SAFE_INTEGER))
    throw new CdcError(`the transaction number ${number} is out of range`);
  const name = uuids.format(uuid);
  const gtidSource = tag === '' ? name : `${name}:${tag}`;
  const committedAt = Number(immediate / 1000n);
  // The field is left out where both times are the same.
  const originalCommit = Number(original ?? immediate);
  return { gtidSource, gtidNumber: Number(number), text: `${gtidSource}:${number}`, committedAt, originalCommit };
}

/** Flags of MariaDB's GTID event (sql/log_event.h, class Gtid_log_event: FL_STANDALONE and so on). */
const STANDALONE = 0x01;
const GROUP_COMMIT_ID = 0x02;
const PREPARED_XA = 0x40;
const COMPLETED_XA = 0x80;
/** Its second byte of flags: FL_START_ALTER_E1 and FL_ROLLBACK_ALTER_E1. */
const UNDECIDED_ALTER = 0x02 | 0x08;

export interface MariadbGtid extends Gtid {
  /** The transaction is one statement, without a COMMIT. */
  standalone: boolean;
  /** The transaction ends with XA PREPARE. */
  preparesXa: boolean;
  /** An ALTER that has begun and can still fail, or has failed (binlog_alter_two_phase): nothing has changed. */
  isUndecidedAlter: boolean;
}

/** MariaDB's GTID event (code 162): sequence number, domain and flags. The server id is in the common header. */
export function readMariadbGtid(cursor: ByteCursor, serverId: number): MariadbGtid {
  const gtidNumber = cursor.u64('the sequence number');
  const gtidSource = `${cursor.u32()}-${serverId}`;
  const flags = cursor.u8();
  if ((flags & GROUP_COMMIT_ID) !== 0) cursor.skip(8);
  if ((flags & (PREPARED_XA | COMPLETED_XA)) !== 0) {
    cursor.skip(4);
    cursor.skip(cursor.u8() + cursor.u8());
  }
  const moreFlags = cursor.remaining > 0 ? cursor.u8() : 0;
  return {
    gtidSource,
    gtidNumber,
    text: `${gtidSource}-${gtidNumber}`,
    committedAt: 0,
    originalCommit: 0,
    standalone: (flags & STANDALONE) !== 0,
    preparesXa: (flags & PREPARED_XA) !== 0,
    isUndecidedAlter: (moreFlags & UNDECIDED_ALTER) !== 0,
  };
}

/**
 * PREVIOUS_GTIDS_LOG_EVENT: the encoded set of all transactions before this file. Since 8.3 the top byte of the count
 * is a format, and format 1 has a tag after each UUID (MySQL: rpl_gtid_set.cc, Gtid_set::encode).
 */
export function readPreviousGtids(cursor: ByteCursor): GtidSet {
  const set = new GtidSet();
  const head = cursor.slice(8).readBigUInt64LE();
  const format = head >> 56n;
  if (format > 1n) throw new CdcError(`a GTID set has the unknown encoding format ${format}`);
  const tagged = format === 1n;
  for (let left = Number(tagged ? (head >> 8n) & 0xffffffffffffn : head); left > 0; left--) {
    const uuid = uuids.format(cursor.slice(16));
    const tag = tagged ? cursor.text(Number(varint(cursor))) : '';
    for (let intervals = cursor.u64('the number of intervals'); intervals > 0; intervals--) {
      const first = cursor.u64('the transaction number');
      set.addRange(tag === '' ? uuid : `${uuid}:${tag}`, first, cursor.u64('the transaction number') - 1);
    }
  }
  return set;
}

/** MariaDB's GTID_LIST event (code 163): the last GTID of each domain and server. The last entry of a domain counts. */
export function readGtidList(cursor: ByteCursor): MariadbGtidPosition {
  const position = new MariadbGtidPosition();
  for (let left = cursor.u32() & 0x0fffffff; left > 0; left--) {
    position.advance(cursor.u32(), cursor.u32(), cursor.u64('the sequence number'));
  }
  return position;
}
