import fc from 'fast-check';
import { expect, vi } from 'vitest';
import type { Delivery, DeliveryOptions } from '../../src/delivery/delivery.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../src/model/replication-position.ts';
import type { Transaction } from '../../src/model/rows-event.ts';
import type { RecordOutcome, Sink } from '../../src/sinks/sink.ts';
import { encodedEvent, lineOf } from '../encoded-event.ts';
import { transaction, UUID } from '../unit/delivery/delivery-harness.ts';

/**
 * A source of random transactions, a sink that fails in every way it can, and a daemon that crashes and resumes from
 * its checkpoint, under virtual time. Whatever happens, what was stored folds to what the source holds.
 */

type Step = { row: number } | { savepoint: number } | { rollbackTo: number };
interface Script {
  steps: Step[];
  /** Prepared transactions end, one way or the other, as many transactions later as `after` says. */
  end: 'commit' | 'rollback' | { xa: 'commit' | 'rollback'; after: number };
}

const KEYS = 8;
/** Keys of which no event is bad, one for each stream: a stream that takes nothing makes no dead letters. */
const SOUND_KEYS = [8, 9];

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ row: fc.nat(KEYS - 1) }) },
  { weight: 1, arbitrary: fc.record({ savepoint: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ rollbackTo: fc.nat(2) }) },
);
const script: fc.Arbitrary<Script> = fc.record({
  steps: fc.array(step, { maxLength: 8 }),
  end: fc.oneof(
    { weight: 6, arbitrary: fc.constant('commit' as const) },
    { weight: 1, arbitrary: fc.constant('rollback' as const) },
    {
      weight: 3,
      arbitrary: fc.record({ xa: fc.constantFrom('commit' as const, 'rollback' as const), after: fc.nat(4) }),
    },
  ),
});

/** What the binlog holds, one entry a transaction. */
interface Entry {
  transaction: Transaction;
  steps: Step[];
  kind: 'commit' | 'rollback' | 'prepare' | 'xa-commit' | 'xa-rollback';
  /** The entry that prepared it. */
  prepared?: Entry;
}

function binlogOf(scripts: readonly Script[]): Entry[] {
  const entries: Entry[] = [];
  const pending: { at: number; kind: Entry['kind']; prepared: Entry }[] = [];
  const add = (kind: Entry['kind'], steps: Step[], prepared?: Entry): Entry => {
    const number = entries.length + 1;
    const entry: Entry = { transaction: transaction(number), steps, kind, ...(prepared && { prepared }) };
    entries.push(entry);
    return entry;
  };
  scripts.forEach(({ steps, end }, i) => {
    if (typeof end === 'string') add(end, steps);
    else {
      const rows = steps.filter((each) => 'row' in each);
      pending.push({ at: i + end.after, kind: `xa-${end.xa}`, prepared: add('prepare', rows) });
    }
    for (const each of pending.filter(({ at }) => at === i)) add(each.kind, [], each.prepared);
  });
  for (const each of pending.filter(({ at }) => at >= scripts.length)) add(each.kind, [], each.prepared);
  add(
    'commit',
    SOUND_KEYS.map((row) => ({ row })),
  );
  return entries;
}

/** The lines of an entry that did happen: `key seq`, the seq of six digits in commit order. */
function linesOf({ transaction, steps, kind, prepared }: Entry): string[] {
  if (kind === 'rollback' || kind === 'prepare' || kind === 'xa-rollback') return [];
  const lines: string[] = [];
  const marks = new Map<number, number>();
  (prepared?.steps ?? steps).forEach((each, i) => {
    if ('row' in each) lines.push(eventLine(each.row, transaction.gtidNumber, i));
    else if ('savepoint' in each) {
      marks.delete(each.savepoint);
      marks.set(each.savepoint, lines.length);
    } else if (marks.has(each.rollbackTo)) {
      lines.length = marks.get(each.rollbackTo) as number;
      forgetBehind([...marks.keys()], each.rollbackTo, (name) => marks.delete(name));
    }
  });
  return lines;
}

/** A rollback to a savepoint forgets those that were set behind it. */
function forgetBehind(inOrder: number[], name: number, forget: (name: number) => void): void {
  for (const later of inOrder.slice(inOrder.indexOf(name) + 1)) forget(later);
}

