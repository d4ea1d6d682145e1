import type { FoundRows } from '../../src/backfill/read/key-lookup.ts';
import { PACKET_HEADER_LENGTH, type Processed, type RowChunk } from '../../src/backfill/read/row-chunk.ts';
import type { Delivery } from '../../src/delivery/delivery.ts';
import { isBefore } from '../../src/model/coordinates.ts';
import type { EncodedEvent } from '../../src/model/encoded-event.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import type { Key, KeyRange } from '../../src/model/key-range.ts';
import { formatSeq } from '../../src/model/seq.ts';
import type { SnapshotPoint } from '../../src/model/snapshot-point.ts';
import { encodedEvent } from '../encoded-event.ts';
import type { Line, Row, SimulatedServer } from './backfill-server.ts';

/** More rows than a chunk ever has (`MODEL_LIMITS`): only single rows that are read again are asked for so. */
export const NEIGHBOURS_MAX = 5;

export const keyOf = (number: number): Key => [Buffer.from([number]).toString('base64')];
export const keyNumber = (key: Key): number => Buffer.from(key[0] as string, 'base64')[0] as number;

/** An event of the stream or of the backfill. Keys share hashes, so that hashes alone tell nothing. */
export function lineEvent(line: Line): EncodedEvent {
  const { key, isPartial = false } = line;
  return { ...encodedEvent(`${JSON.stringify(line)}\n`, `{"k":${key}}`, ((key % 3) + 3) % 3), isPartial };
}

/**
 * Writes rows of `SimulatedReader` as the codec writes row packets.
 * @param isPaused whether the stream is paused, so that a deletion can be one that it has not reached
 */
export function simulatedOutput(delivery: Pick<Delivery, 'append'>, isPaused: () => boolean = () => false) {
  let at: SnapshotPoint | undefined;
  const writer = {
    table: { key: [0] },
    beginSnapshot(point: SnapshotPoint): void {
      at = point;
    },
    writeSnapshotRow(packet: Buffer, from: number, to: number, ordinal: number, emit: (event: EncodedEvent) => void) {
      if (at === undefined) throw new Error('a row outside of a slice');
      const row = JSON.parse(packet.toString('utf8', from, to)) as Omit<Line, 'seq' | 'op'>;
      const seq = formatSeq({ epoch: 1, file: at.fileNumber, position: at.position - 1, ordinal });
      emit(lineEvent({ ...row, seq, op: 'r' }));
    },
    writeSnapshotDelete(text: Buffer, ordinal: number, emit: (event: EncodedEvent) => void) {
      if (at === undefined) throw new Error('a deletion outside of a slice');
      const seq = formatSeq({ epoch: 1, file: at.fileNumber, position: at.position - 1, ordinal });
      const { k: key } = JSON.parse(text.toString()) as { k: number };
      const line: Line = { key, seq, op: 'd', isPartial: true, isRepair: true };
      emit(lineEvent(isPaused() ? { ...line, isAgain: true } : line));
    },
    writeSnapshotTruncate(ordinal: number, emit: (event: EncodedEvent) => void) {
      if (at === undefined) throw new Error('a TRUNCATE outside of a slice');
      const seq = formatSeq({ epoch: 1, file: at.fileNumber, position: at.position - 1, ordinal });
      emit(lineEvent({ key: -1, seq, op: 't', isCopy: true }));
    },
    endSnapshot(): void {
      at = undefined;
    },
  };
  return { writer, append: (event: EncodedEvent) => delivery.append(0, event) };
}

/** A TableReader of the simulated server. `step` resolves when the dice say so; anything can happen before. */
export class SimulatedReader {
  /** Whether an index orders the rows; otherwise they are read in one view. */
  readonly isIndexed: boolean;
  readonly #server: SimulatedServer;
  readonly #roll: (sides: number) => number;
  readonly #step: () => Promise<void>;

  constructor(server: SimulatedServer, roll: (sides: number) => number, step: () => Promise<void>, isIndexed = true) {
    this.isIndexed = isIndexed;
    this.#server = server;
    this.#roll = roll;
    this.#step = step;
  }

