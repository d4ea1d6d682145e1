import fc from 'fast-check';
import { expect, vi } from 'vitest';
import type { Backfill } from '../../src/backfill/backfill.ts';
import type { MergePoint } from '../../src/backfill/merge/merge-point.ts';
import type { Ordinals } from '../../src/backfill/merge/ordinals.ts';
import type { KeyValues } from '../../src/backfill/read/key-predicate.ts';
import type { Processed } from '../../src/backfill/read/row-chunk.ts';
import type { Repairs } from '../../src/backfill/repair/repairs.ts';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { CHECKPOINT_INTERVAL_MS, Checkpointer } from '../../src/checkpoint/checkpointer.ts';
import type { Delivery } from '../../src/delivery/delivery.ts';
import { type BackfillProgress, NO_BACKFILL } from '../../src/model/backfill-progress.ts';
import type { TableWatches } from '../../src/model/chunk-window.ts';
import { type Coordinates, isBefore } from '../../src/model/coordinates.ts';
import { Coverage, type SavedCoverage } from '../../src/model/coverage.ts';
import { GtidSet } from '../../src/model/gtid-set.ts';
import { ReplicationPosition } from '../../src/model/replication-position.ts';
import { parseSeq } from '../../src/model/seq.ts';
import { ColumnType } from '../../src/model/table.ts';
import type { CdcError } from '../../src/runtime/error.ts';
import type { Log } from '../../src/runtime/log.ts';
import type { RecordOutcome, Sink } from '../../src/sinks/sink.ts';
import { UUID } from '../unit/delivery/delivery-harness.ts';
import { keyNumber, lineEvent, SimulatedReader, simulatedOutput } from './backfill-reader.ts';
import {
  type Entry,
  endOf,
  foldLines,
  KEYS,
  type Line,
  rotationAfter,
  SimulatedServer,
  START,
  scriptOf,
  type Watermarks,
} from './backfill-server.ts';

/**
 * The real windows, merge, scheduler, progress and delivery, between a simulated server and a sink with failures, with
 * crashes that resume from the checkpoint, under virtual time. After every history the stored events, rows of the
 * backfill and of repairs among them, fold to the table of the server.
 */

/** The parts under test: the real ones, or mutants of them. */
export interface BackfillParts {
  Backfill: typeof Backfill;
  Repairs: typeof Repairs;
  Delivery: typeof Delivery;
  MergePoint: typeof MergePoint;
  Ordinals: typeof Ordinals;
  TableWatches: typeof TableWatches;
}

export interface BackfillSetup {
  watermarks: Watermarks;
  parallel: number;
  /** Half of the transactions are statements that change rows without row events, or XA transactions. */
  statements?: boolean;
  /** The copy of a table that is not complete begins with an event that empties it; rows can go without an event. */
  replaces?: boolean;
  /** No index orders the rows: they are read in one view. */
  whole?: boolean;
}

const SCHEMA = 'd';
const TABLE = 't';
const BUDGET = 3000;
/** More would need more ordinals than the model reserves. */
const REPAIR_KEYS = 3;
const KEY_COLUMN = {
  ...{ name: 'k', type: ColumnType.LONG, meta: 0, unsigned: false, collation: 0, labels: [], nullable: false },
  ...{ visible: true, charset: null, collationName: null, isHashed: false },
};

/** What a daemon finds when it starts. */
interface Saved {
  gtids: string | null;
  at: Coordinates;
  backfill: BackfillProgress;
  coverage: SavedCoverage;
}

class World {
  readonly server: SimulatedServer;
  readonly setup: BackfillSetup;
  /** Everything that the sink has stored, with repeats, and where each daemon began. */
  readonly stored: Line[] = [];
  readonly bySeq = new Map<string, string>();
  saved: Saved;
  #dice: number;

  constructor(server: SimulatedServer, setup: BackfillSetup, dice: number) {
    this.server = server;
    this.setup = setup;
    this.#dice = dice;
    this.saved = {
      gtids: this.hasGtids ? '' : null,
      at: START,
      backfill: NO_BACKFILL,
      coverage: { followedSince: null, complete: [], incomplete: [] },
    };
  }

