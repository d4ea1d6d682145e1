import type { Readable } from 'node:stream';
import { onAbort } from '../runtime/abort.ts';
import { GzipDamage, gunzipped } from './gunzip.ts';
import { LINE_BYTES_MAX, type LineBlock, LineCutter } from './line-cutter.ts';
import { FORMAT_BYTES, formatOf } from './object-format.ts';
import { type LakeObject, type LakeStore, LostObject } from './object-store.ts';

/** An object whose lines cannot be read to its end. */
export class ObjectDamage extends Error {
  /** The name of the object. */
  readonly object: string;
  /** The number of the first line that was not given, from 1. */
  readonly line: number;
  readonly why: string;
  /** `gone` and `changed`: it is not the object that was listed, so a new list can help. */
  readonly kind: 'damaged' | 'gone' | 'changed';

  constructor(object: string, line: number, why: string, kind: 'damaged' | 'gone' | 'changed' = 'damaged') {
    super(`line ${line} of the object ${object} cannot be read: ${why}`);
    this.name = 'ObjectDamage';
    this.object = object;
    this.line = line;
    this.why = why;
    this.kind = kind;
  }
}

/**
 * The whole lines of an object in blocks: up to about 2 MiB, more where a line is longer, and some of a single line.
 * Its first bytes decide whether it is gzip, with any number of members. The next block is made while the caller works
 * on one.
 * @throws ObjectDamage after the whole lines before the damage. Where gzip data is damaged or its checksum is wrong,
 *   the last lines before it can be missing, and lines of the same member can be wrong. CdcError if the store fails.
 *   The reason of `signal` once it aborts
 */
export async function* readLines(store: LakeStore, object: LakeObject, signal: AbortSignal): AsyncGenerator<LineBlock> {
  const reading = new AbortController();
  const removeListener = onAbort(signal, () => reading.abort(signal.reason));
  const blocks = blocksOf(store, object, reading.signal);
  try {
    for (let next = blocks.next(); ; ) {
      const { value, done } = await next;
      if (done) return;
      next = blocks.next();
      // It can fail while the caller works, and is awaited afterwards.
      next.catch(() => {});
      yield value;
    }
  } finally {
    removeListener();
    reading.abort();
    await blocks.return(undefined).catch(() => {});
  }
}

async function* blocksOf(store: LakeStore, object: LakeObject, signal: AbortSignal): AsyncGenerator<LineBlock> {
  const cutter = new LineCutter();
  let problem: unknown;
  try {
    for await (const bytes of decoded(await store.read(object, signal))) {
      signal.throwIfAborted();
      if (!cutter.add(bytes)) throw new NotLines(`it has no newline in ${LINE_BYTES_MAX / 1024 ** 2} MiB`);
      if (cutter.isFull) yield* waiting(cutter);
    }
  } catch (error) {
    problem = error;
  }
  signal.throwIfAborted();
  yield* waiting(cutter);
  if (problem === undefined && cutter.isWithinLine) problem = new NotLines('no newline ends it');
  if (problem instanceof LostObject) throw new ObjectDamage(object.name, cutter.line, problem.message, problem.loss);
  if (problem instanceof GzipDamage || problem instanceof NotLines) {
    throw new ObjectDamage(object.name, cutter.line, problem.message);
  }
  if (problem !== undefined) throw problem;
}

function* waiting(cutter: LineCutter): Generator<LineBlock> {
  for (let block = cutter.take(); block !== undefined; block = cutter.take()) yield block;
}

/** Bytes that are not lines of JSON. */
class NotLines extends Error {}

/** The bytes of the lines. */
async function* decoded(source: Readable): AsyncGenerator<Buffer> {
  try {
    const raw = await withHead(source);
    const isGzip = formatOf(raw.head) === 'gzip';
    const plain = isGzip ? await withHead(gunzipped(raw.bytes)) : raw;
    assertLines(plain.head);
    yield* plain.bytes;
  } finally {
    source.destroy();
  }
}

function assertLines(head: Buffer): void {
  const format = formatOf(head);
  if (format === 'gzip') throw new NotLines('it is compressed twice');
  if (format !== undefined) throw new NotLines(`it is not NDJSON, but ${format}`);
}

/** The first bytes, fewer if there are no more, and all bytes with these. */
async function withHead(source: AsyncIterable<Buffer>): Promise<{ head: Buffer; bytes: AsyncGenerator<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let length = 0;
  while (length < FORMAT_BYTES) {
    const { value, done } = await iterator.next();
    if (done) break;
    first.push(value);
    length += value.length;
  }
  async function* all(): AsyncGenerator<Buffer> {
    try {
      yield* first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head: Buffer.concat(first).subarray(0, FORMAT_BYTES), bytes: all() };
}
