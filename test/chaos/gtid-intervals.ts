/**
 * A GTID set: source to intervals in order, both ends inclusive. It shares no code with src. Tags are not supported,
 * because the workload has none.
 */
export type GtidIntervals = Map<string, [first: number, last: number][]>;

export function parseGtids(text: string): GtidIntervals {
  const set: GtidIntervals = new Map();
  for (const entry of text.split(',')) {
    const [source = '', ...intervals] = entry.trim().split(':');
    if (source === '') continue;
    set.set(
      source,
      intervals.map((interval) => {
        const [first, last = first] = interval.split('-').map(Number);
        if (!Number.isInteger(first) || !Number.isInteger(last)) throw new Error(`not a GTID interval: ${interval}`);
        return [first as number, last as number];
      }),
    );
  }
  return set;
}

export function contains(set: GtidIntervals, gtid: string): boolean {
  const colon = gtid.lastIndexOf(':');
  const number = Number(gtid.slice(colon + 1));
  return (set.get(gtid.slice(0, colon)) ?? []).some(([first, last]) => first <= number && number <= last);
}

/** The GTIDs that are in `set` and not in `other`. */
export function difference(set: GtidIntervals, other: GtidIntervals): GtidIntervals {
  const rest: GtidIntervals = new Map();
  for (const [source, intervals] of set) {
    const left: [number, number][] = [];
    for (const [first, last] of intervals) {
      let from = first;
      for (const [a, b] of other.get(source) ?? []) {
        if (b < from || a > last) continue;
        if (a > from) left.push([from, a - 1]);
        from = b + 1;
      }
      if (from <= last) left.push([from, last]);
    }
    if (left.length > 0) rest.set(source, left);
  }
  return rest;
}

export function* gtidsOf(set: GtidIntervals): Generator<string> {
  for (const [source, intervals] of set) {
    for (const [first, last] of intervals) {
      for (let number = first; number <= last; number++) yield `${source}:${number}`;
    }
  }
}

export function formatGtids(set: GtidIntervals): string {
  return [...set]
    .map(([source, all]) => [source, ...all.map(([a, b]) => (a === b ? a : `${a}-${b}`))].join(':'))
    .join();
}
