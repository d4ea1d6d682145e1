import fc from 'fast-check';
import { type Coordinates, fileNumber, isBefore } from '../../src/model/coordinates.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import type { Transaction } from '../../src/model/rows-event.ts';
import { formatSeq } from '../../src/model/seq.ts';
import { transaction, UUID } from '../unit/delivery/delivery-harness.ts';

/**
 * A server with one table of keys 0 to 9, a binlog of random transactions, and the gap of its commit order: a
 * transaction is first in the binlog, later visible to SELECT, and later in gtid_executed.
 */

export const KEYS = 10;
/** Without a column, it comes from an event of a partial row image. */
export type Row = { a?: number; b?: number };
export type Rows = Map<number, Row>;

type Change =
  | { put: number }
  | { set: number; column: 'a' | 'b' }
  | { delete: number; isPartial: boolean }
  | { move: number; to: number }
  | { savepoint: number }
  | { rollbackTo: number };

type End = 'commit' | 'rollback' | 'truncate' | 'rewrite' | { xa: 'commit' | 'rollback'; after: number };
interface Script {
  changes: Change[];
  end: End;
}

const key = fc.nat(KEYS - 1);
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ put: key }) },
  { weight: 4, arbitrary: fc.record({ set: key, column: fc.constantFrom('a' as const, 'b' as const) }) },
  { weight: 3, arbitrary: fc.record({ delete: key, isPartial: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ move: key, to: key }) },
  { weight: 1, arbitrary: fc.record({ savepoint: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ rollbackTo: fc.nat(1) }) },
);
const endsOf = (statements: boolean): fc.Arbitrary<End> => {
  const xa = fc.record({ xa: fc.constantFrom('commit' as const, 'rollback' as const), after: fc.nat(3) });
  return fc.oneof(
    { weight: statements ? 6 : 14, arbitrary: fc.constant('commit' as const) },
    { weight: statements ? 1 : 3, arbitrary: fc.constant('rollback' as const) },
    { weight: 1, arbitrary: fc.constant('truncate' as const) },
    { weight: statements ? 5 : 2, arbitrary: fc.constant('rewrite' as const) },
    { weight: statements ? 8 : 4, arbitrary: xa },
  );
};
export const scriptOf = (statements: boolean): fc.Arbitrary<Script> =>
  fc.record({ changes: fc.array(change, { minLength: 1, maxLength: 5 }), end: endsOf(statements) });

/** An event of the stream: `c`, `u`, `d`, `t` for TRUNCATE; `r` for a row of the backfill or of a repair. */
export interface Line {
  key: number;
  seq: string;
  op: 'c' | 'u' | 'd' | 't' | 'r';
  isPartial?: true;
  /** The event with which a copy of the table begins. */
  isCopy?: true;
  /** A row that was read again, which can have changes that the stream has not reached. */
  isAgain?: true;
  /** A repair has sent it. */
  isRepair?: true;
  a?: number;
  b?: number;
}
type Step = { line: Line } | { savepoint: number } | { rollbackTo: number };

/** A transaction of the binlog. */
export interface Entry {
  transaction: Transaction;
  steps: Step[];
  kind: 'commit' | 'rollback' | 'truncate' | 'rewrite' | 'prepare' | 'xa-commit' | 'xa-rollback';
  /** The entry that prepared it. */
  prepared?: Entry;
  /** The lines that count, and what they did to the table. */
  lines: Line[];
  keys: Set<number>;
  apply(rows: Rows): void;
}

const ENTRIES_PER_FILE = 8;
export const START: Coordinates = { file: 'binlog.000001', position: 4 };
const fileName = (number: number): string => `binlog.${String(number).padStart(6, '0')}`;

/** Transaction number 1 is the first one. */
function placed(number: number): Transaction {
  const file = fileName(1 + Math.floor((number - 1) / ENTRIES_PER_FILE));
  const position = 1000 * (1 + ((number - 1) % ENTRIES_PER_FILE));
  const at = { file, fileNumber: fileNumber(file), position, endPosition: position + 1000, committedAt: Date.now() };
  return { ...transaction(number), ...at };
}

/** Where the next file begins, if this transaction is the last one of its file. */
export const rotationAfter = ({ gtidNumber, fileNumber: number }: Transaction): Coordinates | undefined =>
  gtidNumber % ENTRIES_PER_FILE === 0 ? { file: fileName(number + 1), position: 4 } : undefined;

export const endOf = ({ file, endPosition }: Transaction): Coordinates => ({ file, position: endPosition });

