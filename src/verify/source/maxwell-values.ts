import type { ValueOptions } from '../../config/schema.ts';
import { type ColumnReader, createColumnReader, type SourceColumn } from '../../lake/source-column.ts';

/**
 * Values in format maxwell (docs/EVENTS-maxwell.md). As `lake/source-column.ts`, it shares no code with the codec,
 * which is checked against it.
 */
export function maxwellReader(column: SourceColumn, values: ValueOptions): ColumnReader {
  const { bigint, binary, boolean, zero_dates } = values;
  const options: ValueOptions = {
    bigint,
    binary,
    boolean,
    zero_dates,
    decimal: 'number',
    json: 'nested',
    temporal: 'mysql',
  };
  const reader = createColumnReader(column, options);
  if (column.dataType === 'set') {
    return { ...reader, toJson: (value) => JSON.stringify(value.length === 0 ? [] : value.toString().split(',')) };
  }
  if (GEOMETRY_TYPES.has(column.dataType)) return { ...reader, toJson: geometryText, sameValue: sameGeometry };
  return reader;
}

const GEOMETRY_TYPES = new Set([
  ...['geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon'],
  ...['geometrycollection', 'geomcollection'],
]);

const NAMES: Readonly<Record<number, string>> = {
  1: 'POINT',
  2: 'LINESTRING',
  3: 'POLYGON',
  4: 'MULTIPOINT',
  5: 'MULTILINESTRING',
  6: 'MULTIPOLYGON',
  7: 'GEOMETRYCOLLECTION',
};

function geometryText(value: Buffer): string {
  const srid = value.readUInt32LE(0);
  const text = new GeometryReader(value, 4).geometry(true);
  return JSON.stringify(srid === 0 ? text : `SRID=${srid};${text}`);
}

/** A number of a WKT has several spellings. */
function sameGeometry(source: string, lake: string): boolean {
  if (!lake.startsWith('"')) return false;
  return normalWkt(JSON.parse(source) as string) === normalWkt(JSON.parse(lake) as string);
}

const normalWkt = (text: string): string =>
  text
    .replace(/\s*([(),;])\s*/g, '$1')
    .replace(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi, (number) =>
      Object.is(Number(number), -0) ? '-0' : String(Number(number)),
    );

/** Well-known binary, little-endian as MySQL stores it, to well-known text. */
class GeometryReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  geometry(isNamed: boolean): string {
    this.#at += 1;
    const type = this.#count();
    const body = this.#body(type);
    const name = NAMES[type] ?? 'GEOMETRY';
    return isNamed ? `${name} ${body}` : body;
  }

  #body(type: number): string {
    if (type === 1) return `(${this.#point()})`;
    const parts: string[] = [];
    const count = this.#count();
    for (let i = 0; i < count; i++) {
      if (type === 2) parts.push(this.#point());
      else if (type === 3) parts.push(this.#ring());
      else parts.push(this.geometry(type === 7));
    }
    return count === 0 ? 'EMPTY' : `(${parts.join(', ')})`;
  }

  #ring(): string {
    const points: string[] = [];
    const count = this.#count();
    for (let i = 0; i < count; i++) points.push(this.#point());
    return `(${points.join(', ')})`;
  }

  #point(): string {
    const x = this.#bytes.readDoubleLE(this.#at);
    const y = this.#bytes.readDoubleLE(this.#at + 8);
    this.#at += 16;
    return `${numberText(x)} ${numberText(y)}`;
  }

  #count(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }
}

const numberText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));
