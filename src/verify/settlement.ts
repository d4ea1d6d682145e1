import type { Config } from '../config/schema.ts';
import { sleepUnlessAborted } from '../runtime/abort.ts';
import { eventAt, type HistoryEvent } from './compare/history.ts';
import {
  cachedForms,
  isProvenEqual,
  judge,
  neededEvents,
  type RowDifference,
  type Suspect,
} from './compare/suspects.ts';
import type { Follower } from './follower.ts';
import { EventReader, keyMembers } from './lake/event-text.ts';
import { type EventPlace, nextAt, objectAt, rowIdAt, tableOfId } from './lake/lake-record.ts';
import type { LakeScan } from './lake/lake-scan.ts';
import type { Partitions } from './lake/partitions.ts';
import type { Landing } from './landing.ts';
import { otherForms } from './source/other-forms.ts';
import type { Reread } from './source/reread.ts';
import type { ComparedTable, SourceReader } from './source/source-reader.ts';
import type { TableResult } from './table-result.ts';
import type { Progress, VerifyOptions } from './verify-options.ts';

/** How often the lake is asked for new objects. */
const LAKE_POLL_MS = 1_000;
/** Keys of one request, and their characters: escaped, each can take six bytes of the 4 MiB that a body may have. */
const REPAIR_BATCH = 500;
const REPAIR_CHARACTERS = 500_000;
/** How often values are looked up if the lake replaces their objects meanwhile. */
const LOOK_UPS_MAX = 3;
const OTHER_FORM = 'its values are in the form of other `values` options than those of the configuration';

export interface SettlementContext {
  config: Config;
  tables: readonly ComparedTable[];
  results: readonly TableResult[];
  reader: SourceReader;
  reread: Reread;
  scan: LakeScan;
  lake: Partitions;
  landing: Landing;
  follower: Follower;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

type Differences = Map<string, RowDifference>;

/** Finds out of suspects whether they are equal, and repairs those that are not if that is asked for. */
export class Settlement {
  readonly #context: SettlementContext;
  readonly #options: VerifyOptions;
  readonly #eventReader: EventReader;
  readonly #forms;
  /** When it stops waiting, by `performance.now`. */
  #deadline: number | undefined;

  constructor(context: SettlementContext, options: VerifyOptions) {
    const { format, flat_prefix: flatPrefix, values } = context.config;
    this.#context = context;
    this.#options = options;
    this.#eventReader = new EventReader(format, flatPrefix);
    this.#forms = cachedForms((column) => otherForms(column, values, format));
  }

