import { EventFold } from './event-fold.ts';
import { type EventLine, evidenceOf, hashOf, rawKey, rawRow } from './event-line.ts';
import { changeId, type Expected, type ExpectedChanges } from './expected-changes.ts';
import { type Delivered, RepeatChecker, type RepeatCounts } from './repeat-checker.ts';
import type { Report } from './violation.ts';

export interface DeliveryCounts extends RepeatCounts {
  events: number;
  stored: number;
  deadLetters: number;
}

interface Found {
  expected: Expected;
  key: string;
  version: number;
  event: EventLine;
}

/**
 * Compares every event that reached the sink, in the order of the calls, with the expected changes. Checks `keyOrder`,
 * `noPhantom`, `sameRedelivery`, `boundedRepeats` and, at the end of a round, `noLoss`. Keeps only a hash of an event.
 */
export class DeliveryChecker {
  readonly fold = new EventFold();
  readonly repeats: RepeatChecker;
  #counts = { events: 0, stored: 0, deadLetters: 0 };
  readonly #expectedChanges: ExpectedChanges;
  readonly #report: Report;
  /** The highest stored version of each key, and its seq. */
  readonly #newest = new Map<string, { version: number; seq: string; call: number }>();

  readonly #takesLine: (line: string) => boolean;

  /** @param takesLine takes a line that is no event of the workload */
  constructor(expectedChanges: ExpectedChanges, report: Report, takesLine = (_line: string): boolean => false) {
    this.#expectedChanges = expectedChanges;
    this.#report = report;
    this.#takesLine = takesLine;
    this.repeats = new RepeatChecker(report);
  }

  get counts(): DeliveryCounts {
    return { ...this.#counts, ...this.repeats.counts };
  }

  /** Checks a record: lines that each end with a newline. */
  record(data: Buffer, delivered: Delivered): void {
    if (data[data.length - 1] !== 0x0a) {
      this.#report({
        promise: 'noLoss',
        what: 'a record does not end with a whole event',
        evidence: { call: delivered.call, end: data.toString('utf8', Math.max(0, data.length - 200)) },
      });
    }
    for (let from = 0; from < data.length; ) {
      const newline = data.indexOf(0x0a, from);
      const to = newline < 0 ? data.length : newline + 1;
      this.#line(data.toString('utf8', from, to), delivered);
      from = to;
    }
  }

  /** A durable dead letter settles its event. The fold applies it like a sent event. */
  deadLetter(line: string): void {
    this.#counts.deadLetters++;
    const found = this.#find(line, -1);
    if (found === undefined) return;
    const { expected, key, version, event } = found;
    this.#expectedChanges.acknowledge(expected);
    const row = event.op === 'd' ? undefined : rawRow(line);
    this.fold.apply(event.source.table, key, { seq: event.seq, version, row, call: -1 });
  }

  #line(line: string, delivered: Delivered): void {
    if (this.#takesLine(line)) return;
    this.#counts.events++;
    const { call, stored, accepted } = delivered;
    const found = this.#find(line, call);
    if (found === undefined || !stored) return;
    const { expected, key, version, event } = found;
    const { op, seq, source } = event;
    this.#counts.stored++;
    const { last } = expected;
    if (last === undefined) this.#first(expected, key, seq, call);
    else this.repeats.add({ expected, before: last, now: delivered });
    const { at, slow } = delivered;
    expected.last = { call, at, accepted, slow };
    if (accepted) this.#expectedChanges.acknowledge(expected);
    if (op === 't') this.fold.truncate(source.table, seq);
    else this.fold.apply(source.table, key, { seq, version, row: op === 'd' ? undefined : rawRow(line), call });
  }

  /** Returns the expected change of an event, and reports what is wrong with the event. */
  #find(line: string, call: number): Found | undefined {
    let event: EventLine;
    try {
      event = JSON.parse(line);
    } catch {
      this.#report({ promise: 'noLoss', what: 'an event is not JSON', evidence: { call, line: line.slice(0, 500) } });
      return undefined;
    }
    const { op, seq, source } = event;
    const row = event.after ?? event.before;
    if (event.before?.ph === 1 || event.after?.ph === 1) {
      this.#report({
        promise: 'noPhantom',
        what: 'a change that was rolled back was sent',
        evidence: evidenceOf(event, call),
      });
      return undefined;
    }
    const key = op === 't' ? source.gtid : event.key === null ? `{"n":${row?.n}}` : rawKey(line);
    const version = op === 't' || row === null ? 0 : op === 'd' ? row.ver + 1 : row.ver;
    const expected = this.#expectedChanges.expected(changeId(source.table, key, version));
    if (expected === undefined) {
      this.#report({
        promise: 'noPhantom',
        what: 'an event without a committed change',
        evidence: evidenceOf(event, call),
      });
      return undefined;
    }
    const { change, tx } = expected;
    if (change.op !== op || tx.gtid !== source.gtid) {
      this.#report({
        promise: 'noPhantom',
        what: 'an event differs from its change in operation or GTID',
        evidence: { ...evidenceOf(event, call), expected: change, of: tx.gtid },
      });
    }
    // Repeats are compared with events that were not stored too.
    const hash = hashOf(line.slice(0, line.lastIndexOf(',"ts_ms":')));
    if (expected.seq === undefined) {
      expected.seq = seq;
      expected.hash = hash;
    } else if (expected.seq !== seq || expected.hash !== hash) {
      this.#report({
        promise: 'sameRedelivery',
        what: expected.seq === seq ? 'a repeated event has other bytes' : 'a repeated event has another seq',
        evidence: { ...evidenceOf(event, call), seqBefore: expected.seq, line: line.slice(0, 2_000) },
      });
    }
    return { expected, key, version, event };
  }

  #first({ change, tx }: Expected, key: string, seq: string, call: number): void {
    if (change.op === 't') return;
    const id = `${change.table} ${key}`;
    const newest = this.#newest.get(id);
    if (newest && (newest.version > change.version || newest.seq >= seq)) {
      this.#report({
        promise: 'keyOrder',
        what:
          newest.version > change.version
            ? 'a change arrived for the first time after a later one of its key'
            : 'a later change of a key has a lower seq',
        evidence: { ...change, gtid: tx.gtid, seq, call, newest },
      });
    }
    if (!newest || newest.version < change.version) this.#newest.set(id, { version: change.version, seq, call });
  }

  /** Checks `noLoss`. Call it after everything should have arrived. */
  checkNothingLost(): void {
    for (const tx of this.#expectedChanges.waiting()) {
      this.#report({
        promise: 'noLoss',
        what: `${tx.unacknowledged} of ${tx.changes.length} events of a committed transaction never arrived`,
        evidence: {
          gtid: tx.gtid,
          lost: tx.changes
            .filter(
              ({ table, key, version }) => !this.#expectedChanges.expected(changeId(table, key, version))?.acknowledged,
            )
            .slice(0, 10),
        },
      });
    }
  }

  /** Forgets what was checked. Call it only while nobody sends anything. */
  prune(): void {
    this.repeats.prune();
    this.fold.prune();
    for (const [id] of this.#newest) {
      const space = id.indexOf(' ');
      if (!this.fold.has(id.slice(0, space), id.slice(space + 1))) this.#newest.delete(id);
    }
  }
}
