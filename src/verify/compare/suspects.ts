import { Op } from '../../lake/event-scanner.ts';
import type { ColumnReader } from '../../lake/source-column.ts';
import { type EventPlace, tableOfId } from '../lake/lake-record.ts';
import { hashText } from '../lake/row-key.ts';
import { type ComparedTable, membersOf } from '../source/source-reader.ts';
import { textOf, unpackValues } from '../source/source-row.ts';
import { compareRow, type DifferentColumn, type OtherForms } from './compare-row.ts';
import {
  eventsOf,
  type HistoryEvent,
  type KeyHistory,
  type LakeState,
  type MergedRow,
  orderEvents,
  rowOfState,
  statesBetween,
} from './history.ts';

/** A key whose rows are not known to be equal. */
export interface Suspect {
  /** The number of its table. */
  table: number;
  /** The key as an object of JSON; undefined until it is read from the lake. */
  keyText: string | undefined;
  /** Everything that the lake has of the key. */
  events: HistoryEvent[];
  /** Between which seqs the source was read. */
  from: string;
  to: string;
  /** The packed values of the source; undefined if it has no such row. */
  source: Buffer | undefined;
  /** The hash of the members of its row. */
  sourceRow: string;
}

/** @param id table and key, as `rowIdAt` gives them */
export const newSuspect = (id: string, keyText: string | undefined): Suspect => ({
  ...{ table: tableOfId(id), keyText, events: [], from: '', to: '', source: undefined, sourceRow: '' },
});

export interface RowDifference {
  kind: 'missing' | 'extra' | 'different';
  /** The key as an object of JSON, such as `{"id":1}`. */
  key: string;
  /** The columns that differ, of a row that both have. */
  columns: DifferentColumn[];
}

export interface Verdict {
  difference: RowDifference | undefined;
  /** An event whose values are right in the form of other `values` options. */
  otherForm: EventPlace | undefined;
  addedLater: readonly string[];
}

/** Whether the lake had the row of the source at some point of the time in which it was read, by the hashes alone. */
export function isProvenEqual(suspect: Suspect, table: ComparedTable, emptied: readonly string[]): boolean {
  const history = orderEvents(suspect.events);
  if (suspect.source === undefined && rivalOfLast(history, suspect.to) !== undefined) return false;
  return statesBetween(history, emptied, suspect.from, suspect.to).some((state) => {
    if (state === undefined || suspect.source === undefined) return state === undefined && suspect.source === undefined;
    const { isPartial, rival, row } = history.events[state.event] as HistoryEvent;
    if (rival !== undefined) return false;
    return (isPartial ? mergedHash(history, table, emptied, state) : row) === suspect.sourceRow;
  });
}

/** Another event with the seq of the last one before `to`: a reader can take either. */
function rivalOfLast({ events }: KeyHistory, to: string): HistoryEvent | undefined {
  return events.findLast(({ seq }) => seq < to)?.rival;
}

/** The hash of the row that the last event leaves; undefined if the members of an event are not known. */
export function lastRowHash(
  events: readonly HistoryEvent[],
  table: ComparedTable,
  emptied: readonly string[],
): string | undefined {
  const history = orderEvents(events);
  if (history.events.some(({ rival }) => rival !== undefined)) return undefined;
  return mergedHash(history, table, emptied, { event: history.events.length - 1 });
}

/** The hash of a row of several partial images; undefined if the members of one are not known. */
function mergedHash(
  history: KeyHistory,
  { columns }: ComparedTable,
  emptied: readonly string[],
  state: NonNullable<LakeState>,
): string | undefined {
  const row = rowOfState(history, emptied, state);
  if (row === undefined) return undefined;
  return hashText(columns.map(({ name, memberName }) => memberName + (row.columns.get(name) ?? '')).join(','));
}

