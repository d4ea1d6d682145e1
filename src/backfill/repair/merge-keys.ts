import type { Delivery } from '../../delivery/delivery.ts';
import { type ChunkWindow, keyText } from '../../model/chunk-window.ts';
import type { EncodedEvent } from '../../model/encoded-event.ts';
import { pointOf, startOf } from '../merge/chunk-merge.ts';
import type { MergePoint } from '../merge/merge-point.ts';
import type { Ordinals } from '../merge/ordinals.ts';
import type { TableOutput } from '../merge/table-output.ts';
import type { FoundRows } from '../read/key-lookup.ts';

export interface KeyMergeTools {
  delivery: Delivery;
  merge: MergePoint;
  ordinals: Ordinals;
}

/** Keys that are in none of these are left out: the stream has them newer. */
export interface MergedKeys {
  /** Keys whose row was sent. */
  sent: number;
  /** Keys without a row, which were sent as deleted. */
  deleted: number;
  /** Keys whose rows the stream has touched with partial images alone. They have to be read again. */
  again: string[];
}

/** How many ordinals the events of these keys can take. */
export const ordinalsOf = (keys: readonly string[], found: FoundRows): number => keys.length + found.count;

/**
 * Merges the rows of keys into the stream at this point, which is between two transactions: a row that was found as
 * `r`, and a key without a row as `d`. What the stream has touched since the window opened is left out, because the
 * stream has it newer.
 *
 * A row is the row of a key if its event has exactly these bytes as its key. The server can find others: `A` for `a`.
 */
export function mergeKeys(
  { delivery, merge, ordinals }: KeyMergeTools,
  { writer, append }: TableOutput,
  keys: readonly string[],
  { found, readAt, window }: { found: FoundRows; readAt: number; window: ChunkWindow },
): MergedKeys {
  const wanted = new Map(keys.map((key) => [Buffer.from(key).toString('latin1'), key]));
  const missing = new Map(wanted);
  const again = new Set<string>();
  let sent = 0;
  let deleted = 0;
  /** Whether the event was appended. */
  const merges = (event: EncodedEvent, key: string, op: 'r' | 'd'): boolean => {
    const touch = window.isTouched ? window.touchOf(event) : undefined;
    if (touch === 'partial') again.add(key);
    if (touch !== undefined) return false;
    append(event, op);
    return true;
  };
  const emitRow = (event: EncodedEvent): void => {
    const text = keyText(event);
    const key = wanted.get(text);
    if (key === undefined) return;
    const isFirst = missing.delete(text);
    if (merges(event, key, 'r') && isFirst) sent++;
  };
  writer.beginSnapshot(pointOf(merge, readAt), Date.now());
  for (let row = 0; row < found.count; row++) {
    writer.writeSnapshotRow(found.bytes, startOf(found, row), found.ends[row] as number, ordinals.next++, emitRow);
  }
  for (const key of missing.values()) {
    writer.writeSnapshotDelete(Buffer.from(key), ordinals.next++, (event) => {
      if (merges(event, key, 'd')) deleted++;
    });
  }
  writer.endSnapshot();
  delivery.commitSnapshot();
  return { sent, deleted, again: [...again] };
}
