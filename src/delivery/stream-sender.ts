import PQueue from 'p-queue';
import type { DeadLetterRequest, RetryReport } from '../model/delivery-report.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { Quota, RecordBuffers, RecordOutcome, Sink } from '../sinks/sink.ts';
import { type Aggregation, type Batch, BatchBuilder } from './batch-builder.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { Lane } from './lane.ts';
import { RequestPacer } from './request-pacer.ts';

export interface SenderOptions {
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
  deadLetter: (event: DeadLetterRequest) => Promise<void>;
  onRetry: (trouble: RetryReport) => void;
  /** So many events are at their destination, or set aside for good. */
  onSettled: (events: number, bytes: number) => void;
  /** The stream refuses everything, a dead letter could not be written, or the sink itself broke. */
  onFatal: (error: CdcError) => void;
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
const FLUSH_BYTES = 500_000;
/** It is not the events that are bad when so many are refused one after the other and none is accepted. */
const CONSECUTIVE_REJECTIONS_MAX = 20;
/** Failures of the same events, one after the other, after which they are parted. */
const ISOLATE_AFTER_ATTEMPTS = 6;
/** As many as a record may hold by default. */
const ISOLATION_EVENTS_MAX = 500;
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 10_000;

/**
 * Sees the events of one stream to its sink: a key picks its lane, slices of lanes are packed into records, records into
 * requests. A lane has one slice in flight at most, so no retry can reorder a key, and a record that fails delays only the
 * lanes that are in it.
 */
export class StreamSender {
  readonly #options: SenderOptions;
  readonly #lanes: readonly Lane[];
  readonly #queue: PQueue;
  readonly #pacer: RequestPacer;
  readonly #abort = new AbortController();
  readonly #maxRequestBytes: number;
  readonly #eagerBytes: number;

  /** The lanes with lines of the open transaction that may still be taken back. */
  #openLanes: Lane[] = [];

  /** Bytes that may go now: of lanes that have nothing in flight and do not rest; counted anew with each request. */
  #sendableBytes = 0;
  /** What has settled since it was told. */
  #unreported = { events: 0, bytes: 0 };
  /** The lane that the next request looks at first. */
  #nextLaneIndex = 0;
  #lingerTimer: NodeJS.Timeout | undefined;
  #pacingTimer: NodeJS.Timeout | undefined;
  readonly #backoffTimers = new Set<NodeJS.Timeout>();
  /** Whether a record was ever accepted, and the events that were refused since the last one. */
  #hasAccepted = false;
  #consecutiveRejections = 0;
  #draining = false;
  #stopped = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: LANES }, () => new Lane(options.pool));
    this.#queue = new PQueue({ concurrency: options.requestsInFlight });
    this.#queue.on('next', () => this.#pump());
    this.#pacer = new RequestPacer(options.quota);
    // No request is more than the quota of a second, unless a single event is.
    this.#maxRequestBytes = Math.min(options.sink.limits.maxRequestBytes, options.quota?.bytes ?? Infinity);
    this.#eagerBytes = Math.min(FLUSH_BYTES, this.#maxRequestBytes / 2);
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
    if (lane.openTransaction !== first) {
      lane.openTransaction = first;
      this.#openLanes.push(lane);
    }
    lane.append(bytes, from, to, part);
    if (banned) lane.markDeadLetter();
  }

