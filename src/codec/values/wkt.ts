import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { doubleText } from '../bytes/number-text.ts';

const POINT = 1;
const LINESTRING = 2;
const POLYGON = 3;
const MULTIPOINT = 4;
const GEOMETRYCOLLECTION = 7;

/** By WKB type. */
const NAMES = [
  '',
  'POINT',
  'LINESTRING',
  'POLYGON',
  'MULTIPOINT',
  'MULTILINESTRING',
  'MULTIPOLYGON',
  'GEOMETRYCOLLECTION',
];

const MAX_DEPTH = 100;

const broken = (why: string): CdcError =>
  new CdcError('a GEOMETRY value is not the WKB of any known shape', {
    why,
    hint: 'format debezium carries the bytes as they are; or drop the column (columns:)',
  });

/**
 * Appends a stored geometry, `src[from..to)`, its SRID and WKB, as well-known text in the manner of JTS: `POINT (1 2)`,
 * coordinates in stored order with all their digits. WKT has no SRID: one that is not 0 stands in front as in PostGIS's
 * extended form, `SRID=4326;POINT (1 2)`.
 */
export function putWkt(out: ByteWriter, src: Buffer, from: number, to: number): void {
  if (from + 4 > to) throw broken('it is shorter than an SRID');
  const srid = src.readUInt32LE(from);
  if (srid !== 0) out.ascii(`SRID=${srid};`);
  const reader = new WkbReader(src, from + 4, to, out);
  reader.geometry(0);
  if (reader.at !== to) throw broken(`${to - reader.at} bytes are left over`);
}

class WkbReader {
  readonly src: Buffer;
  readonly end: number;
  readonly out: ByteWriter;
  at: number;

  constructor(src: Buffer, at: number, end: number, out: ByteWriter) {
    this.src = src;
    this.at = at;
    this.end = end;
    this.out = out;
  }

  geometry(depth: number): void {
    const type = this.#type();
    this.out.ascii(`${NAMES[type]} `);
    this.#body(type, depth);
  }

  #type(): number {
    this.#need(5);
    if (this.src[this.at] !== 1) throw broken('its byte order is not little-endian');
    const type = this.src.readUInt32LE(this.at + 1);
    if (type < POINT || type > GEOMETRYCOLLECTION) throw broken(`its type is ${type}`);
    this.at += 5;
    return type;
  }

  #body(type: number, depth: number): void {
    if (depth > MAX_DEPTH) throw broken(`it is nested deeper than ${MAX_DEPTH} levels`);
    if (type === POINT) {
      this.#need(16);
      this.out.byte(0x28);
      this.#coordinates();
      this.out.byte(0x29);
    } else if (type === LINESTRING) this.#list(16, () => this.#coordinates());
    else if (type === POLYGON) this.#list(4, () => this.#body(LINESTRING, depth + 1));
    else if (type === GEOMETRYCOLLECTION) this.#list(9, () => this.geometry(depth + 1));
    else {
      const member = type - MULTIPOINT + POINT;
      this.#list(9, () => {
        if (this.#type() !== member) throw broken(`a ${NAMES[type]} holds something else`);
        this.#body(member, depth + 1);
      });
    }
  }

  /** A count, then that many items of `least` bytes or more each. */
  #list(least: number, item: () => void): void {
    const { out } = this;
    this.#need(4);
    const count = this.src.readUInt32LE(this.at);
    this.at += 4;
    this.#need(count * least);
    if (count === 0) return out.ascii('EMPTY');
    out.byte(0x28);
    for (let i = 0; i < count; i++) {
      if (i > 0) out.ascii(', ');
      item();
    }
    out.byte(0x29);
  }

  #coordinates(): void {
    const { src, out } = this;
    out.ascii(`${doubleText(src.readDoubleLE(this.at))} ${doubleText(src.readDoubleLE(this.at + 8))}`);
    this.at += 16;
  }

  #need(bytes: number): void {
    if (this.at + bytes > this.end) throw broken(`${bytes} bytes wanted, ${this.end - this.at} left`);
  }
}
