import { CdcError } from '../runtime/error.ts';

/** Transactions `[first, last]`, both inclusive. Their numbers stay below 2^53: 285 years at a million per second. */
type Interval = [first: number, last: number];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;

/**
 * A MySQL GTID set, gaps included: the transaction numbers of each source. A source is `uuid` or `uuid:tag`. The text
 * form is that of `@@gtid_executed` (MySQL manual, "GTID Sets"; tags since 8.3).
 */
export class GtidSet {
  readonly #sources = new Map<string, Interval[]>();

  /** The empty text is the empty set. @throws CdcError if the text is not a GTID set */
  static parse(text: string): GtidSet {
    const set = new GtidSet();
    for (const entry of text.split(',')) {
      const [uuid = '', ...items] = entry.split(':').map((part) => part.trim().toLowerCase());
      if (uuid === '' && items.length === 0) continue;
      const invalidEntry = (why: string) =>
        new CdcError(`"${entry.trim()}" is not a valid part of a GTID set`, { exitCode: 2, why });
      if (!UUID.test(uuid)) throw invalidEntry(`"${uuid}" is not a server UUID`);
      let source = uuid;
      let empty = true;
      for (const item of items) {
        if (TAG.test(item)) {
          if (source !== uuid && empty) throw invalidEntry('a tag has no transaction numbers');
          source = `${uuid}:${item}`;
          empty = true;
          continue;
        }
        const match = /^(\d{1,19})(?:-(\d{1,19}))?$/.exec(item);
        const first = Number(match?.[1]);
        const last = Number(match?.[2] ?? match?.[1]);
        if (!match || first < 1 || last < first) {
          throw invalidEntry(`"${item}" is not an interval of transaction numbers`);
        }
        if (!Number.isSafeInteger(last)) throw invalidEntry(`the transaction number ${item} is too large (2^53)`);
        set.addRange(source, first, last);
        empty = false;
      }
      if (empty) throw invalidEntry('it has no transaction numbers');
    }
    return set;
  }

  get isEmpty(): boolean {
    return this.#sources.size === 0;
  }

  /** Adds `first..last` of a source. The common case, the transaction after the last one, changes one number. */
  addRange(source: string, first: number, last: number): void {
    const intervals = this.#sources.get(source);
    if (intervals === undefined) {
      this.#sources.set(source, [[first, last]]);
      return;
    }
    const newest = intervals[intervals.length - 1];
    if (newest && first === newest[1] + 1) {
      newest[1] = last;
      return;
    }
    this.#sources.set(source, merge(intervals, [first, last]));
  }

  addAll(other: GtidSet): void {
    for (const [source, intervals] of other.#sources) {
      for (const [first, last] of intervals) this.addRange(source, first, last);
    }
  }

  contains(source: string, gno: number): boolean {
    return this.#sources.get(source)?.some(([first, last]) => first <= gno && gno <= last) ?? false;
  }

  /** Whether every transaction of `other` is in this set. */
  containsAll(other: GtidSet): boolean {
    return other.subtract(this).isEmpty;
  }

  /** The transactions of this set that are not in `other`. */
  subtract(other: GtidSet): GtidSet {
    const difference = new GtidSet();
    for (const [source, intervals] of this.#sources) {
      for (let [first, last] of intervals) {
        for (const [from, to] of other.#sources.get(source) ?? []) {
          if (to < first || from > last) continue;
          if (from > first) difference.addRange(source, first, from - 1);
          first = to + 1;
        }
        if (first <= last) difference.addRange(source, first, last);
      }
    }
    return difference;
  }

  clone(): GtidSet {
    const copy = new GtidSet();
    for (const [source, intervals] of this.#sources)
      copy.#sources.set(
        source,
        intervals.map(([a, b]) => [a, b]),
      );
    return copy;
  }

  /** The canonical text: sorted by UUID, then by tag; transactions without a tag come first. */
  toString(): string {
    let text = '';
    let previous = '';
    for (const source of [...this.#sources.keys()].sort()) {
      const [uuid = '', tag] = source.split(':');
      if (uuid !== previous) text += `${text ? ',' : ''}${uuid}`;
      if (tag) text += `:${tag}`;
      for (const [from, to] of this.#sources.get(source) ?? []) text += from === to ? `:${from}` : `:${from}-${to}`;
      previous = uuid;
    }
    return text;
  }
}

function merge(intervals: Interval[], added: Interval): Interval[] {
  const merged: Interval[] = [];
  for (const next of [...intervals, added].sort((a, b) => a[0] - b[0])) {
    const last = merged[merged.length - 1];
    if (last && next[0] <= last[1] + 1) last[1] = Math.max(last[1], next[1]);
    else merged.push([next[0], next[1]]);
  }
  return merged;
}