  async read(range: KeyRange, processed: Processed, limits: { rows: number; bytes: number }): Promise<RowChunk> {
    const server = this.#server;
    const wanted = { ...range };
    const processedBefore = await this.#begin(processed);
    await this.#step();
    while (!processedBefore()) await this.#step();
    await this.#step();
    const snapshot = server.visibleCount;
    const inRange = [...server.view()].filter(([key]) => isWithin(key, wanted)).sort(([a], [b]) => a - b);
    await this.#step();
    const high = await this.#high(snapshot);
    const isAgain = limits.rows === NEIGHBOURS_MAX;
    const rows = inRange.slice(0, isAgain ? limits.rows : 1 + this.#roll(limits.rows));
    const isLast = rows.length === inRange.length && (rows.length === 0 || isAgain || this.#roll(2) === 0);
    const last = rows.at(-1);
    return {
      ...rowPackets(rows, isAgain),
      lastKey: last && keyOf(last[0]),
      isLast,
      elapsedMs: this.#roll(900),
      high,
    };
  }

  async readAll(processed: Processed, onPiece: (piece: RowChunk) => Promise<void>): Promise<void> {
    const server = this.#server;
    const isVisible = await this.#begin(processed);
    await this.#step();
    while (!isVisible()) await this.#step();
    const snapshot = server.visibleCount;
    const rows = [...server.view()].sort(([a], [b]) => a - b);
    await this.#step();
    const high = await this.#high(snapshot);
    for (let from = 0; from < rows.length; from += 3) {
      await this.#step();
      const isLast = from + 3 >= rows.length;
      await onPiece({ ...rowPackets(rows.slice(from, from + 3)), lastKey: undefined, isLast, elapsedMs: 1, high });
    }
  }

  /** The rows of the keys in a condition; undefined if they are too large for one read. */
  async lookUp(condition: string, processed: Processed, isPaused: () => boolean): Promise<FoundRows | undefined> {
    const server = this.#server;
    const keys = new Set(condition.match(/\d+/g)?.map(Number));
    const isVisible = await this.#begin(processed);
    await this.#step();
    while (!isVisible()) await this.#step();
    if (keys.size > 1 && this.#roll(8) === 0) return undefined;
    await this.#step();
    const snapshot = server.visibleCount;
    const rows = [...server.view()].filter(([key]) => keys.has(key));
    await this.#step();
    return { ...rowPackets(rows, isPaused(), true), high: await this.#high(snapshot) };
  }

  /** When everything that was processed is visible. */
  async #begin({ gtids, coordinates }: Processed): Promise<() => boolean> {
    const server = this.#server;
    switch (server.watermarks) {
      case 'heartbeat': {
        await this.#step();
        // The heartbeat is written behind everything that the binlog has.
        const before = server.flushed;
        return () => server.isVisible(before);
      }
      case 'mariadb':
        return () => !isBefore(server.coordinatesAfter(server.visibleCount), coordinates);
      default:
        return () => gtids instanceof GtidSet && server.executed.containsAll(gtids);
    }
  }

  async #high(snapshot: number): Promise<RowChunk['high']> {
    const server = this.#server;
    if (server.watermarks === 'mariadb') return { coordinates: server.coordinatesAfter(snapshot) };
    if (server.watermarks !== 'replica') return { coordinates: server.coordinatesAfter(server.flushed) };
    const gtids = server.owned;
    await this.#step();
    gtids.addAll(server.executed);
    return { gtids };
  }

  keyOf({ bytes, ends }: RowChunk, row: number): Key {
    const from = (row === 0 ? 0 : (ends[row - 1] as number)) + PACKET_HEADER_LENGTH;
    const { key } = JSON.parse(bytes.toString('utf8', from, ends[row])) as Line;
    return keyOf(key);
  }

  async split(range: KeyRange): Promise<Key | undefined> {
    const wanted = { ...range };
    await this.#step();
    const keys = [...this.#server.view().keys()].filter((key) => isWithin(key, wanted)).sort((a, b) => a - b);
    if (keys.length < 2 || this.#roll(4) === 0) return undefined;
    return keyOf(keys[this.#roll(keys.length - 1)] as number);
  }

  fraction(): undefined {}

  async bounds(): Promise<{ first: Key; last: Key } | undefined> {
    const keys = [...this.#server.view().keys()].sort((a, b) => a - b);
    const [first, last] = [keys[0], keys.at(-1)];
    return first === undefined || last === undefined ? undefined : { first: keyOf(first), last: keyOf(last) };
  }

  /** Resolves once all that was processed is visible. */
  async waitUntilVisible(processed: Processed): Promise<void> {
    const isVisible = await this.#begin(processed);
    await this.#step();
    while (!isVisible()) await this.#step();
  }

  /** Its buffers are not used again. */
  release(): void {}
}

const isWithin = (key: number, { after, upTo }: KeyRange): boolean =>
  (after === null || key > keyNumber(after)) && (upTo === null || key <= keyNumber(upTo));

function rowPackets(
  rows: [number, Row][],
  isAgain = false,
  isRepair = false,
): Pick<RowChunk, 'count' | 'bytes' | 'ends'> {
  const header = Buffer.alloc(PACKET_HEADER_LENGTH, '#');
  const packets = rows.map(([key, { a, b }]) =>
    Buffer.from(JSON.stringify({ key, ...(isAgain && { isAgain }), ...(isRepair && { isRepair }), a, b })),
  );
  let end = 0;
  const ends = Uint32Array.from(packets, ({ length }) => {
    end += length + header.length;
    return end;
  });
  return { count: rows.length, bytes: Buffer.concat(packets.flatMap((packet) => [header, packet])), ends };
}