const eventLine = (key: number, number: number, i: number): string => {
  const line = `${key} ${String(number * 100 + i).padStart(6, '0')}`;
  return fateOf(line) === 'too large' ? line.padEnd(MAX_RECORD_BYTES + 2) : line;
};

/** The key of a line: of any length, none included. */
const keyOfLine = (line: string): string => line.slice(0, 9).repeat(Number(line.slice(2, 8)) % 3);

type Fate = 'sent' | 'too large' | 'refused' | 'named';

/** What must become of a line; all but the first go to the dead letters. */
function fateOf(line: string): Fate {
  if (SOUND_KEYS.includes(Number(line[0]))) return 'sent';
  const mix = (Number(line.slice(2, 8)) * 7) % 23;
  return mix === 0 ? 'too large' : mix === 1 ? 'refused' : mix === 2 ? 'named' : 'sent';
}

/** How a delivery is set up. */
interface Setup {
  /** Resumed by a GTID set, else by coordinates. */
  gtids: boolean;
  /** One event in each record. */
  single: boolean;
  /** Requests of a stream are spaced. */
  paced: boolean;
  /** The sinks want the key of each event. */
  keyed: boolean;
}

class World {
  readonly binlog: Entry[];
  readonly setup: Setup;
  readonly happened: Set<string>;
  /** Everything that is stored at the other side, repeats included. */
  readonly stored: string[] = [];
  /** What lies in the dead letters. */
  readonly aside = new Set<string>();
  checkpoint: string;
  #dice: number;

  constructor(scripts: readonly Script[], setup: Setup, dice: number) {
    this.binlog = binlogOf(scripts);
    this.setup = setup;
    this.happened = new Set(this.binlog.flatMap(linesOf));
    this.checkpoint = setup.gtids ? '' : '4';
    this.#dice = dice;
  }

