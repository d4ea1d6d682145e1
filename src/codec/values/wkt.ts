import { CdcError } from '../../runtime/error.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { doubleText } from '../bytes/number-text.ts';

const POINT = 1;
const LINESTRING = 2;
const POLYGON = 3;
const MULTIPOINT = 4;
const GEOMETRYCOLLECTION = 7;

/** Names by WKB type. */
const SHAPE_NAMES = [
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

const invalidWkb = (why: string): CdcError =>
  new CdcError('a GEOMETRY value is not the WKB of any known shape', {
    why,
    hint: 'use format debezium, which passes the bytes through, or drop the column in `columns`',
  });

/**
 * Appends the stored geometry `src[from..to)`, an SRID and WKB, as well-known text in the style of JTS: `POINT (1 2)`.
 * The coordinates keep the stored order and all digits. WKT has no SRID, so an SRID other than 0 is a prefix as in
 * PostGIS's extended form: `SRID=4326;POINT (1 2)`.
 */
export function putWkt(out: ByteWriter, src: Buffer, from: number, to: number): void {
  if (from + 4 > to) throw invalidWkb('it is shorter than an SRID');
  const srid = src.readUInt32LE(from);
  if (srid !== 0) out.ascii(`SRID=${srid};`);
  const reader = new WkbReader(src, from + 4, to, out);
  reader.geometry(0);
  if (reader.at !== to) throw invalidWkb(`${to - reader.at} bytes follow the geometry`);
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
    this.out.ascii(`${SHAPE_NAMES[type]} `);
    this.#body(type, depth);
  }

  #type(): number {
    this.#need(5);
    if (this.src[this.at] !== 1) throw invalidWkb('its byte order is not little-endian');
    const type = this.src.readUInt32LE(this.at + 1);
    if (type < POINT || type > GEOMETRYCOLLECTION) throw invalidWkb(`its type is ${type}`);
    this.at += 5;
    return type;
  }

  #body(type: number, depth: number): void {
    if (depth > MAX_DEPTH) throw invalidWkb(`it is nested deeper than ${MAX_DEPTH} levels`);
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
        if (this.#type() !== member) throw invalidWkb(`a ${SHAPE_NAMES[type]} holds a member of another type`);
        this.#body(member, depth + 1);
      });
    }
  }

  /** Reads a count, then that many items of at least `minBytes` bytes each. */
  #list(minBytes: number, item: () => void): void {
    const { out } = this;
    this.#need(4);
    const count = this.src.readUInt32LE(this.at);
    this.at += 4;
    this.#need(count * minBytes);
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
    if (this.at + bytes > this.end) throw invalidWkb(`it needs ${bytes} more bytes, but has ${this.end - this.at}`);
  }
}