  /** Looks at the suspects until each is equal, or differs, or the time to wait is over; counts those that differ. */
  async settle(suspects: Map<string, Suspect>): Promise<void> {
    if (suspects.size === 0) return;
    const { scan } = this.#context;
    await this.#gatherEvents(suspects);
    scan.onRecord = (record, payload) => addEvent(suspects, record, payload);
    let found: Differences;
    try {
      found = await this.#decide(suspects);
      if (this.#options.repair && found.size > 0) found = await this.#repair(found, suspects);
    } finally {
      scan.onRecord = undefined;
    }
    for (const [id, difference] of found) {
      const result = this.#resultOf(id);
      result[difference.kind]++;
      if (result.differences.length < this.#options.differencesMax) result.differences.push(difference);
    }
    if (this.#options.since === undefined) return;
    for (const [id, { source }] of suspects) if (source !== undefined) this.#resultOf(id).rows++;
  }

  #resultOf(id: string): TableResult {
    return this.#context.results[tableOfId(id)] as TableResult;
  }

  /** Everything that the lake has of the suspects, and the keys of those that only the lake has. */
  async #gatherEvents(suspects: Map<string, Suspect>): Promise<void> {
    const { lake, scan, tables } = this.#context;
    const partitions = new Set([...suspects.keys()].map((id) => id.charCodeAt(2)));
    for (const partition of partitions) {
      const bytes = lake.read(partition);
      for (let at = 0; at < bytes.length; at = nextAt(bytes, at)) {
        const suspect = suspects.get(rowIdAt(bytes, at));
        if (suspect !== undefined && scan.isLive(objectAt(bytes, at))) suspect.events.push(eventAt(bytes, at));
      }
    }
    const unnamed = new Map<EventPlace, Suspect>();
    for (const suspect of suspects.values()) {
      const event = suspect.events.at(-1);
      if (suspect.keyText === undefined && event !== undefined) unnamed.set(event.place, suspect);
    }
    await scan.fetch([...unnamed.keys()], (place, line) => {
      const text = this.#eventReader.read(line);
      const suspect = unnamed.get(place);
      if (text === undefined || suspect === undefined) return;
      suspect.keyText = keyMembers(text.key, (tables[suspect.table] as ComparedTable).key);
    });
  }

  /** Decides each suspect. Returns those that differ. */
  async #decide(suspects: ReadonlyMap<string, Suspect>): Promise<Differences> {
    const { scan, signal, landing, reread, onProgress } = this.#context;
    const last = await reread.read(suspects);
    const pending = new Map(suspects);
    const partial = [...pending].filter(([, { events }]) => events.some(({ isPartial }) => isPartial));
    await this.#fetchMembers(new Map(partial));
    this.#removeEqual(pending);
    if (pending.size === 0) return new Map();
    this.#deadline ??= performance.now() + (this.#options.waitMs ?? Number.POSITIVE_INFINITY);
    const deadline = this.#deadline;
    onProgress({
      phase: 'wait',
      waitingFor: `the daemon to deliver everything up to ${last.file}:${last.position} (${keysLeft(pending)})`,
    });
    const deliveredAt = await landing.delivers(last, deadline);
    const landedAt = (deliveredAt ?? Number.POSITIVE_INFINITY) + landing.bufferMs;
    for (;;) {
      const isLanded = performance.now() >= landedAt;
      await scan.update();
      this.#removeEqual(pending);
      if (pending.size === 0 || isLanded) return this.#judgeWhole(pending);
      const now = performance.now();
      if (now >= deadline) {
        for (const id of pending.keys()) this.#resultOf(id).undecided++;
        return new Map();
      }
      const seconds = Math.ceil((landedAt - now) / 1000);
      onProgress({
        phase: 'wait',
        waitingFor: `the stream to write its buffer, at most ${Math.max(0, seconds)} s more (${keysLeft(pending)})`,
      });
      const pause = Math.max(0, Math.min(LAKE_POLL_MS, landedAt - now + 1, deadline - now + 1));
      await sleepUnlessAborted(pause, signal);
    }
  }

  #removeEqual(pending: Map<string, Suspect>): void {
    const { scan, tables } = this.#context;
    const emptied = scan.emptiedSeqs();
    for (const [id, suspect] of pending) {
      if (suspect.events.some(({ place }) => !scan.isLive(place.object))) {
        suspect.events = suspect.events.filter(({ place }) => scan.isLive(place.object));
      }
      const table = tables[suspect.table] as ComparedTable;
      if (isProvenEqual(suspect, table, emptied[suspect.table] as string[])) pending.delete(id);
    }
  }

