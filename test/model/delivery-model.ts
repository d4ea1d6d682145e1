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
 * A source of random transactions, a sink with every kind of failure, and a daemon that crashes and resumes from its
 * checkpoint, under virtual time. After every history the stored events fold to the rows of the source.
 */

type Step = { row: number } | { savepoint: number } | { rollbackTo: number };
interface Script {
  steps: Step[];
  /** A prepared transaction is committed or rolled back `after` transactions later. */
  end: 'commit' | 'rollback' | { xa: 'commit' | 'rollback'; after: number };
}

const KEYS = 8;
/** Keys without a rejected event, one for each stream. A stream that accepts nothing makes no dead letters. */
const ACCEPTED_KEYS = [8, 9];

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

/** An entry of the binlog: one transaction. */
interface Entry {
  transaction: Transaction;
  steps: Step[];
  kind: 'commit' | 'rollback' | 'prepare' | 'xa-commit' | 'xa-rollback';
  /** The entry that prepared it. */
  prepared?: Entry;
}

function binlogOf(scripts: readonly Script[], { transport }: Setup): Entry[] {
  const entries: Entry[] = [];
  const pending: { at: number; kind: Entry['kind']; prepared: Entry }[] = [];
  const add = (kind: Entry['kind'], steps: Step[], prepared?: Entry): Entry => {
    const number = entries.length + 1;
    const entry: Entry = { transaction: transaction(number), steps, kind, ...(prepared && { prepared }) };
    entries.push(entry);
    return entry;
  };
  scripts.forEach(({ steps, end }, i) => {
    // Where keys share lanes, all lanes of a stream can begin with a rejected event: that stops the daemon.
    const accepted = transport === 'firehose' ? [] : ACCEPTED_KEYS.map((row) => ({ row }));
    if (typeof end === 'string') add(end, end === 'commit' ? [...steps, ...accepted] : steps);
    else {
      const rows = steps.filter((each) => 'row' in each);
      pending.push({ at: i + end.after, kind: `xa-${end.xa}`, prepared: add('prepare', rows) });
    }
    for (const each of pending.filter(({ at }) => at === i)) add(each.kind, [], each.prepared);
  });
  for (const each of pending.filter(({ at }) => at >= scripts.length)) add(each.kind, [], each.prepared);
  add(
    'commit',
    ACCEPTED_KEYS.map((row) => ({ row })),
  );
  return entries;
}

/** The lines of a committed entry: `key seq`. The seq has six digits and grows in commit order. */
function linesOf({ transaction, steps, kind, prepared }: Entry): string[] {
  if (kind === 'rollback' || kind === 'prepare' || kind === 'xa-rollback') return [];
  const lines: string[] = [];
  const savepoints = new Map<number, number>();
  (prepared?.steps ?? steps).forEach((each, i) => {
    if ('row' in each) lines.push(eventLine(each.row, transaction.gtidNumber, i));
    else if ('savepoint' in each) {
      savepoints.delete(each.savepoint);
      savepoints.set(each.savepoint, lines.length);
    } else if (savepoints.has(each.rollbackTo)) {
      lines.length = savepoints.get(each.rollbackTo) as number;
      forgetLater([...savepoints.keys()], each.rollbackTo, (name) => savepoints.delete(name));
    }
  });
  return lines;
}

/** A rollback to a savepoint forgets the savepoints that were set after it. */
function forgetLater(inOrder: number[], name: number, forget: (name: number) => void): void {
  for (const later of inOrder.slice(inOrder.indexOf(name) + 1)) forget(later);
}

const eventLine = (key: number, number: number, i: number): string => {
  const line = `${key} ${String(number * 100 + i).padStart(6, '0')}`;
  return fateOf(line) === 'too large' ? line.padEnd(MAX_RECORD_BYTES + 2) : line;
};

/**
 * The key of a line. Firehose does nothing with it, so there it can have any length, can be empty, and differs from
 * event to event.
 */
const keyOfLine = (line: string, { transport }: Setup): string =>
  transport === 'firehose' ? line.slice(0, 9).repeat(Number(line.slice(2, 8)) % 3) : `{"id":${line[0]}}`;