  get hasGtids(): boolean {
    return this.setup.watermarks === 'gtids' || this.setup.watermarks === 'replica';
  }

  /** A random number below `sides` (mulberry32). */
  readonly roll = (sides: number): number => {
    this.#dice = (this.#dice + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#dice ^ (this.#dice >>> 15), 1 | this.#dice);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };

  position({ gtids, at } = this.saved): ReplicationPosition {
    return new ReplicationPosition(gtids === null ? undefined : GtidSet.parse(gtids), at);
  }

  /** The transactions that a server sends after a position. */
  rest(saved = this.saved): Entry[] {
    const { gtids, coordinates } = this.position(saved);
    return this.server.binlog.filter(({ transaction }) =>
      gtids instanceof GtidSet
        ? !gtids.contains(UUID, transaction.gtidNumber)
        : isBefore(coordinates, endOf(transaction)),
    );
  }

  /** A crash can follow: what is stored and what the stream sends again must make up for all that counts as done. */
  checkSaved(saved: Saved): void {
    const rest = this.rest(saved).filter(({ transaction }) => transaction.gtidNumber <= this.server.flushed);
    // Such a statement begins the table again.
    if (rest.some(({ kind }) => kind === 'rewrite')) return;
    const [table] = saved.backfill.tables;
    const isComplete = saved.coverage.complete.length > 0;
    if (table === undefined && !isComplete) return;
    const isDone = (key: number): boolean =>
      isComplete ||
      // Before the event that begins a copy, nothing of it counts.
      (table?.begun === true &&
        !table.ranges.some(
          ({ after, upTo }) => (after === null || key > keyNumber(after)) && (upTo === null || key <= keyNumber(upTo)),
        ));
    const lake = foldLines([...this.stored, ...rest.flatMap(({ lines }) => lines)]);
    const now = this.server.stateAfter(this.server.flushed);
    for (let key = 0; key < KEYS; key++) {
      if (isDone(key)) expect(lake.get(key), `key ${key} counts as done`).toEqual(now.get(key));
    }
  }

  store(lines: readonly Line[], newInThisRun: Map<number, string>, seenInThisRun: Set<string>): void {
    for (const line of lines) {
      const text = JSON.stringify(line);
      const known = this.bySeq.get(line.seq);
      if (known === undefined) this.bySeq.set(line.seq, text);
      else expect(text, 'two events with one seq').toBe(known);
      this.stored.push(line);
      if (seenInThisRun.has(line.seq)) continue;
      seenInThisRun.add(line.seq);
      expect(line.seq > (newInThisRun.get(line.key) ?? ''), `${text} after a later event`).toBe(true);
      newInThisRun.set(line.key, line.seq);
      if (line.op === 'r' || line.isRepair) this.checkRow(line);
    }
  }

  /** A row, or a deletion of a repair, is the state of its key at its place in the stream. */
  checkRow({ key, seq, op, isAgain, a, b }: Line): void {
    const { file, position } = parseSeq(seq)!;
    const count = this.server.countBefore({ file: `binlog.${String(file).padStart(6, '0')}`, position: position + 1 });
    const row = op === 'd' ? undefined : JSON.stringify({ a, b });
    const isTrueAfter = (n: number): boolean => JSON.stringify(this.server.stateAfter(n).get(key)) === row;
    if (!isAgain) expect(isTrueAfter(count), `key ${key} is ${row} after ${count} transactions`).toBe(true);
    const later = Array.from({ length: this.server.flushed - count + 1 }, (_, i) => count + i);
    expect(later.some(isTrueAfter), `key ${key} is ${row} after ${count} transactions or more`).toBe(true);
  }
}

const OUTCOMES: { outcome: RecordOutcome; stores: boolean }[] = [
  ...Array.from({ length: 5 }, () => ({ outcome: { kind: 'accepted' as const }, stores: true })),
  { outcome: { kind: 'throttled', reason: 'slow down' }, stores: false },
  { outcome: { kind: 'unknown', reason: 'time-out' }, stores: true },
  { outcome: { kind: 'unknown', reason: 'time-out' }, stores: false },
];

const ACTIONS = [
  'time',
  'flush',
  'commit',
  'commit',
  'sink',
  'reader',
  'reader',
  'save',
  'stream',
  'stream',
  'control',
  'repair',
  'crash',
] as const;
type Action = (typeof ACTIONS)[number];

/** One life of a daemon, from its checkpoint to a crash. */
class Daemon {
  readonly #world: World;
  readonly #parts: BackfillParts;
  /** What waits for the dice: answers of the sink, steps of a reader, the save of a checkpoint. */
  #waiting: { kind: 'sink' | 'reader' | 'save'; go: () => void }[] = [];
  readonly #abort = new AbortController();
  readonly #coverage: Coverage;
  readonly #delivery: Delivery;
  readonly #watches: TableWatches;
  readonly #merge: MergePoint;
  readonly #ordinals: Ordinals;
  readonly #backfill: Backfill;
  readonly #repairs: Repairs;
  readonly #checkpointer: Checkpointer;
  readonly #rest: Entry[];
  readonly #order = new Map<number, string>();
  readonly #seen = new Set<string>();
  /** What of the open transaction the stream has still to give. */
  #steps: (() => void)[] = [];
  #boundary: Coordinates;
  #pauses = 0;
  #openRepairs = 0;
  /** Keys that repairs of this daemon have sent, and the events that are stored of them. */
  #repaired = 0;
  readonly #storedRepairs = new Set<string>();
  #isCrashed = false;
  #isOverBudget = false;
  #broken: unknown;

