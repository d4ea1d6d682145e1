import PQueue from 'p-queue';
import type { DeadLetterRequest, RetryReport } from '../model/delivery-report.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { Quota, RecordBuffers, RecordOutcome, Sink } from '../sinks/sink.ts';
import { type Aggregation, Packer, type Parcel } from './batch-builder.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { Lane } from './lane.ts';
import { Pace } from './request-pacer.ts';

export interface ShipperOptions {
  stream: string;
  sink: Sink;
  quota?: Quota | undefined;
  aggregation: Aggregation;
  /** How long an event may wait for company, milliseconds. */
  lingerMs: number;
  requestsInFlight: number;
  pool: ChunkPool;
  counters: DeliveryCounters;
  /** Puts an event into a dead letter; resolves when that is durable. */
  setAside: (event: DeadLetterRequest) => Promise<void>;
  onTrouble: (trouble: RetryReport) => void;
  /** So many events are at their destination, or set aside for good. */
  onSettled: (events: number, bytes: number) => void;
  /** The stream refuses everything, a dead letter could not be written, or the sink itself broke. */
  onRefused: (error: CdcError) => void;
}

export interface DeliveryCounters {
  events: number;
  records: number;
  requests: number;
  bytes: number;
  /** Records that were sent again. */
  retries: number;
  /** Events that were sent again though they may have been stored. */
  repeats: number;
  deadLetters: number;
}

export const LANES = 64;
/** What fills about a record goes without waiting for the linger time. */
const EAGER_BYTES = 500_000;
/** It is not the events that are bad when so many are refused one after the other and none is accepted. */
const REFUSED_IN_A_ROW = 20;
/** Failures of the same events, one after the other, after which they are parted. */
const STUCK_ATTEMPTS = 6;
/** As many as a record may hold by default. */
const PARTED_EVENTS = 500;
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 10_000;