/** Logs keep the order of a key, so there several keys share a lane. */
const keyHashOf = (key: number, { transport }: Setup): number =>
  transport === 'firehose' || ACCEPTED_KEYS.includes(key) ? key : key % 4;

type Fate = 'sent' | 'too large' | 'rejected' | 'named';

/** The expected outcome of a line. All except `sent` are moved to the dead letters. */
function fateOf(line: string): Fate {
  if (ACCEPTED_KEYS.includes(Number(line[0]))) return 'sent';
  const mix = (Number(line.slice(2, 8)) * 7) % 23;
  return mix === 0 ? 'too large' : mix === 1 ? 'rejected' : mix === 2 ? 'named' : 'sent';
}

/** The setup of a delivery. */
export interface Setup {
  /** Resumes by a GTID set; otherwise by coordinates. */
  gtids: boolean;
  /** One event per record. */
  single: boolean;
  /** A quota spaces the requests of a stream. */
  paced: boolean;
  /** The sinks need the key of each event. */
  keyed: boolean;
  /**
   * How the other side stores the records of a request. Kinesis: each record by itself. Kafka: of each partition, all
   * up to the first that fails.
   */
  transport: 'firehose' | 'kinesis' | 'kafka';
}

class World {
  readonly binlog: Entry[];
  readonly setup: Setup;
  /** The lines of all committed transactions. */
  readonly committed: Set<string>;
  /** Everything that the sink has stored, with repeats. */
  readonly stored: string[] = [];
  /** Lines in the dead letters. */
  readonly deadLettered = new Set<string>();
  checkpoint: string;
  #dice: number;

  constructor(scripts: readonly Script[], setup: Setup, dice: number) {
    this.binlog = binlogOf(scripts, setup);
    this.setup = setup;
    this.committed = new Set(this.binlog.flatMap(linesOf));
    this.checkpoint = setup.gtids ? '' : '4';
    this.#dice = dice;
  }

  /** A random number below `sides` (mulberry32). */
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

  /** The entries that a server sends after this checkpoint. */
  rest(): Entry[] {
    const done = this.position();
    return this.binlog.filter(({ transaction }) =>
      done.gtids instanceof GtidSet
        ? !done.gtids.contains(UUID, transaction.gtidNumber)
        : transaction.position >= Math.max(100, done.position),
    );
  }