  /** A number below `sides` (mulberry32). */
  roll(sides: number): number {
    this.#dice = (this.#dice + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#dice ^ (this.#dice >>> 15), 1 | this.#dice);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  }

  position(): ReplicationPosition {
    const { gtids } = this.setup;
    const at = { file: 'binlog.000001', position: gtids ? 4 : Number(this.checkpoint) };
    return new ReplicationPosition(gtids ? GtidSet.parse(this.checkpoint) : undefined, at);
  }

  /** What a server sends to who comes with this checkpoint. */
  rest(): Entry[] {
    const done = this.position();
    return this.binlog.filter(({ transaction }) =>
      done.gtids instanceof GtidSet
        ? !done.gtids.contains(UUID, transaction.gtidNumber)
        : transaction.position >= Math.max(100, done.position),
    );
  }

  /** Nothing that counts as delivered may be missing at the other side. */
  save(delivered: Delivery['delivered']): void {
    const stored = new Set([...this.stored, ...this.aside]);
    for (const entry of this.binlog) {
      const { gtidNumber, endPosition } = entry.transaction;
      const counts =
        delivered.gtids instanceof GtidSet
          ? delivered.gtids.contains(UUID, gtidNumber)
          : endPosition <= delivered.position;
      if (!counts) continue;
      for (const line of linesOf(entry)) expect(stored, `delivered ${gtidNumber}`).toContain(line);
    }
    this.checkpoint = delivered.gtids === undefined ? String(delivered.position) : delivered.gtids.toString();
  }
}

const OUTCOMES: { outcome: RecordOutcome; stores: boolean }[] = [
  { outcome: { kind: 'accepted' }, stores: true },
  { outcome: { kind: 'accepted' }, stores: true },
  { outcome: { kind: 'throttled', reason: 'slow down' }, stores: false },
  { outcome: { kind: 'unknown', reason: 'time-out' }, stores: true },
  { outcome: { kind: 'unknown', reason: 'time-out' }, stores: false },
];

/** No transaction may be larger than a quarter of it: what is sent early cannot be rolled back. */
const BUDGET = 600;
const SLACK = 160;
const MAX_RECORD_BYTES = 70;
const STREAMS = 2;

export type MakeDelivery = new (options: DeliveryOptions) => Delivery;

/** What becomes of the records of a request: a refused event spoils it as a whole, or only its record. */
function answer(world: World, stream: number, records: readonly string[][]): RecordOutcome[] {
  for (const line of records.flat()) {
    expect(['sent', 'refused'], `${line} was sent`).toContain(fateOf(line));
    expect(Number(line[0]) % STREAMS, `the stream of ${line}`).toBe(stream);
  }
  const isRefused = (lines: string[]): boolean => lines.some((line) => fateOf(line) === 'refused');
  const refused = { kind: 'rejected', reason: 'not valid', hint: '' } as const;
  if (records.some(isRefused) && world.roll(2) === 0) return records.map(() => ({ ...refused, scope: 'request' }));
  return records.map((lines) => {
    if (isRefused(lines)) return { ...refused, scope: 'record' };
    const { outcome, stores } = OUTCOMES[world.roll(OUTCOMES.length)] as (typeof OUTCOMES)[0];
    if (stores) world.stored.push(...lines);
    return outcome;
  });
}

/** One life of the daemon, which ends in a crash, or with everything delivered if `toTheEnd`; whether it does. */
async function live(world: World, Made: MakeDelivery, toTheEnd: boolean): Promise<boolean> {
  const open: (() => void)[] = [];
  let broken: unknown;
  const fail = (error: unknown): void => {
    broken ??= error;
  };
  const sink = (stream: number): Sink => ({
    service: 'Firehose',
    needsKeys: world.setup.keyed,
    limits: { maxRecords: 4, maxRecordBytes: MAX_RECORD_BYTES, maxRequestBytes: 300 },
    send: (records) =>
      new Promise((resolve) => {
        const sent = records.map(({ buffers, keys }) => {
          const lines = Buffer.concat(buffers).toString().split('\n').slice(0, -1);
          expect(keys?.map(String)).toEqual(world.setup.keyed ? lines.map(keyOfLine) : undefined);
          return lines;
        });
        open.push(() => {
          try {
            resolve(answer(world, stream, sent));
          } catch (error) {
            fail(error);
          }
        });
      }),
    close() {},
  });
  const { single, paced } = world.setup;
  let paused = false;
  const delivery = new Made({
    targets: Array.from({ length: STREAMS }, (_, i) => ({
      name: String(i),
      sink: sink(i),
      quota: paced ? { requests: 50, records: 300, bytes: 3000 } : undefined,
    })),
    start: world.position(),
    aggregation: single ? 'off' : { maxEvents: 6, maxBytes: 60 },
    lingerMs: 20,
    budgetBytes: BUDGET,
    requestsInFlight: 3,
    isDeadLettered: (event) => fateOf(lineOf(event).trimEnd()) === 'named',
    deadLetter: ({ event, reason, attempts }) =>
      new Promise((resolve) => {
        const line = event.toString().slice(0, -1);
        // As a file: what is being written when the daemon dies may be there or not.
        open.push(() => {
          try {
            const fate = fateOf(line);
            expect(reason, line).toMatch(
              { sent: /never/, 'too large': /bytes/, refused: /not valid/, named: /named/ }[fate],
            );
            if (fate === 'refused') expect(attempts).toBeGreaterThan(0);
            world.aside.add(line);
            resolve();
          } catch (error) {
            fail(error);
          }
        });
      }),
    onBackpressure: (now) => {
      paused = now;
    },
    onDelivered() {
      try {
        world.save(delivery.delivered);
      } catch (error) {
        fail(error);
      }
    },
    onFatal: fail,
  });
  const rest = world.rest();
  const parked = new Set<Entry>();
  for (let round = 0; rest.length > 0 || delivery.bufferedBytes > 0; round++) {
    if (isRefusal(broken)) break;
    if (broken !== undefined) throw broken;
    expect(round, 'it does not come to an end').toBeLessThan(5000);
    switch (world.roll(toTheEnd ? 3 : 12)) {
      case 0:
        await vi.advanceTimersByTimeAsync(world.roll(world.roll(4) === 0 ? 2000 : 60));
        break;
      case 1:
        if (open.length > 0) open.splice(world.roll(open.length), 1)[0]?.();
        await vi.advanceTimersByTimeAsync(0);
        break;
      case 11:
        if (world.roll(3) !== 0) break;
        delivery.stop();
        // What was on the wire may have come through.
        for (const answer of open) answer();
        await vi.advanceTimersByTimeAsync(0);
        return false;
      default: {
        const entry = paused ? undefined : rest.shift();
        if (entry) tell(delivery, entry, parked);
        expect(delivery.bufferedBytes).toBeLessThanOrEqual(BUDGET + SLACK);
        delivery.assertCounters();
        // Nothing to be read: time passes.
        if (entry === undefined) await vi.advanceTimersByTimeAsync(50);
      }
    }
  }
  delivery.stop();
  if (broken === undefined) return true;
  if (!isRefusal(broken)) throw broken;
  return false;
}

/** A stream that has taken nothing yet and refuses an event stops the daemon; the next one may meet another event first. */
const isRefusal = (error: unknown): boolean => /rejected the events/.test(String(error));

function tell(delivery: Delivery, entry: Entry, parked: Set<Entry>): void {
  const { transaction, steps, kind, prepared } = entry;
  const append = (key: number, i: number): void => {
    const line = eventLine(key, transaction.gtidNumber, i);
    delivery.append(key % STREAMS, encodedEvent(`${line}\n`, keyOfLine(line), key));
  };
  if (kind === 'prepare') {
    parked.add(entry);
    delivery.xaPrepared(transaction);
    return;
  }
  if (prepared !== undefined) {
    expect(parked, 'rows of an XA transaction that ends').toContain(prepared);
    if (kind === 'xa-commit') {
      for (const [i, each] of prepared.steps.entries()) if ('row' in each) append(each.row, i);
    }
    delivery.commit({ ...transaction, preparedTransaction: prepared.transaction });
    return;
  }
  const set = new Set<number>();
  for (const [i, each] of steps.entries()) {
    if ('row' in each) append(each.row, i);
    else if ('savepoint' in each) {
      set.delete(each.savepoint);
      set.add(each.savepoint);
      delivery.savepoint(String(each.savepoint));
    } else if (set.has(each.rollbackTo)) {
      delivery.rollbackTo(String(each.rollbackTo));
      forgetBehind([...set], each.rollbackTo, (name) => set.delete(name));
    }
  }
  if (kind === 'rollback') delivery.rollback();
  delivery.commit(transaction);
}

function judge(world: World): void {
  const fold = new Map<string, string>();
  const highest = new Map<string, string>();
  const last = new Map<string, string>();
  const seen = new Set<string>();
  for (const line of world.stored) {
    expect(world.happened, 'a phantom').toContain(line);
    const [key, seq] = line.split(' ') as [string, string];
    if (seq > (fold.get(key) ?? '')) fold.set(key, seq);
    last.set(key, seq);
    if (seen.has(line)) continue;
    seen.add(line);
    // First deliveries of a key come in order; in a run of records only the last word counts.
    if (!world.setup.single) expect(seq > (highest.get(key) ?? ''), `${line} behind ${highest.get(key)}`).toBe(true);
    highest.set(key, seq);
  }
  const happened = [...world.happened];
  const source = new Map<string, string>();
  for (const line of happened) {
    const [key, seq] = line.split(' ') as [string, string];
    if (fateOf(line) === 'sent') source.set(key, seq);
  }
  expect(fold).toEqual(source);
  expect(last, 'the last word on each key').toEqual(source);
  expect(seen).toEqual(new Set(happened.filter((line) => fateOf(line) === 'sent')));
  expect(world.aside).toEqual(new Set(happened.filter((line) => fateOf(line) !== 'sent')));
}

/** @throws the first counterexample, when lives of this delivery lose, reorder, invent or never end */
export async function checkDelivery(Made: MakeDelivery, setup: Setup, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(script, { minLength: 1, maxLength: 50, size: 'max' }),
      fc.integer(),
      fc.nat(4),
      async (scripts, dice, crashes) => {
        const world = new World(scripts, setup, dice);
        for (let i = 0; i < crashes; i++) await live(world, Made, false);
        for (let i = 0; i < 50 && !(await live(world, Made, true)); i++);
        judge(world);
        expect(world.rest(), 'what is not delivered').toEqual([]);
      },
    ),
    { numRuns: runs, endOnFailure: true },
  );
}
