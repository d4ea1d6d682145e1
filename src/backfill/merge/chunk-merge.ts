import type { Delivery } from '../../delivery/delivery.ts';
import type { ChunkWindow } from '../../model/chunk-window.ts';
import { fileNumber } from '../../model/coordinates.ts';
import type { EncodedEvent } from '../../model/encoded-event.ts';
import type { Key } from '../../model/key-range.ts';
import type { SnapshotPoint } from '../../model/snapshot-point.ts';
import { nextTurn, sleepUnlessAborted } from '../../runtime/abort.ts';
import { CHUNK_BYTES_MAX, SLICE_CHECK_ROWS, SLICE_MS } from '../limits.ts';
import { PACKET_HEADER_LENGTH, type RowChunk } from '../read/row-chunk.ts';
import type { CollectedRows } from '../read/row-collector.ts';
import type { TableReader } from '../read/table-reader.ts';
import type { MergePoint } from './merge-point.ts';
import type { Ordinals } from './ordinals.ts';
import type { ReadingGate } from './reading-gate.ts';
import type { TableOutput } from './table-output.ts';

/** What merges rows of one pipeline. */
export interface MergeTools {
  delivery: Delivery;
  merge: MergePoint;
  gate: ReadingGate;
  ordinals: Ordinals;
  signal: AbortSignal;
  /** Saves the checkpoint soon, which reserves ordinals. */
  onProgress(): void;
  /** Stops the stream between two events. Returns the function that lets it go on. */
  pauseStream(): () => void;
}

/** A chunk that was read while its window was open. */
export interface ReadChunk {
  chunk: RowChunk;
  /** When it was read, in milliseconds. */
  readAt: number;
  window: ChunkWindow;
  /** Called when all its rows, and everything before them in the stream, are delivered. */
  onDelivered: () => void;
}

/** Rows of a chunk, by their number in it, that have to be read again one by one: the stream has only parts of them. */
export type PartlyTouched = readonly number[];

/**
 * Merges the rows of a chunk into the stream, slice by slice, each between two transactions at a point of its own. The
 * window stays open until the last slice, so that each row is checked against everything that the stream gave before
 * it. Rows that the stream touched are left out: it has them newer.
 *
 * Call it once the stream has reached the high watermark of the chunk.
 * @returns the rows that the stream touched with partial images; undefined if the window became invalid
 */
export async function mergeChunk(
  tools: MergeTools,
  { writer, append }: TableOutput,
  { chunk, readAt, window, onDelivered }: ReadChunk,
): Promise<PartlyTouched | undefined> {
  const { delivery, merge, gate, ordinals, signal, onProgress } = tools;
  const partly: number[] = [];
  let row = 0;
  const emit = (event: EncodedEvent): void => {
    const touch = window.isTouched ? window.touchOf(event) : undefined;
    if (touch === undefined) append(event, 'r');
    else if (touch === 'partial') partly.push(row);
  };
  const mergeSlice = (): void => {
    if (window.invalid !== undefined) return;
    const end = performance.now() + SLICE_MS;
    writer.beginSnapshot(pointOf(merge, readAt), Date.now());
    const first = row;
    while (row < chunk.count && ordinals.available > 0) {
      writer.writeSnapshotRow(chunk.bytes, startOf(chunk, row), chunk.ends[row] as number, ordinals.next++, emit);
      row++;
      if ((row - first) % SLICE_CHECK_ROWS === 0 && (performance.now() > end || !gate.hasRoom)) break;
    }
    writer.endSnapshot();
    const isLast = row === chunk.count;
    delivery.commitSnapshot(isLast && partly.length === 0 ? onDelivered : undefined);
  };
  do {
    await nextTurn();
    while ((gate.isPaused || !gate.hasRoom || ordinals.available === 0) && window.invalid === undefined) {
      if (ordinals.available === 0) onProgress();
      await gate.wait();
    }
    signal.throwIfAborted();
    await merge.atBoundary(mergeSlice);
    if (window.invalid !== undefined) return undefined;
  } while (row < chunk.count);
  return partly;
}