  constructor(world: World, parts: BackfillParts) {
    this.#world = world;
    this.#parts = parts;
    const start = world.position();
    this.#boundary = start.coordinates;
    this.#rest = world.rest();
    this.#coverage = new Coverage(world.saved.coverage);
    this.#delivery = this.#createDelivery(start);
    this.#watches = new parts.TableWatches();
    const stream = Object.defineProperty({}, 'boundary', {
      get: () => (this.#steps.length > 0 ? undefined : this.#isAtEnd ? world.server.end : this.#boundary),
    }) as { boundary: Coordinates | undefined };
    const { signal } = this.#abort;
    this.#merge = new parts.MergePoint(this.#delivery, { watches: this.#watches, stream, start, signal });
    this.#ordinals = new parts.Ordinals(world.saved.backfill.ordinals);
    this.#backfill = this.#createBackfill();
    this.#repairs = this.#createRepairs();
    const saveIntervalMs = { busy: CHECKPOINT_INTERVAL_MS, idle: CHECKPOINT_INTERVAL_MS };
    this.#checkpointer = new Checkpointer(
      { saveIntervalMs, save: (checkpoint) => this.#save(checkpoint) },
      {
        current: () => this.#current(),
        deliveredEvents: () => this.#delivery.counters.events,
        onError: (error) => this.#fail(error),
        onSaved: ({ backfill }) => this.#ordinals.saved(backfill?.ordinals ?? 0),
      },
    );
  }

  /** Runs until a crash, or with `toTheEnd` until nothing is left to do. Returns whether that is so. */
  async run(toTheEnd: boolean): Promise<boolean> {
    const { roll } = this.#world;
    if (this.#world.saved.backfill === NO_BACKFILL) await this.#request();
    const first = this.#current();
    this.#write(first);
    this.#ordinals.saved(first.backfill?.ordinals ?? 0);
    this.#backfill.run();
    // Each life has its own pace: a stream that is ahead of SELECT, a slow sink, a reader that sleeps.
    const actions = ACTIONS.flatMap((action) => Array<Action>(1 + roll(roll(5) + 1)).fill(action));
    for (let round = 0; !this.#isCrashed && (!toTheEnd || !this.#isIdle()); round++) {
      if (this.#broken !== undefined) throw this.#broken;
      if (round > 20_000) throw new Error(`it does not end: ${this.#describe()}`);
      await this.#act(actions[roll(actions.length)] as Action, toTheEnd);
      await vi.advanceTimersByTimeAsync(roll(3) === 0 ? 5 : 0);
      if (roll(16) === 0) this.#delivery.assertCounters();
      this.#checkFinished();
      if (toTheEnd) await this.#requestAgain();
    }
    if (!toTheEnd) return false;
    await this.#crash();
    this.#write(this.#current());
    return true;
  }

  /** The server has sent everything, the rotation behind the last transaction too. */
  get #isAtEnd(): boolean {
    const next = this.#rest[0];
    return next === undefined || next.transaction.gtidNumber > this.#world.server.flushed;
  }

  async #act(action: Action, toTheEnd: boolean): Promise<void> {
    const { roll, server } = this.#world;
    switch (action) {
      case 'time':
        return void (await vi.advanceTimersByTimeAsync(roll(roll(4) === 0 ? 500 : 20)));
      case 'flush':
        return server.flush();
      case 'commit':
        return server.proceed(roll);
      case 'control':
        if (!toTheEnd && roll(20) === 0) this.#control();
        else if (this.#backfill.isDone && !server.isQuiet && roll(6) === 0) await this.#request();
        return;
      case 'repair':
        if (this.#openRepairs < 2 && !server.isQuiet && roll(8) === 0) this.#repair();
        return;
      case 'crash':
        if (!toTheEnd && roll(60) === 0) await this.#crash();
        return;
      case 'stream':
        return this.#readStream();
      default: {
        const waiting = this.#waiting.filter(({ kind }) => kind === action);
        const one = waiting[roll(waiting.length)];
        if (one === undefined) return;
        this.#waiting.splice(this.#waiting.indexOf(one), 1);
        one.go();
      }
    }
  }

  #createDelivery(start: ReplicationPosition): Delivery {
    const sink: Sink = {
      service: 'Firehose',
      needsKeys: false,
      limits: { maxRecords: 4, maxRecordBytes: 500, maxRequestBytes: 1500 },
      send: (records) =>
        new Promise((resolve) => {
          const sent = records.map(({ buffers }) => Buffer.concat(buffers).toString().split('\n').slice(0, -1));
          this.#waiting.push({ kind: 'sink', go: () => resolve(sent.map((lines) => this.#answer(lines))) });
        }),
      close() {},
    };
    return new this.#parts.Delivery({
      targets: [{ name: 'lake', sink, aggregation: { maxEvents: 4, maxBytes: 400 }, lingerMs: 10 }],
      start,
      budgetBytes: BUDGET,
      requestsInFlight: 3,
      deadLetter: () => Promise.reject(new Error('a dead letter')),
      onBackpressure: (paused) => {
        this.#isOverBudget = paused;
      },
      onDelivered: () => this.#markDirty(),
      onFatal: (error) => this.#fail(error),
    });
  }

