import { readFileSync } from 'node:fs';
import { listObjects } from '../../../src/lake/objects.ts';

/** The parts of a line, as text: a number of JavaScript does not hold every key. */
const LINE = /^\{"op":"(\w)".*,"key":(.*?),"seq":"([0-9a-f]{36})",.*"table":"(\w+)",/;

export interface LandedOrder {
  events: number;
  copied: number;
  repeats: number;
  /** What was stored out of order. */
  problems: string[];
}

/**
 * Reads what landed in the order of its arrival: for one key, each `seq` that arrives for the first time must be above
 * all before it. A lower one that was there before is a repeat.
 */
export async function checkLandedOrder(lake: string, stream: string): Promise<LandedOrder> {
  const newest = new Map<string, string>();
  const seen = new Map<string, string>();
  const result: LandedOrder = { events: 0, copied: 0, repeats: 0, problems: [] };
  for (const { path } of await listObjects(lake, stream)) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const [, op, key, seq = '', table] = LINE.exec(line) ?? [];
      result.events++;
      if (op === 'r') result.copied++;
      const row = `${table} ${key}`;
      if (seen.has(seq)) {
        result.repeats++;
        if (seen.get(seq) !== row) result.problems.push(`two rows have the seq ${seq}: ${seen.get(seq)} and ${row}`);
        continue;
      }
      seen.set(seq, row);
      const last = newest.get(row) ?? '';
      if (seq < last) result.problems.push(`${op} ${seq} of ${row} came behind ${last}`);
      else newest.set(row, seq);
    }
  }
  return result;
}