  /** The lines of the open transaction may go. */
  makeSendable(): void {
    let bytes = 0;
    for (const lane of this.#openLanes) {
      bytes += lane.commit();
      lane.openTransaction = -1;
    }
    this.#openLanes = [];
    if (bytes === 0) return;
    this.#sendableBytes += bytes;
    this.#lingerTimer ??= setTimeout(() => this.#onLingerExpired(), this.#options.lingerMs);
    if (this.#sendableBytes >= this.#eagerBytes) this.#pump();
  }

  /** Takes back the lines of the open transaction from this part on. */
  discardFrom(part: number): { events: number; bytes: number } {
    let events = 0;
    let bytes = 0;
    for (const lane of this.#openLanes) {
      const before = lane.openEvents;
      bytes += lane.discardFrom(part);
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
    clearTimeout(this.#lingerTimer);
    clearTimeout(this.#pacingTimer);
    for (const timer of this.#backoffTimers) clearTimeout(timer);
    this.#queue.clear();
  }

  #onLingerExpired(): void {
    this.#lingerTimer = undefined;
    for (const lane of this.#lanes) lane.lingerExpired = lane.waitingEvents > 0;
    this.#pump();
  }

  /** It is called by timers and by the queue, where nobody would catch what it throws. */
  #pump(): void {
    try {
      this.#sendReady();
    } catch (error) {
      this.#options.onFatal(asCdcError(error));
    }
  }

  /** Sends requests while a place is free, the quota allows one, and something is to be sent. */
  #sendReady(): void {
    while (!this.#stopped && this.#queue.pending + this.#queue.size < this.#queue.concurrency) {
      const wait = this.#pacer.delayMs(performance.now());
      if (wait > 0) {
        this.#pacingTimer ??= setTimeout(() => {
          this.#pacingTimer = undefined;
          this.#pump();
        }, wait);
        return;
      }
      const { parcels, records, bytes } = this.#assemble();
      if (parcels.length === 0) return;
      this.#pacer.charge(performance.now(), records, bytes);
      this.#queue.add(() => this.#send(parcels)).catch((error) => this.#options.onFatal(asCdcError(error)));
    }
  }

  /** The next request: a lane under suspicion alone, or some of what waits in the others. */
  #assemble(): BatchBuilder {
    const { limits } = this.#options.sink;
    const packer = new BatchBuilder(this.#options.aggregation, limits.maxRecordBytes);
    const idle = this.#sendableLanes();
    this.#sendableBytes = 0;
    for (const lane of idle) this.#sendableBytes += lane.waitingBytes;
    const single = idle.find((lane) => lane.isolatedEvents > 0 || lane.oldestEventBytes > limits.maxRecordBytes);
    if (single !== undefined) {
      const large = single.oldestEventBytes > limits.maxRecordBytes;
      packer.add(single, this.#maxRequestBytes, limits.maxRecords, large ? 1 : single.isolationBatchSize);
      return packer;
    }
    const eager = this.#draining || this.#sendableBytes >= this.#eagerBytes;
    for (const lane of idle) {
      if (!eager && !lane.lingerExpired) continue;
      const room = this.#maxRequestBytes - packer.bytes;
      const places = limits.maxRecords - packer.records;
      if (places === 0 && !packer.fitsOpenRecord(lane)) break;
      if (packer.records > 0 && room < Math.min(lane.waitingBytes, limits.maxRecordBytes)) break;
      packer.add(lane, room, places);
    }
    this.#nextLaneIndex = (this.#nextLaneIndex + 1) % LANES;
    this.#sendableBytes -= packer.bytes;
    return packer;
  }

  /** The lanes that have something to send and nothing in flight, each in its turn. */
  #sendableLanes(): Lane[] {
    const { maxRecordBytes } = this.#options.sink.limits;
    const idle: Lane[] = [];
    for (let i = 0; i < LANES; i++) {
      const lane = this.#lanes[(this.#nextLaneIndex + i) % LANES] as Lane;
      if (lane.inFlightEvents > 0 || lane.backingOff || lane.waitingEvents === 0) continue;
      if (lane.oldestIsDeadLetter) this.#deadLetter(lane, 'named by the operator');
      else if (lane.oldestEventBytes > maxRecordBytes && this.#options.sink.encodeRecord === undefined) {
        this.#deadLetter(lane, tooLarge(lane.oldestEventBytes, maxRecordBytes));
      } else idle.push(lane);
    }
    return idle;
  }

  async #send(parcels: Batch[]): Promise<void> {
    if (this.#stopped) return;
    const { sink, counters } = this.#options;
    let records = parcels.flatMap((parcel) => parcel.records);
    if (sink.encodeRecord !== undefined) {
      const packed = sum(records.map(bytesOf));
      records = await Promise.all(records.map(sink.encodeRecord));
      if (this.#stopped) return;
      const bytes = sum(records.map(bytesOf));
      this.#pacer.adjust(records.length, packed, bytes);
      clearTimeout(this.#pacingTimer);
      this.#pacingTimer = undefined;
      this.#pump();
      // Only now is it known whether a large event, which travels alone, fits into a record.
      const lane = parcels.length === 1 && parcels[0]?.events === 1 ? parcels[0].lanes[0] : undefined;
      if (lane !== undefined && bytes > sink.limits.maxRecordBytes) {
        this.#settleLane(lane, 0);
        return this.#deadLetter(lane, tooLarge(bytes, sink.limits.maxRecordBytes));
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
    this.#reportSettled();
  }

  /**
   * A record that lanes share settles as a whole; a run of records up to the first that failed, which is sent again with
   * all that follow it. Returns how many records have settled.
   */
  #settle({ lanes, records, events }: Batch, outcomes: readonly RecordOutcome[], alone: boolean): number {
    const { counters } = this.#options;
    const failed = outcomes.findIndex(({ kind }) => kind !== 'accepted');
    const failure = outcomes[failed];
    if (failed !== 0) {
      this.#hasAccepted = true;
      this.#consecutiveRejections = 0;
    }
    if (failure === undefined || failure.kind === 'accepted') {
      counters.events += events;
      for (const lane of lanes) this.#settleLane(lane, lane.inFlightEvents);
      return records.length;
    }
    const isRun = this.#options.aggregation === 'off';
    const unsettled = outcomes.slice(failed);
    const stored = unsettled.filter(({ kind }) => kind === 'accepted' || kind === 'unknown').length;
    counters.repeats += isRun ? stored : stored * events;
    counters.events += failed;
    if (failure.kind !== 'rejected') {
      counters.retries += unsettled.length;
      for (const lane of lanes) this.#settleLane(lane, failed);
      this.#backOff(lanes, failure.reason);
      if (failure.kind === 'unknown') this.#isolateStuck(lanes);
    } else if (failure.scope === 'stream') this.#failStream(failure);
    else this.#isolateRejected(lanes, failed, failure, alone || failure.scope === 'record');
    return failed;
  }

  /**
   * Something of these lanes was refused. A record of many events, or a request of many records, may be refused for one
   * of them: they travel alone, by halves, until it is found.
   * @param known whether it is a record of these lanes, and not another of the request
   */
  #isolateRejected(lanes: readonly Lane[], settled: number, failure: Rejection, known: boolean): void {
    for (const lane of lanes) {
      const ofRun = this.#options.aggregation === 'off' && failure.scope === 'record';
      const events = ofRun ? 1 : lane.inFlightEvents - settled;
      const alone = known && lanes.length === 1;
      const found = alone && lane.inFlightEvents === 1;
      this.#settleLane(lane, settled);
      lane.lingerExpired = true;
      lane.isolatedEvents = alone ? events : Math.max(lane.isolatedEvents, events);
      lane.isolationBatchSize = alone && events > 1 ? events >> 1 : events;
      if (found && !this.#hasAccepted && lane.attempts < ISOLATE_AFTER_ATTEMPTS) {
        // Before the stream has taken anything, it is not known that it is the event that is bad.
        this.#backOff([lane], failure.reason);
        continue;
      }
      lane.attempts++;
      if (!found) continue;
      if (!this.#hasAccepted || ++this.#consecutiveRejections > CONSECUTIVE_REJECTIONS_MAX)
        return this.#failStream(failure, DEAD_LETTER_HINT);
      this.#deadLetter(lane, `refused by Firehose: ${failure.reason}`);
    }
  }

  #failStream({ reason, hint }: Rejection, orElse = ''): void {
    const what = `Firehose refused the events of the stream ${this.#options.stream}`;
    this.#options.onFatal(new CdcError(what, { why: reason, hint: `${hint}${orElse}` }));
  }

  #settleLane(lane: Lane, events: number): void {
    const bytes = lane.settle(events);
    if (events === 0) return;
    lane.attempts = 0;
    lane.isolatedEvents = Math.max(0, lane.isolatedEvents - events);
    lane.isolationBatchSize = lane.isolatedEvents;
    this.#unreported.events += events;
    this.#unreported.bytes += bytes;
  }

  /** Full jitter over a doubling bound, without end (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
  #backOff(lanes: readonly Lane[], reason: string): void {
    const attempts = 1 + Math.max(...lanes.map((lane) => lane.attempts));
    for (const lane of lanes) {
      lane.attempts = attempts;
      lane.backingOff = true;
    }
    const bound = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(attempts - 1, 10));
    const timer = setTimeout(() => {
      this.#backoffTimers.delete(timer);
      for (const lane of lanes) {
        lane.backingOff = false;
        lane.lingerExpired = true;
      }
      this.#pump();
    }, Math.random() * bound);
    this.#backoffTimers.add(timer);
    const [first] = lanes;
    if (first)
      this.#options.onRetry({ stream: this.#options.stream, reason, attempts, event: () => first.oldestEvent() });
  }

  /**
   * One event may hold up all that share its record, when Firehose fails at it without saying so: they travel alone
   * then, by halves, until those that are sound have gone and the one is told by its name.
   */
  #isolateStuck(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      if (lane.attempts < ISOLATE_AFTER_ATTEMPTS) continue;
      const events = Math.min(
        lane.waitingEvents,
        lane.isolatedEvents > 0 ? lane.isolationBatchSize : ISOLATION_EVENTS_MAX,
      );
      lane.isolatedEvents = events;
      lane.isolationBatchSize = lanes.length === 1 ? Math.max(1, events >> 1) : events;
    }
  }