  #createBackfill(): Backfill {
    const { saved, setup, server, roll } = this.#world;
    const step = (): Promise<void> => new Promise((resolve) => this.#waiting.push({ kind: 'reader', go: resolve }));
    const connection = {
      waitUntilVisible: (processed: Processed) => new SimulatedReader(server, roll, step).waitUntilVisible(processed),
      describe: async () => {
        await step();
        return { schema: SCHEMA, name: TABLE, columns: [], primaryKey: [0] };
      },
      use: async () => new SimulatedReader(server, roll, step, setup.whole !== true),
      close: async () => {},
    };
    const quiet = (): void => {};
    return new this.#parts.Backfill({
      config: { parallel: setup.parallel, chunk_time: 500, max_lag: 1e12 } as never,
      saved: saved.backfill,
      finished: [],
      sendsTruncates: setup.replaces === true,
      binlogEnd: server.end,
      coverage: this.#coverage,
      delivery: this.#delivery,
      merge: this.#merge,
      watches: this.#watches,
      ordinals: this.#ordinals,
      createOutput: () => simulatedOutput(this.#delivery) as never,
      log: { info: quiet, warn: quiet, error: (line: unknown) => this.#fail(line) } as unknown as Log,
      signal: this.#abort.signal,
      openConnection: async () => connection as never,
      isCaptured: () => true,
      caseSensitive: true,
      resolveTables: async () => [{ schema: SCHEMA, table: TABLE, estimatedRows: KEYS }],
      pauseStream: () => {
        this.#pauses++;
        return () => {
          this.#pauses--;
        };
      },
      onProgress: () => this.#markDirty(),
      saveCheckpoint: () => {
        this.#markDirty();
        return this.#checkpointer.save();
      },
    });
  }