  /** An old event can land late, and be in an object of now: with `since`, nothing differs by the new objects alone. */
  async #judgeWhole(pending: Map<string, Suspect>): Promise<Differences> {
    const { scan } = this.#context;
    const found = await this.#judge(pending);
    if (found.size === 0 || scan.isWhole) return found;
    await scan.updateWhole();
    const again = new Map([...pending].filter(([id]) => found.has(id)));
    this.#removeEqual(again);
    return this.#judge(again);
  }

  /** Compares the values of the suspects that the hashes do not clear. Returns those that differ. */
  async #judge(pending: Map<string, Suspect>): Promise<Differences> {
    const { scan, tables } = this.#context;
    for (let lookUps = 1; !(await this.#fetchMembers(pending)) && lookUps < LOOK_UPS_MAX; lookUps++) {
      await scan.update();
      this.#removeEqual(pending);
    }
    const emptied = scan.emptiedSeqs();
    const found: Differences = new Map();
    for (const [id, suspect] of pending) {
      const result = this.#resultOf(id);
      const table = tables[suspect.table] as ComparedTable;
      const verdict = judge(suspect, table, emptied[suspect.table] as string[], this.#forms, scan.isWhole);
      for (const column of verdict.addedLater) if (!result.addedLater.includes(column)) result.addedLater.push(column);
      if (verdict.otherForm !== undefined) scan.noteDamage(verdict.otherForm, OTHER_FORM);
      if (verdict.difference !== undefined) found.set(id, verdict.difference);
    }
    return found;
  }

  /** Returns false if the lake does not have all of them any more. */
  async #fetchMembers(pending: ReadonlyMap<string, Suspect>): Promise<boolean> {
    const { scan } = this.#context;
    const emptied = scan.emptiedSeqs();
    const byPlace = new Map<EventPlace, HistoryEvent>();
    for (const suspect of pending.values()) {
      for (const event of neededEvents(suspect, emptied[suspect.table] as string[])) byPlace.set(event.place, event);
    }
    await scan.fetch([...byPlace.keys()], (place, line) => {
      const event = byPlace.get(place);
      if (event !== undefined) event.members = this.#eventReader.read(line)?.row;
    });
    return [...byPlace.values()].every(({ members }) => members !== undefined);
  }

  /** Sends the rows of keys that differ again, and looks at them again. Returns those that still differ. */
  async #repair(found: Differences, suspects: ReadonlyMap<string, Suspect>): Promise<Differences> {
    const { tables, reader, follower, onProgress } = this.#context;
    await this.#report(found);
    const byTable = new Map<number, string[]>();
    for (const [id, { key }] of found) {
      const table = tableOfId(id);
      if (!reader.canLookUp(tables[table] as ComparedTable, key)) {
        this.#resultOf(id).unrepairable++;
        continue;
      }
      const keys = byTable.get(table);
      if (keys === undefined) byTable.set(table, [key]);
      else keys.push(key);
    }
    for (const [number, keys] of byTable) {
      const { schema, table, name } = tables[number] as ComparedTable;
      for (let i = 0; i < keys.length; ) {
        onProgress({ phase: 'repair', table: name, rows: keys.length, fraction: i / keys.length });
        const batch = batchAt(keys, i);
        await follower.repair(schema, table, batch);
        i += batch.length;
      }
    }
    const again = new Map([...found.keys()].map((id) => [id, suspects.get(id) as Suspect] as const));
    const left = await this.#decide(again);
    for (const id of found.keys()) if (!left.has(id)) this.#resultOf(id).repaired++;
    return left;
  }

  /** Lets the daemon know what is to be repaired: the copy is not complete until that has ended. */
  async #report(found: Differences): Promise<void> {
    const at = new Date().toISOString();
    const counts = new Map<TableResult, { missing: number; extra: number; different: number }>();
    for (const [id, { kind }] of found) {
      const result = this.#resultOf(id);
      let count = counts.get(result);
      if (count === undefined) counts.set(result, (count = { missing: 0, extra: 0, different: 0 }));
      count[kind]++;
      result.foundAt = at;
    }
    await this.#context.follower.verified(
      [...counts].map(([{ schema, table, rows }, count]) => ({ schema, table, at, scope: 'part', rows, ...count })),
    );
  }
}

/** The next keys of one request. */
function batchAt(keys: readonly string[], from: number): string[] {
  let to = from;
  for (let length = 0; to < keys.length && to - from < REPAIR_BATCH; to++) {
    length += (keys[to] as string).length;
    if (length > REPAIR_CHARACTERS && to > from) break;
  }
  return keys.slice(from, to);
}

const keysLeft = ({ size }: ReadonlyMap<string, Suspect>): string =>
  size === 1 ? '1 key is not equal yet' : `${size.toLocaleString('en-US')} keys are not equal yet`;

function addEvent(suspects: ReadonlyMap<string, Suspect>, record: Buffer, payload: Buffer): void {
  const suspect = suspects.get(rowIdAt(record, 0));
  if (suspect === undefined) return;
  suspect.events.push({ ...eventAt(record, 0), members: payload.length === 0 ? undefined : payload.toString() });
}