/**
 * Sees the events of one stream to its sink: a key picks its lane, slices of lanes are packed into records, records into
 * requests. A lane has one slice in flight at most, so no retry can reorder a key, and a record that fails delays only the
 * lanes that are in it.
 */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #lanes: readonly Lane[];
  readonly #queue: PQueue;
  readonly #pace: Pace;
  readonly #abort = new AbortController();
  readonly #maxRequestBytes: number;
  readonly #eagerBytes: number;

  /** The lanes with lines of the open transaction that may still be taken back. */
  #touched: Lane[] = [];

  /** Bytes that may go now: of lanes that have nothing in flight and do not rest; counted anew with each request. */
  #ready = 0;
  /** What has settled since it was told. */
  #done = { events: 0, bytes: 0 };
  /** The lane that the next request looks at first. */
  #turn = 0;
  #linger: NodeJS.Timeout | undefined;
  #nextTurn: NodeJS.Timeout | undefined;
  readonly #rests = new Set<NodeJS.Timeout>();
  /** Whether a record was ever accepted, and the events that were refused since the last one. */
  #takesEvents = false;
  #refusedInARow = 0;
  #draining = false;
  #stopped = false;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: LANES }, () => new Lane(options.pool));
    this.#queue = new PQueue({ concurrency: options.requestsInFlight });
    this.#queue.on('next', () => this.#pump());
    this.#pace = new Pace(options.quota);
    // No request is more than the quota of a second, unless a single event is.
    this.#maxRequestBytes = Math.min(options.sink.limits.maxRequestBytes, options.quota?.bytes ?? Infinity);
    this.#eagerBytes = Math.min(EAGER_BYTES, this.#maxRequestBytes / 2);
  }

  /** The number of the oldest transaction that has an event here which is not settled; Infinity for none. */
  get oldestTransaction(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) oldest = Math.min(oldest, lane.oldestTransaction);
    return oldest;
  }

  /**
   * Appends a line of the open transaction.
   * @param part the number of the part of the transaction; `first` is that of its first part
   * @param banned whether it goes to the dead letters instead
   */
  append(part: number, first: number, keyHash: number, bytes: Buffer, from: number, to: number, banned: boolean): void {
    const lane = this.#lanes[(keyHash ^ (keyHash >>> 15)) & (LANES - 1)] as Lane;
    if (lane.touchedBy !== first) {
      lane.touchedBy = first;
      this.#touched.push(lane);
    }
    lane.append(bytes, from, to, part);
    if (banned) lane.ban();
  }

  /** The lines of the open transaction may go. */
  release(): void {
    let bytes = 0;
    for (const lane of this.#touched) {
      bytes += lane.commit();
      lane.touchedBy = -1;
    }
    this.#touched = [];
    if (bytes === 0) return;
    this.#ready += bytes;
    this.#linger ??= setTimeout(() => this.#lingerOver(), this.#options.lingerMs);
    if (this.#ready >= this.#eagerBytes) this.#pump();
  }

  /** Takes back the lines of the open transaction from this part on. */
  takeBack(part: number): { events: number; bytes: number } {
    let events = 0;
    let bytes = 0;
    for (const lane of this.#touched) {
      const before = lane.openEvents;
      bytes += lane.takeBack(part);
      events += before - lane.openEvents;
    }
    return { events, bytes };
  }

  /** Nothing more comes: what waits goes at once. */
  drain(): void {
    this.#draining = true;
    this.#pump();
  }

  /** Gives up what is still in flight or waiting. */
  stop(): void {
    this.#stopped = true;
    this.#abort.abort();
    clearTimeout(this.#linger);
    clearTimeout(this.#nextTurn);
    for (const timer of this.#rests) clearTimeout(timer);
    this.#queue.clear();
  }

  #lingerOver(): void {
    this.#linger = undefined;
    for (const lane of this.#lanes) lane.due = lane.waitingEvents > 0;
    this.#pump();
  }

  /** It is called by timers and by the queue, where nobody would catch what it throws. */
  #pump(): void {
    try {
      this.#sendWhatMayGo();
    } catch (error) {
      this.#options.onRefused(asCdcError(error));
    }
  }

  /** Sends requests while a place is free, the quota allows one, and something is to be sent. */
  #sendWhatMayGo(): void {
    while (!this.#stopped && this.#queue.pending + this.#queue.size < this.#queue.concurrency) {
      const wait = this.#pace.wait(performance.now());
      if (wait > 0) {
        this.#nextTurn ??= setTimeout(() => {
          this.#nextTurn = undefined;
          this.#pump();
        }, wait);
        return;
      }
      const { parcels, records, bytes } = this.#assemble();
      if (parcels.length === 0) return;
      this.#pace.spend(performance.now(), records, bytes);
      this.#queue.add(() => this.#send(parcels)).catch((error) => this.#options.onRefused(asCdcError(error)));
    }
  }

  /** The next request: a lane under suspicion alone, or some of what waits in the others. */
  #assemble(): Packer {
    const { limits } = this.#options.sink;
    const packer = new Packer(this.#options.aggregation, limits.maxRecordBytes);
    const idle = this.#idleLanes();
    this.#ready = 0;
    for (const lane of idle) this.#ready += lane.waitingBytes;
    const single = idle.find((lane) => lane.suspects > 0 || lane.headBytes > limits.maxRecordBytes);
    if (single !== undefined) {
      const large = single.headBytes > limits.maxRecordBytes;
      packer.add(single, this.#maxRequestBytes, limits.maxRecords, large ? 1 : single.narrow);
      return packer;
    }
    const eager = this.#draining || this.#ready >= this.#eagerBytes;
    for (const lane of idle) {
      if (!eager && !lane.due) continue;
      const room = this.#maxRequestBytes - packer.bytes;
      const places = limits.maxRecords - packer.records;
      if (places === 0 && !packer.fits(lane)) break;
      if (packer.records > 0 && room < Math.min(lane.waitingBytes, limits.maxRecordBytes)) break;
      packer.add(lane, room, places);
    }
    this.#turn = (this.#turn + 1) % LANES;
    this.#ready -= packer.bytes;
    return packer;
  }

  /** The lanes that have something to send and nothing in flight, each in its turn. */
  #idleLanes(): Lane[] {
    const { maxRecordBytes } = this.#options.sink.limits;
    const idle: Lane[] = [];
    for (let i = 0; i < LANES; i++) {
      const lane = this.#lanes[(this.#turn + i) % LANES] as Lane;
      if (lane.flightEvents > 0 || lane.resting || lane.waitingEvents === 0) continue;
      if (lane.headIsBanned) this.#setAside(lane, 'named by the operator');
      else if (lane.headBytes > maxRecordBytes && this.#options.sink.encodeRecord === undefined) {
        this.#setAside(lane, tooLarge(lane.headBytes, maxRecordBytes));
      } else idle.push(lane);
    }
    return idle;
  }

  async #send(parcels: Parcel[]): Promise<void> {
    if (this.#stopped) return;
    const { sink, counters } = this.#options;
    let records = parcels.flatMap((parcel) => parcel.records);
    if (sink.encodeRecord !== undefined) {
      const packed = sum(records.map(bytesOf));
      records = await Promise.all(records.map(sink.encodeRecord));
      if (this.#stopped) return;
      const bytes = sum(records.map(bytesOf));
      this.#pace.correct(records.length, packed, bytes);
      clearTimeout(this.#nextTurn);
      this.#nextTurn = undefined;
      this.#pump();
      // Only now is it known whether a large event, which travels alone, fits into a record.
      const lane = parcels.length === 1 && parcels[0]?.events === 1 ? parcels[0].lanes[0] : undefined;
      if (lane !== undefined && bytes > sink.limits.maxRecordBytes) {
        this.#settleLane(lane, 0);
        return this.#setAside(lane, tooLarge(bytes, sink.limits.maxRecordBytes));
      }
    }
    counters.requests++;
    const outcomes = await sink.send(records, this.#abort.signal);
    if (this.#stopped) return;
    let at = 0;
    for (const parcel of parcels) {
      const its = parcel.records.map((_, i) => outcomes[at + i] ?? NO_OUTCOME);
      const accepted = this.#settle(parcel, its, parcels.length === 1);
      counters.records += accepted;
      for (const record of records.slice(at, at + accepted)) counters.bytes += bytesOf(record);
      at += its.length;
    }
    this.#tellDone();
  }

  /**
   * A record that lanes share settles as a whole; a run of records up to the first that failed, which is sent again with
   * all that follow it. Returns how many records have settled.
   */
  #settle({ lanes, records, events }: Parcel, outcomes: readonly RecordOutcome[], alone: boolean): number {
    const { counters } = this.#options;
    const failed = outcomes.findIndex(({ kind }) => kind !== 'accepted');
    const failure = outcomes[failed];
    if (failed !== 0) {
      this.#takesEvents = true;
      this.#refusedInARow = 0;
    }
    if (failure === undefined || failure.kind === 'accepted') {
      counters.events += events;
      for (const lane of lanes) this.#settleLane(lane, lane.flightEvents);
      return records.length;
    }
    const isRun = this.#options.aggregation === 'off';
    const unsettled = outcomes.slice(failed);
    const stored = unsettled.filter(({ kind }) => kind === 'accepted' || kind === 'unknown').length;
    counters.repeats += isRun ? stored : stored * events;
    counters.events += failed;
    if (failure.kind !== 'refused') {
      counters.retries += unsettled.length;
      for (const lane of lanes) this.#settleLane(lane, failed);
      this.#rest(lanes, failure.reason);
      if (failure.kind === 'unknown') this.#partTheStuck(lanes);
    } else if (failure.of === 'stream') this.#giveUp(failure);
    else this.#suspect(lanes, failed, failure, alone || failure.of === 'record');
    return failed;
  }

  /**
   * Something of these lanes was refused. A record of many events, or a request of many records, may be refused for one
   * of them: they travel alone, by halves, until it is found.
   * @param known whether it is a record of these lanes, and not another of the request
   */
  #suspect(lanes: readonly Lane[], settled: number, failure: Refusal, known: boolean): void {
    for (const lane of lanes) {
      const ofRun = this.#options.aggregation === 'off' && failure.of === 'record';
      const events = ofRun ? 1 : lane.flightEvents - settled;
      const alone = known && lanes.length === 1;
      const found = alone && lane.flightEvents === 1;
      this.#settleLane(lane, settled);
      lane.due = true;
      lane.suspects = alone ? events : Math.max(lane.suspects, events);
      lane.narrow = alone && events > 1 ? events >> 1 : events;
      if (found && !this.#takesEvents && lane.attempts < STUCK_ATTEMPTS) {
        // Before the stream has taken anything, it is not known that it is the event that is bad.
        this.#rest([lane], failure.reason);
        continue;
      }
      lane.attempts++;
      if (!found) continue;
      if (!this.#takesEvents || ++this.#refusedInARow > REFUSED_IN_A_ROW) return this.#giveUp(failure, NAME_THE_EVENT);
      this.#setAside(lane, `refused by Firehose: ${failure.reason}`);
    }
  }

  #giveUp({ reason, hint }: Refusal, orElse = ''): void {
    const what = `Firehose refused the events of the stream ${this.#options.stream}`;
    this.#options.onRefused(new CdcError(what, { why: reason, hint: `${hint}${orElse}` }));
  }

  #settleLane(lane: Lane, events: number): void {
    const bytes = lane.settle(events);
    if (events === 0) return;
    lane.attempts = 0;
    lane.suspects = Math.max(0, lane.suspects - events);
    lane.narrow = lane.suspects;
    this.#done.events += events;
    this.#done.bytes += bytes;
  }

  /** Full jitter over a doubling bound, without end (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
  #rest(lanes: readonly Lane[], reason: string): void {
    const attempts = 1 + Math.max(...lanes.map((lane) => lane.attempts));
    for (const lane of lanes) {
      lane.attempts = attempts;
      lane.resting = true;
    }
    const bound = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(attempts - 1, 10));
    const timer = setTimeout(() => {
      this.#rests.delete(timer);
      for (const lane of lanes) {
        lane.resting = false;
        lane.due = true;
      }
      this.#pump();
    }, Math.random() * bound);
    this.#rests.add(timer);
    const [first] = lanes;
    if (first) this.#options.onTrouble({ stream: this.#options.stream, reason, attempts, event: () => first.head() });
  }

  /**
   * One event may hold up all that share its record, when Firehose fails at it without saying so: they travel alone
   * then, by halves, until those that are sound have gone and the one is told by its name.
   */
  #partTheStuck(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      if (lane.attempts < STUCK_ATTEMPTS) continue;
      const events = Math.min(lane.waitingEvents, lane.suspects > 0 ? lane.narrow : PARTED_EVENTS);
      lane.suspects = events;
      lane.narrow = lanes.length === 1 ? Math.max(1, events >> 1) : events;
    }
  }

  /** The oldest event of the lane goes to the dead letters, and then counts as settled. */
  #setAside(lane: Lane, reason: string): void {
    lane.take(0, 1);
    const { stream, counters, setAside, onRefused } = this.#options;
    setAside({ stream, event: lane.head(), reason, attempts: lane.attempts })
      .then(() => {
        if (this.#stopped) return;
        counters.deadLetters++;
        this.#settleLane(lane, 1);
        lane.due = true;
        this.#tellDone();
        this.#pump();
      })
      .catch((error) => onRefused(asCdcError(error)));
  }

  #tellDone(): void {
    const { events, bytes } = this.#done;
    this.#done = { events: 0, bytes: 0 };
    this.#options.onSettled(events, bytes);
  }
}

type Refusal = Extract<RecordOutcome, { kind: 'refused' }>;

const NAME_THE_EVENT =
  '; if it is not the stream but one event, name its seq, which the warnings in the log have, in dead_letter.events';

const tooLarge = (bytes: number, limit: number): string =>
  `its ${bytes} bytes are more than a Firehose record may have (${limit})`;

const NO_OUTCOME: RecordOutcome = { kind: 'unknown', reason: 'the sink gave no outcome' };

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const bytesOf = (pieces: RecordBuffers): number => sum(pieces.map((piece) => piece.length));
