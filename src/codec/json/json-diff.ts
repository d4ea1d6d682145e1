import { CdcError } from '../../runtime/error.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { type PathLeg, parseJsonPath } from './json-path.ts';
import {
  DOUBLE,
  INT16,
  INT32,
  INT64,
  LARGE_ARRAY,
  LARGE_OBJECT,
  LITERAL,
  OPAQUE,
  SMALL_ARRAY,
  SMALL_OBJECT,
  STRING,
  UINT16,
  UINT32,
  UINT64,
} from './json-type.ts';

/**
 * JSON diffs, which PARTIAL_UPDATE_ROWS events contain instead of a document. Applied to the binary document of the
 * before image, they give the document of the after image (MySQL: sql-common/json_diff.cc,
 * Json_diff_vector::read_binary and apply_json_diff; document format: sql-common/json_binary.h). Only the containers on
 * the path of a diff are unpacked. All other values are copied byte by byte.
 */

const REPLACE = 0;
const INSERT = 1;
const REMOVE = 2;

/** Bytes of a value, for types of a fixed size. */
const FIXED_SIZES: Readonly<Record<number, number>> = {
  [LITERAL]: 1,
  [INT16]: 2,
  [UINT16]: 2,
  [INT32]: 4,
  [UINT32]: 4,
  [INT64]: 8,
  [UINT64]: 8,
  [DOUBLE]: 8,
};

/** A value inside a document: its type, and its bytes from `src[at]`. `end` is the end of its container. */
interface StoredValue {
  kind: 'stored';
  src: Buffer;
  type: number;
  at: number;
  end: number;
}

/** An unpacked object. Its keys are in MySQL's order: by length, then by bytes. */
interface ObjectNode {
  kind: 'object';
  keys: Buffer[];
  values: Node[];
}
interface ArrayNode {
  kind: 'array';
  values: Node[];
}
type Container = ObjectNode | ArrayNode;
type Node = StoredValue | Container;

const cannotApply = (why: string): CdcError => new CdcError('a JSON diff in the binlog cannot be applied', { why });

function check(at: number, length: number, end: number): void {
  if (length < 0 || at + length > end) throw cannotApply(`it needs ${length} bytes, but ${end - at} are left`);
}

/**
 * Applies the diffs in `diffs[at..end)` to the document `src[from..to)`. Returns the new document.
 * @throws CdcError when a diff does not fit the document, because then it belongs to another document
 */
export function patchDocument(src: Buffer, from: number, to: number, diffs: Buffer, at: number, end: number): Buffer {
  if (at === end) return src.subarray(from, to);
  let root: Node = document(src, from, to);
  for (let next = at; next < end; ) {
    const operation = diffs[next] as number;
    const [pathLength, pathAt] = readLengthEncodedInteger(diffs, next + 1, end);
    check(pathAt, pathLength, end);
    const legs = parseJsonPath(diffs.toString('utf8', pathAt, pathAt + pathLength));
    next = pathAt + pathLength;
    let value: StoredValue | undefined;
    if (operation !== REMOVE) {
      const [valueLength, valueAt] = readLengthEncodedInteger(diffs, next, end);
      check(valueAt, valueLength, end);
      next = valueAt + valueLength;
      value = document(diffs, valueAt, next);
    }
    const last = legs.pop();
    if (last === undefined) throw cannotApply('its path is the whole document');
    root = unpack(root);
    let parent: Container = root;
    for (const leg of legs) {
      const index = findIndex(parent, leg);
      const child = index < 0 ? undefined : parent.values[index];
      if (child === undefined) throw cannotApply('its path is not in the document');
      const container = unpack(child);
      parent.values[index] = container;
      parent = container;
    }
    apply(operation, parent, last, value);
  }
  const out = new ByteWriter(to - from + (end - at) + 256);
  out.byte(0);
  const type = encodeNode(root, out);
  out.bytes[0] = type;
  return out.bytes.subarray(0, out.at);
}

function apply(operation: number, parent: Container, leg: PathLeg, value: StoredValue | undefined): void {
  const index = findIndex(parent, leg);
  const exists = index >= 0 && index < parent.values.length;
  switch (operation) {
    case REPLACE:
      if (!exists) throw cannotApply('the value to replace is not in the document');
      parent.values[index] = value as StoredValue;
      return;
    case REMOVE:
      if (!exists) throw cannotApply('the value to remove is not in the document');
      parent.values.splice(index, 1);
      if (parent.kind === 'object') parent.keys.splice(index, 1);
      return;
    case INSERT:
      if (parent.kind === 'array') {
        // A cell past the end appends.
        parent.values.splice(Math.min(cellOf(parent, leg), parent.values.length), 0, value as StoredValue);
        return;
      }
      if (exists) throw cannotApply('the member to insert is already in the document');
      parent.keys.splice(~index, 0, (leg as { name: Buffer }).name);
      parent.values.splice(~index, 0, value as StoredValue);
      return;
    default:
      throw cannotApply(`it has the unknown operation ${operation}`);
  }
}

/** The index of the leg's value in the container. For a missing member, the complement of its insertion index. */
function findIndex(container: Container, leg: PathLeg): number {
  if (container.kind === 'array') {
    const cell = cellOf(container, leg);
    return 'cell' in leg && leg.fromEnd && leg.cell >= container.values.length ? -1 : cell;
  }
  if (!('name' in leg)) throw cannotApply('its path has a cell where the document has an object');
  let low = 0;
  let high = container.keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareKeys(container.keys[middle] as Buffer, leg.name);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return ~low;
}