  /** Saves the checkpoint. Every event that counts as delivered must be stored or in the dead letters. */
  save(delivered: Delivery['delivered']): void {
    const stored = new Set([...this.stored, ...this.deadLettered]);
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

/** At least four times the size of the largest transaction. Events that are sent early cannot be rolled back. */
const BUDGET = 600;
const SLACK = 160;
const MAX_RECORD_BYTES = 70;
const STREAMS = 2;

export type MakeDelivery = new (options: DeliveryOptions) => Delivery;

/** The outcomes of a request. A rejected event rejects the whole request or only its record. */
function answer(world: World, stream: number, records: readonly string[][]): RecordOutcome[] {
  for (const line of records.flat()) {
    expect(['sent', 'rejected'], `${line} was sent`).toContain(fateOf(line));
    expect(Number(line[0]) % STREAMS, `the stream of ${line}`).toBe(stream);
  }
  const isRejected = (lines: string[]): boolean => lines.some((line) => fateOf(line) === 'rejected');
  const rejected = { kind: 'rejected', reason: 'not valid', hint: '' } as const;
  if (records.some(isRejected) && world.roll(2) === 0) return records.map(() => ({ ...rejected, scope: 'request' }));
  const failed = new Set<number>();
  return records.map((lines) => {
    const partition = Number(lines[0]?.[0]) % 3;
    if (world.setup.transport === 'kafka' && failed.has(partition))
      return { kind: 'throttled', reason: 'not in order' };
    if (isRejected(lines)) {
      failed.add(partition);
      return { ...rejected, scope: 'record' };
    }
    const { outcome, stores } = OUTCOMES[world.roll(OUTCOMES.length)] as (typeof OUTCOMES)[0];
    if (stores) world.stored.push(...lines);
    // Behind a batch whose outcome is unknown, nothing of its partition is sent.
    if (outcome.kind !== 'accepted') failed.add(partition);
    return outcome;
  });
}

/** What delivery has to know of the transport. Its partitions are full from time to time. */
function orderedSink(world: World): Partial<Sink> {
  if (world.setup.transport === 'firehose') return {};
  if (world.setup.transport === 'kafka') return { isLog: true };
  return { isLog: true, oneRecordPerKey: true, pacer: { admit: () => (world.roll(6) === 0 ? 1 + world.roll(40) : 0) } };
}

/** No event is sent again that was accepted. */
function noteAccepted(accepted: Set<string>, sent: readonly string[][], outcomes: readonly RecordOutcome[]): void {
  for (const [i, lines] of sent.entries()) {
    for (const line of lines) {
      expect(accepted, `${line} was sent again`).not.toContain(line);
      if (outcomes[i]?.kind === 'accepted') accepted.add(line);
    }
  }
}

/** Runs the daemon until it crashes, or with `toTheEnd` until everything is delivered. Returns whether it is. */
async function runDaemon(world: World, Made: MakeDelivery, toTheEnd: boolean): Promise<boolean> {
  const open: (() => void)[] = [];
  /** What was acknowledged to this daemon. It sends none of it again to a log. */
  const accepted = new Set<string>();
  let broken: unknown;
  const fail = (error: unknown): void => {
    broken ??= error;
  };
  const { single, paced, transport } = world.setup;
  const sink = (stream: number): Sink => ({
    service: 'Firehose',
    needsKeys: world.setup.keyed,
    ...orderedSink(world),
    limits: { maxRecords: 4, maxRecordBytes: MAX_RECORD_BYTES, maxRequestBytes: 300 },
    send: (records) =>
      new Promise((resolve) => {
        const sent = records.map(({ buffers, events, lane }) => {
          const lines = Buffer.concat(buffers).toString().split('\n').slice(0, -1);
          const keys = lines.map((line) => keyOfLine(line, world.setup));
          expect(events?.map(({ key }) => String(key))).toEqual(world.setup.keyed ? keys : undefined);
          if (transport !== 'firehose') {
            expect(buffers.map(String), 'a buffer for each event').toEqual(lines.map((line) => `${line}\n`));
            expect(new Set(lines.map((line) => keyHashOf(Number(line[0]), world.setup))), 'one lane').toEqual(
              new Set([lane]),
            );
          }
          return lines;
        });
        const inRequest = sent.flat().map((line) => line[0]);
        if (single && world.setup.transport === 'kinesis') expect(new Set(inRequest).size).toBe(inRequest.length);
        open.push(() => {
          try {
            const outcomes = answer(world, stream, sent);
            if (transport !== 'firehose') noteAccepted(accepted, sent, outcomes);
            resolve(outcomes);
          } catch (error) {
            fail(error);
          }
        });
      }),
    close() {},
  });
  let paused = false;
  const delivery = new Made({
    targets: Array.from({ length: STREAMS }, (_, i) => ({
      name: String(i),
      sink: sink(i),
      quota: paced ? { requests: 50, records: 300, bytes: 3000 } : undefined,
      aggregation: single ? 'off' : { maxEvents: 6, maxBytes: 60 },
      lingerMs: 20,
    })),
    start: world.position(),
    budgetBytes: BUDGET,
    requestsInFlight: 3,
    shouldDeadLetter: (event) => fateOf(lineOf(event).trimEnd()) === 'named',
    deadLetter: ({ event, reason, attempts }) =>
      new Promise((resolve) => {
        const line = event.toString().slice(0, -1);
        // Like a file: a dead letter that is being written during a crash can exist afterwards or not.
        open.push(() => {
          try {
            const fate = fateOf(line);
            expect(reason, line).toMatch(
              { sent: /never/, 'too large': /bytes/, rejected: /not valid/, named: /named/ }[fate],
            );
            if (fate === 'rejected') expect(attempts).toBeGreaterThan(0);
            world.deadLettered.add(line);
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
  const prepared = new Set<Entry>();
  for (let round = 0; rest.length > 0 || delivery.bufferedBytes > 0; round++) {
    if (isStreamRejection(broken)) break;
    if (broken !== undefined) throw broken;
    expect(round, 'delivery does not end').toBeLessThan(5000);
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
        // Requests on the wire can still arrive.
        for (const answer of open) answer();
        await vi.advanceTimersByTimeAsync(0);
        return false;
      default: {
        const entry = paused ? undefined : rest.shift();
        if (entry) feed(delivery, entry, prepared, world.setup);
        expect(delivery.bufferedBytes).toBeLessThanOrEqual(BUDGET + SLACK);
        delivery.assertCounters();
        // Nothing to read: time passes.
        if (entry === undefined) await vi.advanceTimersByTimeAsync(50);
      }
    }
  }
  delivery.stop();
  if (broken === undefined) return true;
  if (!isStreamRejection(broken)) throw broken;
  return false;
}

/** A stream that rejects its first event stops the daemon. The next run can send another event first. */
const isStreamRejection = (error: unknown): boolean => /rejected the events/.test(String(error));

/** Passes an entry of the binlog to the delivery, as the pipeline does. */
function feed(delivery: Delivery, entry: Entry, preparedEntries: Set<Entry>, setup: Setup): void {
  const { transaction, steps, kind, prepared } = entry;
  const append = (key: number, i: number): void => {
    const line = eventLine(key, transaction.gtidNumber, i);
    delivery.append(key % STREAMS, encodedEvent(`${line}\n`, keyOfLine(line, setup), keyHashOf(key, setup)));
  };
  if (kind === 'prepare') {
    preparedEntries.add(entry);
    delivery.xaPrepared(transaction);
    return;
  }
  if (prepared !== undefined) {
    expect(preparedEntries, 'rows of an XA transaction that ends').toContain(prepared);
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
      forgetLater([...set], each.rollbackTo, (name) => set.delete(name));
    }
  }
  if (kind === 'rollback') delivery.rollback();
  delivery.commit(transaction);
}

/** Checks what was stored against what was committed. */
function checkWorld(world: World): void {
  const fold = new Map<string, string>();
  const highest = new Map<string, string>();
  const last = new Map<string, string>();
  const seen = new Set<string>();
  for (const line of world.stored) {
    expect(world.committed, 'a phantom').toContain(line);
    const [key, seq] = line.split(' ') as [string, string];
    if (seq > (fold.get(key) ?? '')) fold.set(key, seq);
    last.set(key, seq);
    if (seen.has(line)) continue;
    seen.add(line);
    // The first deliveries of a key arrive in order. With one event per record of Firehose only the last one counts.
    if (!world.setup.single || world.setup.transport !== 'firehose')
      expect(seq > (highest.get(key) ?? ''), `${line} after ${highest.get(key)}`).toBe(true);
    highest.set(key, seq);
  }
  const committed = [...world.committed];
  const source = new Map<string, string>();
  for (const line of committed) {
    const [key, seq] = line.split(' ') as [string, string];
    if (fateOf(line) === 'sent') source.set(key, seq);
  }
  expect(fold).toEqual(source);
  expect(last, 'the last delivery of each key').toEqual(source);
  expect(seen).toEqual(new Set(committed.filter((line) => fateOf(line) === 'sent')));
  expect(world.deadLettered).toEqual(new Set(committed.filter((line) => fateOf(line) !== 'sent')));
}

/** @throws the first counterexample in which this delivery loses, reorders or invents an event, or never ends */
export async function checkDelivery(Made: MakeDelivery, setup: Setup, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(script, { minLength: 1, maxLength: 50, size: 'max' }),
      fc.integer(),
      fc.nat(4),
      async (scripts, dice, crashes) => {
        const world = new World(scripts, setup, dice);
        for (let i = 0; i < crashes; i++) await runDaemon(world, Made, false);
        for (let i = 0; i < 50 && !(await runDaemon(world, Made, true)); i++);
        checkWorld(world);
        expect(world.rest(), 'undelivered transactions').toEqual([]);
      },
    ),
    { numRuns: runs, endOnFailure: true },
  );
}