/**
 * Merges the event that empties the table into the stream, for a copy that replaces what was sent of it before.
 * @param onDelivered called when it, and everything before it in the stream, is delivered
 */
export async function mergeTruncate(
  { delivery, merge, gate, ordinals, onProgress }: MergeTools,
  { writer, append }: TableOutput,
  onDelivered: () => void,
): Promise<void> {
  while (ordinals.available === 0) {
    onProgress();
    await gate.wait();
  }
  await merge.atBoundary(() => {
    const now = Date.now();
    writer.beginSnapshot(pointOf(merge, now), now);
    writer.writeSnapshotTruncate(ordinals.next++, (event) => append(event, 't'));
    writer.endSnapshot();
    delivery.commitSnapshot(onDelivered);
  });
}

/** Rows that are read again while the stream is paused once. */
const ROWS_PER_PAUSE = 20;
/** Rows that can have come between two neighbours of a chunk since it was read. The stream has those. */
const NEIGHBOURS_MAX = 1_000;

/**
 * Reads rows of a chunk again, whose columns the stream has only in part, and merges them. The stream is paused
 * meanwhile, so that a row that changes all the time gets its turn: what is read has everything that the stream has
 * processed, and what it has beyond that follows in the stream.
 * @returns false if the window became invalid
 */
export async function mergeRowsAgain(
  tools: MergeTools,
  output: TableOutput,
  partly: PartlyTouched,
  source: ReadChunk & { reader: TableReader; after: Key | null },
): Promise<boolean> {
  for (let i = 0; i < partly.length; i += ROWS_PER_PAUSE) {
    const isLast = i + ROWS_PER_PAUSE >= partly.length;
    const rows = partly.slice(i, i + ROWS_PER_PAUSE);
    const pausedAt = performance.now();
    if (!(await mergeDuringPause(tools, output, rows, source, isLast))) return false;
    // The stream has its turn for as long.
    if (!isLast) await sleepUnlessAborted(Math.ceil(performance.now() - pausedAt), tools.signal);
  }
  return true;
}

async function mergeDuringPause(
  { delivery, merge, gate, ordinals, pauseStream, onProgress }: MergeTools,
  { writer, append }: TableOutput,
  rows: PartlyTouched,
  { chunk, after, reader, window, onDelivered }: Parameters<typeof mergeRowsAgain>[3],
  isLast: boolean,
): Promise<boolean> {
  while (ordinals.available < rows.length * NEIGHBOURS_MAX || !gate.hasRoom) {
    onProgress();
    await gate.wait();
  }
  const paused = await merge.atBoundary(() => ({ resume: pauseStream(), processed: merge.processed() }));
  const emit = (event: EncodedEvent): void => {
    if (window.touchOf(event) === 'partial') append(event, 'r');
  };
  try {
    const limits = { rows: NEIGHBOURS_MAX, bytes: CHUNK_BYTES_MAX };
    for (const row of rows) {
      const range = { after: row === 0 ? after : reader.keyOf(chunk, row - 1), upTo: reader.keyOf(chunk, row) };
      const found = await reader.read(range, paused.processed, limits);
      if (window.invalid !== undefined || !found.isLast) return false;
      writer.beginSnapshot(pointOf(merge, Date.now()), Date.now());
      for (let i = 0; i < found.count; i++) {
        writer.writeSnapshotRow(found.bytes, startOf(found, i), found.ends[i] as number, ordinals.next++, emit);
      }
      writer.endSnapshot();
      delivery.commitSnapshot();
    }
    if (isLast) delivery.commitSnapshot(onDelivered);
    return true;
  } finally {
    paused.resume();
  }
}

/** Where the row begins in the bytes of the chunk, behind the header of its packet. */
export const startOf = ({ ends }: CollectedRows, row: number): number =>
  (row === 0 ? 0 : (ends[row - 1] as number)) + PACKET_HEADER_LENGTH;

/** Rows are written as of the last transaction that the stream has processed. */
export function pointOf(merge: MergePoint, readAt: number): SnapshotPoint {
  const { file, position } = merge.coordinates;
  return { file, fileNumber: fileNumber(file), position, readAt };
}