function binlogOf(scripts: readonly Script[], before: Rows, losesRows: boolean): Entry[] {
  const entries: Entry[] = [];
  const rows = new Map(before);
  const pending: { at: number; kind: Entry['kind']; prepared: Entry; changes: Change[] }[] = [];
  const add = (kind: Entry['kind'], changes: readonly Change[], prepared?: Entry): Entry => {
    const made = placed(entries.length + 1);
    const isDone = kind === 'commit' || kind === 'xa-commit';
    const { steps, lines } = stepsOf(changes, rows, made);
    const entry: Entry = {
      ...{ transaction: made, kind, steps, lines: isDone ? lines : [], ...(prepared && { prepared }) },
      keys: new Set(isDone ? lines.map((line) => line.key) : []),
      apply: isDone ? effectOf(lines, rows) : () => {},
    };
    if (kind === 'truncate') {
      entry.lines = [{ key: -1, seq: seqOf(made, 0), op: 't' }];
      entry.apply = (all) => all.clear();
    } else if (kind === 'rewrite') {
      const a = made.gtidNumber * 10 + 9;
      entry.apply = (all) => {
        for (const [each, row] of all) {
          if (losesRows && each % 3 === 0) all.delete(each);
          else all.set(each, { ...row, a });
        }
      };
    }
    entry.apply(rows);
    entries.push(entry);
    return entry;
  };
  scripts.forEach(({ changes, end }, i) => {
    if (typeof end === 'string') add(end, end === 'truncate' || end === 'rewrite' ? [] : changes);
    else {
      const only = changes.filter((each) => !('savepoint' in each || 'rollbackTo' in each));
      pending.push({ at: i + end.after, kind: `xa-${end.xa}`, prepared: add('prepare', []), changes: only });
    }
    for (const each of pending.filter(({ at }) => at === i)) add(each.kind, each.changes, each.prepared);
  });
  for (const each of pending.filter(({ at }) => at >= scripts.length)) add(each.kind, each.changes, each.prepared);
  return entries;
}

const seqOf = ({ fileNumber: file, position }: Transaction, i: number): string =>
  formatSeq({ epoch: 1, file, position: position + 100 + i, ordinal: i });

/** What the changes do to the rows that they find. Changes of rows that are not there do nothing. */
function stepsOf(changes: readonly Change[], before: Rows, made: Transaction): { steps: Step[]; lines: Line[] } {
  let rows = new Map(before);
  const steps: Step[] = [];
  let lines: Line[] = [];
  const savepoints = new Map<number, { rows: Rows; lines: number }>();
  let i = 0;
  const emit = (line: Omit<Line, 'seq'>): void => {
    const full = { ...line, seq: seqOf(made, steps.length) };
    steps.push({ line: full });
    lines.push(full);
  };
  for (const each of changes) {
    const value = made.gtidNumber * 10 + i++;
    if ('put' in each) {
      emit({ key: each.put, op: rows.has(each.put) ? 'u' : 'c', a: value, b: -value });
      rows.set(each.put, { a: value, b: -value });
    } else if ('set' in each) {
      const row = rows.get(each.set);
      if (row === undefined) continue;
      emit({ key: each.set, op: 'u', isPartial: true, [each.column]: value });
      rows.set(each.set, { ...row, [each.column]: value });
    } else if ('delete' in each) {
      if (!rows.delete(each.delete)) continue;
      emit({ key: each.delete, op: 'd', ...(each.isPartial && { isPartial: true }) });
    } else if ('move' in each) {
      const row = rows.get(each.move);
      if (row === undefined || rows.has(each.to)) continue;
      emit({ key: each.move, op: 'd' });
      emit({ key: each.to, op: 'c', ...row });
      rows.delete(each.move);
      rows.set(each.to, row);
    } else if ('savepoint' in each) {
      savepoints.delete(each.savepoint);
      savepoints.set(each.savepoint, { rows: new Map(rows), lines: lines.length });
      steps.push(each);
    } else {
      const saved = savepoints.get(each.rollbackTo);
      if (saved === undefined) continue;
      rows = new Map(saved.rows);
      lines = lines.slice(0, saved.lines);
      const names = [...savepoints.keys()];
      for (const later of names.slice(names.indexOf(each.rollbackTo) + 1)) savepoints.delete(later);
      steps.push(each);
    }
  }
  return { steps, lines };
}

function effectOf(lines: readonly Line[], before: Rows): (rows: Rows) => void {
  const after = foldLines(lines, before);
  const keys = new Set(lines.map((line) => line.key));
  return (rows) => {
    for (const each of keys) {
      const row = after.get(each);
      if (row === undefined) rows.delete(each);
      else rows.set(each, row);
    }
  };
}

/** The table that these events describe. The order is that of `seq`; a partial event changes only its columns. */
export function foldLines(lines: Iterable<Line>, before: Rows = new Map()): Rows {
  const rows = new Map(before);
  const inOrder = [...lines].sort((x, y) => (x.seq < y.seq ? -1 : x.seq > y.seq ? 1 : 0));
  for (const { key: each, op, isPartial, a, b } of inOrder) {
    if (op === 't') rows.clear();
    else if (op === 'd') rows.delete(each);
    else {
      const set = { ...(a !== undefined && { a }), ...(b !== undefined && { b }) };
      rows.set(each, isPartial ? { ...rows.get(each), ...set } : set);
    }
  }
  return rows;
}

