import { Op } from '../../lake/event-scanner.ts';
import {
  compareSeq,
  eachSourceRecord,
  isPartialAt,
  nextAt,
  objectAt,
  opAt,
  placeAt,
  rowAt,
  rowIdAt,
  sameEvent,
  seqAt,
  tableAt,
  tableOfId,
} from '../lake/lake-record.ts';
import type { LakeScan } from '../lake/lake-scan.ts';
import type { Partitions } from '../lake/partitions.ts';
import { isSampled } from '../lake/row-key.ts';
import type { ComparedTable } from '../source/source-reader.ts';
import type { TableResult } from '../table-result.ts';
import type { VerifyOptions } from '../verify-options.ts';
import { eventAt, type HistoryEvent } from './history.ts';
import { lastRowHash, newSuspect, type Suspect } from './suspects.ts';

const FUTURE = 'its seq lies behind the end of the binlog';

export interface ComparedSides {
  tables: readonly ComparedTable[];
  results: readonly TableResult[];
  scan: LakeScan;
  lake: Partitions;
  source: Partitions;
  /** No genuine event of the first `firstObjects` objects has this seq or a higher one. */
  endSeq: string;
  firstObjects: number;
}

/**
 * Compares the keys of one partition by their hashes, and adds those that are not equal to the suspects.
 * @returns about how many bytes the rows of the new suspects have
 */
export function comparePartition(
  partition: number,
  sides: ComparedSides,
  { where, since, sample }: VerifyOptions,
  suspects: Map<string, Suspect>,
): number {
  const { lake, source, scan, results } = sides;
  const bytes = lake.read(partition);
  const { last, unclear } = lastEvents(bytes, sides);
  let rowBytes = 0;
  const addSuspect = (id: string, at: number | undefined, keyText?: string): void => {
    const { rows, rowCharacters } = results[tableOfId(id)] as TableResult;
    rowBytes += at === undefined ? rowCharacters / Math.max(1, rows) : placeAt(bytes, at).length;
    suspects.set(id, newSuspect(id, keyText));
  };
  if (since !== undefined) {
    for (const id of recentKeys(bytes, scan, since)) if (isSampled(id.slice(2), sample)) addSuspect(id, last.get(id));
    return rowBytes;
  }
  const emptied = scan.emptiedSeqs();
  const isThere = (at: number): boolean => {
    const lastEmptied = emptied[tableAt(bytes, at)]?.at(-1);
    return opAt(bytes, at) === Op.row && (lastEmptied === undefined || seqAt(bytes, at) > lastEmptied);
  };
  const merged = mergedRows(bytes, last, emptied, sides);
  eachSourceRecord(source.read(partition), (id, row, keyText) => {
    const at = last.get(id);
    const isPresent = at !== undefined && isThere(at);
    if (isPresent) (results[tableOfId(id)] as TableResult).lakeRows++;
    const found = isPresent && !unclear.has(id) ? (isPartialAt(bytes, at) ? merged.get(id) : rowAt(bytes, at)) : '';
    if (found !== row) addSuspect(id, at, keyText());
    last.delete(id);
  });
  source.drop(partition);
  for (const [id, at] of last) {
    if (!(isThere(at) || unclear.has(id)) || !isSampled(id.slice(2), sample)) continue;
    (results[tableOfId(id)] as TableResult).lakeRows++;
    // Nothing says whether a row that the condition left out is in the source.
    if (where === undefined) addSuspect(id, at);
  }
  return rowBytes;
}

/** The place of the last event of each key, and the keys of which the lake has two events with one seq. */
function lastEvents(
  bytes: Buffer,
  { scan, endSeq, firstObjects }: ComparedSides,
): { last: Map<string, number>; unclear: Set<string> } {
  const last = new Map<string, number>();
  const unclear = new Set<string>();
  for (let at = 0; at < bytes.length; at = nextAt(bytes, at)) {
    const object = objectAt(bytes, at);
    if (!scan.isLive(object)) continue;
    if (object < firstObjects && seqAt(bytes, at) >= endSeq) {
      scan.noteDamage(placeAt(bytes, at), FUTURE);
      continue;
    }
    const id = rowIdAt(bytes, at);
    const before = last.get(id);
    const order = before === undefined ? 1 : compareSeq(bytes, at, before);
    if (order > 0) {
      last.set(id, at);
      unclear.delete(id);
    } else if (order === 0 && before !== undefined && !sameEvent(bytes, at, before)) unclear.add(id);
  }
  return { last, unclear };
}

/** The keys that objects have events of which were written since then. */
function recentKeys(bytes: Buffer, scan: LakeScan, since: number): Set<string> {
  const keys = new Set<string>();
  for (let at = 0; at < bytes.length; at = nextAt(bytes, at)) {
    const object = objectAt(bytes, at);
    if (scan.isLive(object) && scan.modifiedAt(object) >= since) keys.add(rowIdAt(bytes, at));
  }
  return keys;
}

/** The hashes of rows whose last events are partial images, where the records have their members. */
function mergedRows(
  bytes: Buffer,
  last: ReadonlyMap<string, number>,
  emptied: readonly string[][],
  { scan, tables }: ComparedSides,
): Map<string, string> {
  const events = new Map<string, HistoryEvent[]>();
  for (const [id, at] of last) if (isPartialAt(bytes, at)) events.set(id, []);
  if (events.size > 0) {
    for (let at = 0; at < bytes.length; at = nextAt(bytes, at)) {
      if (scan.isLive(objectAt(bytes, at))) events.get(rowIdAt(bytes, at))?.push(eventAt(bytes, at));
    }
  }
  const merged = new Map<string, string>();
  for (const [id, list] of events) {
    const table = tableOfId(id);
    const hash = lastRowHash(list, tables[table] as ComparedTable, emptied[table] as string[]);
    if (hash !== undefined) merged.set(id, hash);
  }
  return merged;
}