/** The events whose lines `judge` needs. */
export function neededEvents(suspect: Suspect, emptied: readonly string[]): HistoryEvent[] {
  if (suspect.source === undefined) return [];
  const history = orderEvents(suspect.events);
  const needed = new Set<number>();
  for (const state of statesBetween(history, emptied, suspect.from, suspect.to)) {
    if (state !== undefined) for (const number of eventsOf(history, emptied, state)) needed.add(number);
  }
  return [...needed].flatMap((number) => {
    const event = history.events[number] as HistoryEvent;
    return [event, ...(event.rival === undefined ? [] : [event.rival])].filter(({ members }) => members === undefined);
  });
}

/**
 * Compares the row of the source with what the lake had of it while it was read. It differs only if it equals none of
 * these states: the source had one of them.
 * @param isWhole whether all objects were read. Otherwise a row of partial images can have columns in older ones
 */
export function judge(
  suspect: Suspect,
  table: ComparedTable,
  emptied: readonly string[],
  forms: OtherForms,
  isWhole: boolean,
): Verdict {
  const history = orderEvents(suspect.events);
  const states = statesBetween(history, emptied, suspect.from, suspect.to);
  const key = suspect.keyText ?? '{}';
  const verdict: Verdict = { difference: undefined, otherForm: undefined, addedLater: [] };
  if (suspect.source === undefined) {
    const rival = rivalOfLast(history, suspect.to);
    const isRivalRow = rival !== undefined && [rival, history.events.at(-1)].some((event) => event?.op === Op.row);
    if (isRivalRow || !states.includes(undefined)) verdict.difference = { kind: 'extra', key, columns: [] };
    return verdict;
  }
  const raw = unpackValues(suspect.source);
  const source = table.columns.map((column, i) => ({ text: textOf(column, raw[i] ?? null), raw: raw[i] ?? null }));
  const differences: RowDifference[] = [];
  for (const state of states) {
    const found = state === undefined ? undefined : rowsOf(history, emptied, state);
    const rival = state === undefined ? undefined : history.events[state.event]?.rival;
    if (state === undefined || found === undefined || rival?.op === Op.gone) {
      differences.push({ kind: 'missing', key, columns: [] });
    } else {
      const compared = found.map((row) => {
        const isKnown = ({ name }: { name: string }): boolean => isWhole || row.isWhole || row.columns.has(name);
        const known = table.columns.map(isKnown);
        const columns = table.columns.filter((_, i) => known[i]);
        return compareRow(
          columns,
          source.filter((_, i) => known[i]),
          row.columns,
          forms,
        );
      });
      const different = compared.find(({ columns }) => columns.length > 0);
      if (different === undefined) {
        const { place } = history.events[state.event] as HistoryEvent;
        verdict.otherForm = compared.some(({ hasOtherForm }) => hasOtherForm) ? place : undefined;
        verdict.addedLater = compared.flatMap(({ addedLater }) => addedLater);
        return verdict;
      }
      differences.push({ kind: 'different', key, columns: different.columns });
    }
  }
  // What the lake says at the end of the time in which the row was read.
  verdict.difference = differences[0];
  return verdict;
}

/** The row of a state, and the one that a rival of its event makes. */
function rowsOf(
  history: KeyHistory,
  emptied: readonly string[],
  state: NonNullable<LakeState>,
): MergedRow[] | undefined {
  const row = rowOfState(history, emptied, state);
  if (row === undefined) return undefined;
  const { rival } = history.events[state.event] as HistoryEvent;
  if (rival === undefined) return [row];
  const others: KeyHistory = { ...history, events: history.events.with(state.event, rival) };
  const other = rowOfState(others, emptied, state);
  return other === undefined ? [row] : [row, other];
}

/** The hash of the row that the source has, for comparing it with the hashes of the lake. */
export const rowHash = (table: ComparedTable, texts: readonly string[]): string => hashText(membersOf(table, texts));

/** Remembers the other forms of columns. */
export function cachedForms(make: (column: Parameters<OtherForms>[0]) => readonly ColumnReader[]): OtherForms {
  const known = new Map<unknown, readonly ColumnReader[]>();
  return (column) => {
    let forms = known.get(column);
    if (forms === undefined) known.set(column, (forms = make(column)));
    return forms;
  };
}