/** How a reader knows what SELECT sees. */
export type Watermarks = 'gtids' | 'replica' | 'heartbeat' | 'mariadb';

/** A transaction on the server that is read. On a replica its GTID is owned while it is being committed. */
const Phase = { none: 0, flushed: 1, visible: 2, executed: 3 } as const;

export class SimulatedServer {
  readonly before: Rows;
  readonly binlog: Entry[];
  readonly watermarks: Watermarks;
  /** Transactions that the stream can read. */
  flushed = 0;
  /** By transaction, on the server that is read. */
  readonly #phase: number[];
  /** The table after each number of transactions. */
  readonly #states: Rows[];

  /** @param losesRows whether statements that give no row events delete rows too */
  constructor(scripts: readonly Script[], before: readonly number[], watermarks: Watermarks, losesRows = false) {
    this.before = new Map(before.map((each) => [each, { a: 1, b: -1 }]));
    this.binlog = binlogOf(scripts, this.before, losesRows);
    this.watermarks = watermarks;
    this.#phase = this.binlog.map(() => Phase.none);
    const rows = new Map(this.before);
    this.#states = [new Map(rows)];
    for (const entry of this.binlog) {
      entry.apply(rows);
      this.#states.push(new Map(rows));
    }
  }

  get isQuiet(): boolean {
    return this.flushed === this.binlog.length && this.#phase.every((phase) => phase === Phase.executed);
  }

  /** The table after the first `count` transactions of the binlog. */
  stateAfter(count: number): Rows {
    return this.#states[count] as Rows;
  }

  flush(): void {
    const entry = this.binlog[this.flushed];
    if (entry === undefined) return;
    entry.transaction.committedAt = Date.now();
    if (this.watermarks !== 'replica') this.#phase[this.flushed] = Phase.flushed;
    this.flushed++;
  }

  /** Some transaction comes a step further on the server that is read. */
  proceed(roll: (sides: number) => number): void {
    const able = this.binlog.map((_, i) => i).filter((i) => this.#canProceed(i));
    // Mostly an early one: the others only make gaps.
    const i = able[Math.min(roll(4), roll(4), able.length - 1)];
    if (i !== undefined) this.#phase[i] = (this.#phase[i] as number) + 1;
  }

  #canProceed(i: number): boolean {
    const phase = this.#phase[i] as number;
    if (i >= this.flushed || phase === Phase.executed) return false;
    if (phase === Phase.visible) return true;
    const waitsFor = (j: number): boolean =>
      (this.#phase[j] as number) < Phase.visible && (this.#isOrdered || conflict(this.binlog[i], this.binlog[j]));
    for (let j = 0; j < i; j++) if (waitsFor(j)) return false;
    return true;
  }

  /** Whether it commits in the order of the binlog. */
  get #isOrdered(): boolean {
    return this.watermarks === 'heartbeat' || this.watermarks === 'mariadb';
  }

  isVisible(count: number): boolean {
    return this.#phase.slice(0, count).every((phase) => phase >= Phase.visible);
  }

  /** What SELECT sees now. */
  view(): Rows {
    const rows = new Map(this.before);
    this.binlog.forEach((entry, i) => {
      if ((this.#phase[i] as number) >= Phase.visible) entry.apply(rows);
    });
    return rows;
  }

  /** The number of transactions of a view of a server that commits in order. */
  get visibleCount(): number {
    const first = this.#phase.findIndex((phase) => phase < Phase.visible);
    return first < 0 ? this.#phase.length : first;
  }

  /** gtid_owned, of a replica. */
  get owned(): GtidSet {
    return this.#gtids((phase) => phase === Phase.flushed || phase === Phase.visible);
  }

  get executed(): GtidSet {
    return this.#gtids((phase) => phase === Phase.executed);
  }

  #gtids(matches: (phase: number) => boolean): GtidSet {
    const set = new GtidSet();
    this.#phase.forEach((phase, i) => {
      if (matches(phase)) set.addRange(UUID, i + 1, i + 1);
    });
    return set;
  }

  /** The end of the binlog, in the file that is written now. */
  get end(): Coordinates {
    const last = this.binlog[this.flushed - 1];
    return last === undefined ? START : (rotationAfter(last.transaction) ?? endOf(last.transaction));
  }

  coordinatesAfter(count: number): Coordinates {
    return count === 0 ? START : endOf((this.binlog[count - 1] as Entry).transaction);
  }

  /** How many transactions are before these coordinates. */
  countBefore(at: Coordinates): number {
    return this.binlog.filter((entry) => !isBefore(at, endOf(entry.transaction))).length;
  }
}

function conflict(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const isWhole = ({ kind }: Entry): boolean => kind === 'truncate' || kind === 'rewrite';
  return isWhole(a) || isWhole(b) || [...a.keys].some((each) => b.keys.has(each));
}