  #createRepairs(): Repairs {
    const { server, roll } = this.#world;
    const step = (): Promise<void> => new Promise((resolve) => this.#waiting.push({ kind: 'reader', go: resolve }));
    const isPaused = (): boolean => this.#pauses > 0;
    const table = { schema: SCHEMA, name: TABLE, kind: 'table', columns: [], primaryKey: [0], signature: '' };
    const reader = new SimulatedReader(server, roll, step);
    const connection = {
      waitUntilVisible: (processed: Processed) => reader.waitUntilVisible(processed),
      describe: async () => {
        await step();
        return table;
      },
      lookUp: async () => ({
        ...{ table, key: [KEY_COLUMN] },
        read: (sql: string, processed: Processed) => reader.lookUp(sql, processed, isPaused),
      }),
      close: async () => {},
    };
    const quiet = (): void => {};
    return new this.#parts.Repairs({
      delivery: this.#delivery,
      merge: this.#merge,
      watches: this.#watches,
      ordinals: this.#ordinals,
      createOutput: () => simulatedOutput(this.#delivery, isPaused) as never,
      values: { bigint: 'number', boolean: [] } as Partial<KeyValues> as KeyValues,
      isHashed: () => false,
      isCaptured: () => true,
      openConnection: async () => connection as never,
      binlogEnd: server.end,
      pauseStream: () => {
        this.#pauses++;
        return () => {
          this.#pauses--;
        };
      },
      onProgress: () => this.#markDirty(),
      log: { info: quiet, warn: quiet } as unknown as Log,
      signal: this.#abort.signal,
    });
  }

  /** Asks for a repair of some keys. What it says that it has sent is stored. */
  #repair(): void {
    const { roll } = this.#world;
    const numbers = new Set(Array.from({ length: 1 + roll(REPAIR_KEYS) }, () => roll(KEYS)));
    const keys = [...numbers].map((k) => JSON.stringify({ k }));
    this.#openRepairs++;
    this.#repairs.repair({ schema: SCHEMA, table: TABLE, keys }).then(
      ({ sent, deleted, left }) => {
        this.#openRepairs--;
        this.#repaired += sent + deleted;
        if (sent + deleted + left !== keys.length) this.#fail(new Error('keys of a repair that nothing became of'));
        if (this.#storedRepairs.size < this.#repaired) this.#fail(new Error('a repair that is not delivered'));
      },
      (error: CdcError) => {
        this.#openRepairs--;
        if (!this.#isCrashed) this.#fail(error);
      },
    );
  }

