import { Op } from '../../lake/event-scanner.ts';
import { parseMembers } from '../lake/event-text.ts';
import { type EventPlace, isPartialAt, opAt, payloadAt, placeAt, rowAt, seqAt } from '../lake/lake-record.ts';

/** One event of a key. */
export interface HistoryEvent {
  seq: string;
  op: number;
  isPartial: boolean;
  /** The hash of the members of its row. */
  row: string;
  place: EventPlace;
  /** The members of its row as JSON text, where they were kept or fetched. */
  members: string | undefined;
  /** An event with the same seq and another content. */
  rival?: HistoryEvent;
}

/** The event of a record of the lake. */
export const eventAt = (bytes: Buffer, at: number): HistoryEvent => ({
  seq: seqAt(bytes, at),
  op: opAt(bytes, at),
  isPartial: isPartialAt(bytes, at),
  row: rowAt(bytes, at),
  place: placeAt(bytes, at),
  members: payloadAt(bytes, at),
});

/** What the lake says of a key at one point of the stream: the number of its event; undefined for no row. */
export type LakeState = { event: number } | undefined;

/** The events of one key in their order, each once. */
export interface KeyHistory {
  events: HistoryEvent[];
}

export function orderEvents(events: readonly HistoryEvent[]): KeyHistory {
  const sorted = [...events].sort((a, b) => (a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0));
  const history: KeyHistory = { events: [] };
  for (const event of sorted) {
    const last = history.events.at(-1);
    if (last?.seq !== event.seq) history.events.push(event);
    // A repeat: Firehose delivers at least once.
    else if (last.row !== event.row || last.op !== event.op) last.rival = event;
  }
  return history;
}

/**
 * The states that the lake gives a key between two points of the stream, the newest first: the state at `from`, and the
 * one after each event up to `to`.
 * @param from @param to seqs; an event belongs to the time before a point if its seq is lower
 * @param emptied the seqs of the events that empty the table, in their order
 */
export function statesBetween(
  { events }: KeyHistory,
  emptied: readonly string[],
  from: string,
  to: string,
): LakeState[] {
  const states: LakeState[] = [];
  let last = events.length;
  while (last > 0 && (events[last - 1] as HistoryEvent).seq >= to) last--;
  let gone = emptied.length;
  while (gone > 0 && (emptied[gone - 1] as string) >= to) gone--;
  // Backwards through both lists at once.
  for (;;) {
    const event = events[last - 1];
    const emptiedAt = emptied[gone - 1];
    const isEmptied = emptiedAt !== undefined && (event === undefined || emptiedAt > event.seq);
    const seq = isEmptied ? emptiedAt : event?.seq;
    states.push(isEmptied || event === undefined || event.op === Op.gone ? undefined : { event: last - 1 });
    if (seq === undefined || seq < from) return states;
    if (isEmptied) gone--;
    else last--;
  }
}

/** The numbers of the events that make the row of a state: one, or a whole image and the partial ones after it. */
export function eventsOf({ events }: KeyHistory, emptied: readonly string[], { event }: { event: number }): number[] {
  const { seq } = events[event] as HistoryEvent;
  const emptiedAt = emptied.findLast((at) => at < seq) ?? '';
  let first = event;
  for (; first >= 0; first--) {
    const { op, isPartial, seq: at } = events[first] as HistoryEvent;
    if (op === Op.gone || at < emptiedAt) break;
    if (!isPartial) return numbers(first, event);
  }
  return numbers(first + 1, event);
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The row of a state, merged from its events. */
export interface MergedRow {
  columns: Map<string, string>;
  /** Whether the first of its events has all columns. */
  isWhole: boolean;
}

/** The row of a state; undefined if the members of an event are not known. */
export function rowOfState(
  history: KeyHistory,
  emptied: readonly string[],
  state: { event: number },
): MergedRow | undefined {
  const row: MergedRow = { columns: new Map(), isWhole: false };
  for (const [i, number] of eventsOf(history, emptied, state).entries()) {
    const { members, isPartial } = history.events[number] as HistoryEvent;
    if (members === undefined) return undefined;
    for (const [name, value] of parseMembers(members)) row.columns.set(name, value);
    if (i === 0) row.isWhole = !isPartial;
  }
  return row;
}