function cellOf(array: ArrayNode, leg: PathLeg): number {
  if (!('cell' in leg)) throw cannotApply('its path has a member where the document has an array');
  return leg.fromEnd ? Math.max(0, array.values.length - 1 - leg.cell) : leg.cell;
}

const compareKeys = (a: Buffer, b: Buffer): number => a.length - b.length || a.compare(b);

/** The root value of a document. The server stores JSON null as an empty document. */
function document(src: Buffer, from: number, to: number): StoredValue {
  if (from === to) return { kind: 'stored', src: Buffer.of(0), type: LITERAL, at: 0, end: 1 };
  return { kind: 'stored', src, type: src[from] as number, at: from + 1, end: to };
}

function unpack(node: Node): Container {
  if (node.kind !== 'stored') return node;
  const { src, type, at, end } = node;
  if (type > LARGE_ARRAY) throw cannotApply('its path leads into a scalar');
  const large = type === LARGE_OBJECT || type === LARGE_ARRAY;
  const isObject = type === SMALL_OBJECT || type === LARGE_OBJECT;
  const width = large ? 4 : 2;
  check(at, 2 * width, end);
  const offset = (from: number): number => (large ? src.readUInt32LE(from) : src.readUInt16LE(from));
  const count = offset(at);
  const own = at + offset(at + width);
  const keyEntries = at + 2 * width;
  const valueEntries = keyEntries + (isObject ? count * (width + 2) : 0);
  check(own, 0, end);
  check(valueEntries, count * (1 + width), own);
  const values: Node[] = [];
  for (let i = 0; i < count; i++) {
    const entry = valueEntries + i * (1 + width);
    const valueType = src[entry] as number;
    const inline = isInline(valueType, large);
    values.push({ kind: 'stored', src, type: valueType, at: inline ? entry + 1 : at + offset(entry + 1), end: own });
  }
  if (!isObject) return { kind: 'array', values };
  const keys: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const entry = keyEntries + i * (width + 2);
    const from = at + offset(entry);
    const length = src.readUInt16LE(entry + width);
    check(from, length, own);
    keys.push(src.subarray(from, from + length));
  }
  return { kind: 'object', keys, values };
}

const isInline = (type: number, large: boolean): boolean =>
  type === LITERAL || type === INT16 || type === UINT16 || (large && (type === INT32 || type === UINT32));

/** Appends the value without its type, and returns the type. An unpacked container is written in its large form. */
function encodeNode(node: Node, out: ByteWriter): number {
  if (node.kind === 'stored') {
    const size = storedSize(node);
    check(node.at, size, node.end);
    out.copy(node.src.subarray(node.at, node.at + size));
    return node.type;
  }
  const start = out.at;
  const keys = node.kind === 'object' ? node.keys : [];
  const { values } = node;
  const keyEntries = start + 8;
  const valueEntries = keyEntries + keys.length * 6;
  const head = valueEntries - start + values.length * 5;
  out.ensure(head);
  out.bytes.fill(0, start, start + head);
  out.at = start + head;
  out.bytes.writeUInt32LE(values.length, start);
  keys.forEach((key, i) => {
    const entry = keyEntries + i * 6;
    out.bytes.writeUInt32LE(out.at - start, entry);
    out.bytes.writeUInt16LE(key.length, entry + 4);
    out.copy(key);
  });
  values.forEach((value, i) => {
    const entry = valueEntries + i * 5;
    if (value.kind === 'stored' && isInline(value.type, true)) {
      const size = storedSize(value);
      check(value.at, size, value.end);
      out.bytes[entry] = value.type;
      value.src.copy(out.bytes, entry + 1, value.at, value.at + size);
      return;
    }
    const at = out.at;
    const type = encodeNode(value, out);
    out.bytes[entry] = type;
    out.bytes.writeUInt32LE(at - start, entry + 1);
  });
  out.bytes.writeUInt32LE(out.at - start, start + 4);
  return node.kind === 'object' ? LARGE_OBJECT : LARGE_ARRAY;
}

function storedSize({ src, type, at, end }: StoredValue): number {
  const fixed = FIXED_SIZES[type];
  if (fixed !== undefined) return fixed;
  switch (type) {
    case SMALL_OBJECT:
    case SMALL_ARRAY:
      check(at, 4, end);
      return src.readUInt16LE(at + 2);
    case LARGE_OBJECT:
    case LARGE_ARRAY:
      check(at, 8, end);
      return src.readUInt32LE(at + 4);
    case STRING: {
      const [length, from] = variableLength(src, at, end);
      return from - at + length;
    }
    case OPAQUE: {
      const [length, from] = variableLength(src, at + 1, end);
      return from - at + length;
    }
    default:
      throw cannotApply(`the document has the value type ${type}`);
  }
}

/** Reads a length in groups of seven bits, low group first. Returns it and the offset after it. */
function variableLength(src: Buffer, at: number, end: number): [length: number, from: number] {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    check(at + i, 1, end);
    const byte = src[at + i] as number;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [length, at + i + 1];
  }
  throw cannotApply('a length has more than five bytes');
}

/**
 * Reads a length-encoded integer (MySQL protocol documentation, "Integer Types"). Returns it and the offset after it.
 */
export function readLengthEncodedInteger(src: Buffer, at: number, end: number): [value: number, from: number] {
  check(at, 1, end);
  const first = src[at] as number;
  if (first < 0xfb) return [first, at + 1];
  const width = first === 0xfc ? 2 : first === 0xfd ? 3 : first === 0xfe ? 8 : 0;
  check(at + 1, width, end);
  if (width === 0) throw cannotApply(`a length begins with 0x${first.toString(16)}`);
  return [width === 8 ? Number(src.readBigUInt64LE(at + 1)) : src.readUIntLE(at + 1, width), at + 1 + width];
}