  /** The oldest event of the lane goes to the dead letters, and then counts as settled. */
  #deadLetter(lane: Lane, reason: string): void {
    lane.startFlight(0, 1);
    const { stream, counters, deadLetter, onFatal } = this.#options;
    deadLetter({ stream, event: lane.oldestEvent(), reason, attempts: lane.attempts })
      .then(() => {
        if (this.#stopped) return;
        counters.deadLetters++;
        this.#settleLane(lane, 1);
        lane.lingerExpired = true;
        this.#reportSettled();
        this.#pump();
      })
      .catch((error) => onFatal(asCdcError(error)));
  }

  #reportSettled(): void {
    const { events, bytes } = this.#unreported;
    this.#unreported = { events: 0, bytes: 0 };
    this.#options.onSettled(events, bytes);
  }
}

type Rejection = Extract<RecordOutcome, { kind: 'rejected' }>;

const DEAD_LETTER_HINT =
  '; if it is not the stream but one event, name its seq, which the warnings in the log have, in dead_letter.events';

const tooLarge = (bytes: number, limit: number): string =>
  `its ${bytes} bytes are more than a Firehose record may have (${limit})`;

const NO_OUTCOME: RecordOutcome = { kind: 'unknown', reason: 'the sink gave no outcome' };

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const bytesOf = (pieces: RecordBuffers): number => sum(pieces.map((piece) => piece.length));