  #fail(error: unknown): void {
    this.#broken ??= error instanceof Error ? error : new Error(JSON.stringify(error));
  }

  #answer(lines: string[]): RecordOutcome {
    const { outcome, stores } = OUTCOMES[this.#world.roll(OUTCOMES.length)]!;
    try {
      const parsed = lines.map((line) => JSON.parse(line) as Line);
      if (stores) this.#world.store(parsed, this.#order, this.#seen);
      if (stores) for (const { isRepair, seq } of parsed) if (isRepair) this.#storedRepairs.add(seq);
    } catch (error) {
      this.#fail(error);
    }
    return outcome;
  }

  #markDirty(): void {
    // The constructor of Backfill can report progress before there is a checkpointer.
    this.#checkpointer?.markDirty();
  }

  #current(): Checkpoint {
    const { gtids, coordinates } = this.#delivery.delivered;
    const { followedSince, complete, incomplete } = this.#coverage;
    const state = {
      gtids: gtids?.toString() ?? null,
      ...coordinates,
      backfill: this.#backfill.progress,
      coverage: { followedSince, complete },
      incomplete,
    };
    return state as unknown as Checkpoint;
  }

  /** As the file: what is saved is what it is now, and it is durable some time later. */
  #save(checkpoint: Checkpoint): Promise<void> {
    const saved = asSaved(checkpoint);
    try {
      this.#world.checkSaved(saved);
    } catch (error) {
      this.#fail(error);
    }
    return new Promise((resolve) => {
      const go = (): void => {
        this.#world.saved = saved;
        resolve();
      };
      this.#waiting.push({ kind: 'save', go });
    });
  }

  #write(checkpoint: Checkpoint): void {
    const saved = asSaved(checkpoint);
    this.#world.checkSaved(saved);
    this.#world.saved = saved;
  }

  /** The stream gives its next event, as src/source/change-stream.ts does. */
  #readStream(): void {
    if (this.#pauses > 0 || this.#isOverBudget) return;
    if (this.#steps.length === 0) {
      const entry = this.#rest[0];
      if (entry === undefined || entry.transaction.gtidNumber > this.#world.server.flushed) return;
      this.#rest.shift();
      this.#steps = this.#stepsOf(entry);
      return;
    }
    // The step that ends the transaction runs when it is not open any more.
    const [step] = this.#steps as [() => void];
    if (this.#steps.length > 1) {
      step();
      this.#steps.shift();
    } else {
      this.#steps.shift();
      step();
    }
  }

  #stepsOf(entry: Entry): (() => void)[] {
    const { transaction, kind, prepared, steps, lines } = entry;
    const merge = this.#merge;
    const watch = this.#watches.of(SCHEMA, TABLE);
    const event = (line: Line) => (): void => {
      const encoded = lineEvent(line);
      watch.touch(encoded);
      merge.append(0, encoded);
    };
    const end = (run: () => void) => (): void => {
      this.#boundary = endOf(transaction);
      run();
      this.#boundary = rotationAfter(transaction) ?? this.#boundary;
    };
    const commit = end(() =>
      merge.commit(
        prepared === undefined ? transaction : { ...transaction, preparedTransaction: prepared.transaction },
      ),
    );
    const at = { schema: SCHEMA, table: TABLE };
    switch (kind) {
      case 'prepare':
        return [end(() => merge.xaPrepared(transaction))];
      case 'xa-commit':
        return [...lines.map(event), commit];
      case 'xa-rollback':
        return [commit];
      case 'truncate':
        return [
          () => {
            this.#watches.emptied(SCHEMA, TABLE);
            merge.append(0, lineEvent(lines[0]!));
            if (this.#coverage.add({ ...at, since: '', why: 'emptied' })) this.#backfill.emptied(SCHEMA, TABLE);
          },
          commit,
        ];
      case 'rewrite':
        return [
          () => {
            this.#watches.changed(SCHEMA, TABLE, 'ALTER TABLE');
            this.#coverage.rewritten({ ...at, ...endOf(transaction), since: '', why: 'ALTER TABLE' });
            this.#backfill.rewritten(SCHEMA, TABLE);
            this.#markDirty();
          },
          commit,
        ];
      default:
        return [
          ...steps.map((step) => {
            if ('line' in step) return event(step.line);
            if ('savepoint' in step) return () => merge.savepoint(String(step.savepoint));
            return () => merge.rollbackTo(String(step.rollbackTo));
          }),
          ...(kind === 'rollback' ? [() => merge.rollback()] : []),
          commit,
        ];
    }
  }

  /** The answer waits for the checkpoint, which waits for the dice. */
  async #request(parallel?: number): Promise<void> {
    const request = { tables: [], ...(parallel !== undefined && { parallel }) };
    this.#backfill.start(request).catch((error) => this.#fail(error));
    await vi.advanceTimersByTimeAsync(0);
  }

  /** What an operator does. */
  #control(): void {
    const backfill = this.#backfill;
    switch (this.#world.roll(5)) {
      case 0:
        return backfill.pause();
      case 1:
      case 2:
        return backfill.resume();
      case 3:
        return backfill.cancel();
      default:
        void this.#request(1 + this.#world.roll(3));
    }
  }

  /** A table that is done is complete. */
  #checkFinished(): void {
    const { tables } = this.#backfill.status();
    const last = tables.at(-1);
    if (last?.state === 'failed') throw new Error('a table failed');
    if (last?.state === 'done' && !this.#wasDone) {
      expect(this.#coverage.of(SCHEMA, TABLE).complete, 'a table that is done').toBe(true);
    }
    this.#wasDone = last?.state === 'done';
  }
  #wasDone = false;

  /** At the end, what was cancelled, or changed after it was copied, is asked for again. */
  async #requestAgain(): Promise<void> {
    const { server } = this.#world;
    if (this.#backfill.status().state === 'paused') this.#backfill.resume();
    if (!server.isQuiet || this.#rest.length > 0 || this.#steps.length > 0 || !this.#backfill.isDone) return;
    if (!this.#coverage.of(SCHEMA, TABLE).complete) await this.#request();
  }

  #isIdle(): boolean {
    return (
      this.#world.server.isQuiet &&
      this.#rest.length + this.#steps.length + this.#delivery.bufferedBytes === 0 &&
      this.#backfill.isDone &&
      this.#openRepairs === 0 &&
      this.#coverage.of(SCHEMA, TABLE).complete
    );
  }

  #describe(): string {
    const { isQuiet, flushed } = this.#world.server;
    return JSON.stringify({
      ...{ isQuiet, flushed, rest: this.#rest.length, steps: this.#steps.length, pauses: this.#pauses },
      ...{
        repairs: this.#openRepairs,
        buffered: this.#delivery.bufferedBytes,
        waiting: this.#waiting.map(({ kind }) => kind),
      },
      ...{ status: this.#backfill.status(), ordinals: this.#ordinals.available },
    });
  }

  async #crash(): Promise<void> {
    this.#isCrashed = true;
    this.#abort.abort(new Error('a crash'));
    this.#delivery.stop();
    // Requests on the wire can still arrive, and a file can have been written.
    for (const { kind, go } of this.#waiting.splice(0)) {
      if (kind === 'sink' || (kind === 'save' && this.#world.roll(2) === 0)) go();
    }
    vi.clearAllTimers();
    await vi.advanceTimersByTimeAsync(0);
    vi.clearAllTimers();
    if (this.#broken !== undefined) throw this.#broken;
  }
}

function asSaved(checkpoint: Checkpoint): Saved {
  const { gtids, file, position, backfill = NO_BACKFILL, coverage, incomplete } = checkpoint;
  const tables = backfill.tables.map((table) => ({
    ...table,
    ranges: table.ranges.map(({ after, upTo }) => ({ after, upTo })),
  }));
  const complete = coverage?.complete ?? [];
  const saved = { gtids, at: { file, position }, backfill: { ...backfill, tables } };
  return structuredClone({ ...saved, coverage: { followedSince: null, complete, incomplete } });
}

/** @throws the first counterexample in which a row is stale, lost or a phantom, or the backfill never ends */
export async function checkBackfill(
  parts: BackfillParts,
  setup: BackfillSetup,
  runs: number,
  seed?: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(scriptOf(setup.statements === true), { minLength: 1, maxLength: 20, size: 'max' }),
      fc.uniqueArray(fc.nat(KEYS - 1), { minLength: 0, maxLength: KEYS, size: 'max' }),
      fc.integer(),
      fc.nat(2),
      async (scripts, before, dice, crashes) => {
        const world = new World(new SimulatedServer(scripts, before, setup.watermarks, setup.replaces), setup, dice);
        const clock = vi.spyOn(performance, 'now');
        let skew = 0;
        vi.setSystemTime(1e12);
        vi.spyOn(Math, 'random').mockImplementation(() => world.roll(1000) / 1000);
        clock.mockImplementation(() => {
          // Time passes while rows are merged, so that slices end anywhere.
          skew += world.roll(3);
          return Date.now() + skew;
        });
        try {
          for (let i = 0; i < crashes; i++) await new Daemon(world, parts).run(false);
          await new Daemon(world, parts).run(true);
          const { server, stored } = world;
          expect(Object.fromEntries(foldLines(stored))).toEqual(
            Object.fromEntries(server.stateAfter(server.binlog.length)),
          );
          expect(world.rest(), 'undelivered transactions').toEqual([]);
          const committed = new Set(server.binlog.flatMap(({ lines }) => lines.map((line) => line.seq)));
          for (const { op, seq, isCopy, isRepair } of stored)
            if (op !== 'r' && !isCopy && !isRepair) expect(committed, 'a phantom').toContain(seq);
          for (const seq of committed) expect(world.bySeq.has(seq), `${seq} is stored`).toBe(true);
        } finally {
          clock.mockRestore();
          vi.clearAllTimers();
        }
      },
    ),
    { numRuns: runs, endOnFailure: true, ...(seed !== undefined && { seed }) },
  );
}
