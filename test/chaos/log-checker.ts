import { type EventLine, evidenceOf, rawKey } from './event-line.ts';
import type { EventLog, StoredEvent } from './event-log.ts';
import type { Report } from './violation.ts';

/** Where the events of a row are. */
interface Place {
  partition: string;
  key: string | null;
  /** The highest `seq` so far. */
  seq: string;
  offset: string;
  /** The `seq` of its last event so far. */
  last: string;
}

/**
 * Checks an ordered log itself, as a consumer of its own reads it. `keyOrder`: the first deliveries of a row are in the
 * order of their `seq`, and its newest change is the last one. `samePartition`: all events of a row are in one
 * partition, or in one that was made from it; they have one key, which no other row has.
 */
export class LogChecker {
  /** Events that were read since the start of the run. */
  events = 0;
  readonly #log: Pick<EventLog, 'keyPerRow' | 'parentsOf'>;
  readonly #report: Report;
  readonly #places = new Map<string, Place>();
  /** The row of each key. */
  readonly #rows = new Map<string, string>();
  /** Every `seq` since the last `prune`. */
  readonly #seen = new Set<string>();

  constructor(log: Pick<EventLog, 'keyPerRow' | 'parentsOf'>, report: Report) {
    this.#log = log;
    this.#report = report;
  }

  /** The next events of the log, in the order of `EventLog.readNew`. */
  add(events: readonly StoredEvent[]): void {
    for (const event of events) this.#add(event);
  }

  #add(stored: StoredEvent): void {
    this.events++;
    let event: EventLine;
    try {
      event = JSON.parse(stored.line);
    } catch {
      const { partition, offset, line } = stored;
      const evidence = { partition, offset, line: line.slice(0, 500) };
      this.#report({ promise: 'noLoss', what: 'an event of the log is not JSON', evidence });
      return;
    }
    const { op, seq, source } = event;
    // A TRUNCATE is of no row.
    if (op === 't') return;
    // The rows of a table without a key are one row here: they have one order.
    const row = `${source.table} ${event.key === null ? '' : rawKey(stored.line)}`;
    const place = this.#places.get(row);
    if (place === undefined || place.key !== stored.key) this.#checkKey(row, place, stored, event);
    if (place !== undefined && place.partition !== stored.partition) this.#checkPartition(place, stored, event);
    const isRepeat = this.#seen.has(seq);
    this.#seen.add(seq);
    const { partition, key, offset } = stored;
    if (place === undefined) {
      this.#places.set(row, { partition, key, seq, offset, last: seq });
      return;
    }
    place.partition = partition;
    place.last = seq;
    if (place.seq < seq) Object.assign(place, { seq, offset });
    else if (!isRepeat) {
      this.#report({
        promise: 'keyOrder',
        what: 'the log has a change for the first time after a later one of its key',
        evidence: { ...this.#evidence(stored, event), newest: place },
      });
    }
  }

  #checkKey(row: string, place: Place | undefined, stored: StoredEvent, event: EventLine): void {
    if (place !== undefined) {
      this.#report({
        promise: 'samePartition',
        what: 'the events of a row have different keys in the log',
        evidence: { ...this.#evidence(stored, event), before: place },
      });
      return;
    }
    if (!this.#log.keyPerRow || stored.key === null) return;
    const id = `${event.source.table} ${stored.key}`;
    const other = this.#rows.get(id);
    this.#rows.set(id, row);
    if (other !== undefined && other !== row) {
      this.#report({
        promise: 'samePartition',
        what: 'two rows have the same key in the log',
        evidence: { ...this.#evidence(stored, event), row, other },
      });
    }
  }

  #checkPartition(place: Place, stored: StoredEvent, event: EventLine): void {
    const isDescendant = (partition: string): boolean =>
      partition === place.partition || this.#log.parentsOf(partition).some(isDescendant);
    if (isDescendant(stored.partition)) return;
    this.#report({
      promise: 'samePartition',
      what: 'the events of a row are in different partitions',
      evidence: { ...this.#evidence(stored, event), before: place },
    });
  }

  #evidence({ partition, key, offset }: StoredEvent, event: EventLine): Record<string, unknown> {
    const { call: _, ...evidence } = evidenceOf(event, 0);
    return { ...evidence, messageKey: key, partition, offset };
  }

  /**
   * Checks the end of the log, while nobody sends anything: each row ends with its newest change, and the log has what
   * its server has stored.
   * @param stored events, by the calls that the server has seen; undefined if it has seen none
   */
  checkEnd(stored: number | undefined): void {
    for (const [row, place] of this.#places) {
      if (place.last === place.seq) continue;
      this.#report({
        promise: 'keyOrder',
        what: 'a row of the log ends with an older change',
        evidence: { row, place },
      });
    }
    if (stored === undefined || stored === this.events) return;
    this.#report({
      promise: 'noLoss',
      what: `the log has ${this.events} events, but its server has stored ${stored}`,
      evidence: {},
    });
  }

  /** Forgets what was checked. Call it only while nobody sends anything. @param isNew the log was made again, empty */
  prune({ isNew }: { isNew: boolean }): void {
    this.#seen.clear();
    // Other shards; a topic keeps its partitions.
    if (isNew) this.#places.clear();
  }
}
