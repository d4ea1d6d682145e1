import PQueue from 'p-queue';
import type { DeadLetterRequest, ObstacleReport, RetryReport } from '../model/delivery-report.ts';
import type { StreamDelivery } from '../model/delivery-status.ts';
import type { DeliveryTotals } from '../model/delivery-totals.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import { fullJitterBackoff } from '../runtime/backoff.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { RecordBuffers, RecordOutcome, Sink, SinkRecord, SinkTarget } from '../sinks/sink.ts';
import { Acceptance, type DescribeEvent } from './acceptance.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { Lane } from './lane.ts';
import {
  CONSECUTIVE_REJECTIONS_MAX,
  FLUSH_BYTES,
  FORBIDDEN_DELAY_MS,
  ISOLATE_AFTER_ATTEMPTS,
  LANES,
  NOT_ACCEPTING_AFTER_MS,
  RETRY_BASE_MS,
  RETRY_CAP_MS,
} from './limits.ts';
import { type Batch, RequestBuilder } from './request-builder.ts';
import { RequestPacer } from './request-pacer.ts';

export interface SenderOptions {
  target: SinkTarget;
  requestsInFlight: number;
  pool: ChunkPool;
  totals: DeliveryTotals;
  /** Writes an event into a dead letter; resolves when it is durable. */
  deadLetter: (request: DeadLetterRequest) => Promise<void>;
  onRetry: (report: RetryReport) => void;
  /** A sink that sends again by itself has not succeeded for a while. */
  onObstacle: (report: ObstacleReport) => void;
  /** Whether this process may send now; asked before each request. */
  maySend: () => boolean;
  /** Events were accepted or moved to the dead letters. */
  onSettled: (events: number, bytes: number) => void;
  /** The stream rejects everything, a dead letter could not be written, or the sink failed unexpectedly. */
  onFatal: (error: CdcError) => void;
}

/**
 * Sends the events of one stream to its sink. An event has settled once it is accepted, or durable as a dead letter.
 *
 * A key picks its lane, slices of lanes become records, records become
 * requests. A lane has one slice in flight at most, so no retry reorders a key, and a record that fails delays only the
 * lanes in it.
 */
export class StreamSender {
  readonly #options: SenderOptions;
  readonly #lanes: readonly Lane[];
  readonly #queue: PQueue;
  readonly #pacer: RequestPacer;
  readonly #acceptance: Acceptance;
  readonly #abort = new AbortController();
  /**
   * Whether a record is not sent again that was stored behind one that failed. In a log it has another key: a request
   * has one record of a key, or the records of a key fail together. Elsewhere the last one of a key has to come last.
   */
  readonly #keepsStored: boolean;
  readonly #maxRequestBytes: number;
  readonly #flushBytes: number;

  /** The lanes with events of the open transaction. */
  #openLanes: Lane[] = [];

  /** Bytes in lanes that can send now; recomputed for each request. */
  #sendableBytes = 0;
  /** Events and bytes that have settled since the last report. */
  #unreported = { events: 0, bytes: 0 };
  /** The lane that the next request takes first. */
  #nextLaneIndex = 0;
  #lingerTimer: NodeJS.Timeout | undefined;
  #pacingTimer: NodeJS.Timeout | undefined;
  readonly #backoffTimers = new Set<NodeJS.Timeout>();
  /** Whether a record was ever accepted. */
  #hasAccepted = false;
  /** Events rejected since the last accepted record. */
  #consecutiveRejections = 0;
  #draining = false;
  #stopped = false;

  constructor(options: SenderOptions) {
    const { target, pool, requestsInFlight } = options;
    const { sink, quota } = target;
    this.#options = options;
    this.#lanes = Array.from({ length: LANES }, (_, number) => new Lane(pool, sink.needsKeys, number));
    this.#queue = new PQueue({ concurrency: requestsInFlight });
    this.#queue.on('next', () => this.#trySend());
    this.#pacer = new RequestPacer(quota);
    this.#acceptance = new Acceptance(options.totals.of(target.name));
    this.#keepsStored = target.aggregation === 'off' && sink.isLog === true;
    // No request is larger than one second of quota, unless a single event is.
    this.#maxRequestBytes = Math.min(sink.limits.maxRequestBytes, quota?.bytes ?? Infinity);
    this.#flushBytes = Math.min(FLUSH_BYTES, this.#maxRequestBytes / 2);
  }

  /** The segment of the oldest unsettled event in this stream; Infinity if there is none. */
  get oldestSegment(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) oldest = Math.min(oldest, lane.oldestSegment);
    return oldest;
  }

  /** The sums over all lanes. */
  contents(): { events: number; bytes: number; openEvents: number; openBytes: number } {
    return {
      events: sum(this.#lanes.map((lane) => lane.events)),
      bytes: sum(this.#lanes.map((lane) => lane.bytes)),
      openEvents: sum(this.#lanes.map((lane) => lane.openEvents)),
      openBytes: sum(this.#lanes.map((lane) => lane.openBytes)),
    };
  }

  /** What it shows of itself. */
  status(describe: DescribeEvent): StreamDelivery {
    const { name, sink } = this.#options.target;
    return this.#acceptance.status(name, this.#lanes, this.#queue.pending, sink.obstacle?.(), describe);
  }

  /**
   * Appends an event of the open transaction.
   * @param segment the transaction's current segment
   * @param toDeadLetters whether it goes to the dead letters instead
   */
  append(event: EncodedEvent, segment: number, toDeadLetters: boolean): void {
    const { keyHash } = event;
    const lane = this.#lanes[(keyHash ^ (keyHash >>> 15)) & (LANES - 1)] as Lane;
    if (lane.append(event, segment)) this.#openLanes.push(lane);
    if (toDeadLetters) lane.markDeadLetter();
  }

  /** The events of the open transaction can be sent. */
  makeSendable(): void {
    let bytes = 0;
    for (const lane of this.#openLanes) bytes += lane.makeSendable();
    this.#openLanes = [];
    if (bytes === 0) return;
    this.#sendableBytes += bytes;
    this.#lingerTimer ??= setTimeout(() => this.#onLingerExpired(), this.#options.target.lingerMs);
    if (this.#sendableBytes >= this.#flushBytes) this.#trySend();
  }

  /** Discards the events of the open transaction from this segment on. */
  discardFrom(segment: number): { events: number; bytes: number } {
    let events = 0;
    let bytes = 0;
    for (const lane of this.#openLanes) {
      const before = lane.openEvents;
      bytes += lane.discardFrom(segment);
      events += before - lane.openEvents;
    }
    return { events, bytes };
  }

  /** Sends the waiting events at once. No further event follows. */
  drain(): void {
    this.#draining = true;
    this.#trySend();
  }

  /** Abandons the events in flight and the waiting events. */
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
    for (const lane of this.#lanes) lane.makeDue();
    this.#trySend();
  }

  /** Sends what is ready. Timers and the queue call it, so an error goes to `onFatal` instead of the caller. */
  #trySend(): void {
    try {
      this.#sendReady();
    } catch (error) {
      this.#options.onFatal(asCdcError(error));
    }
  }

  /** Starts requests while a place in flight is free, the quota allows one, and something is ready. */
  #sendReady(): void {
    while (!this.#stopped && this.#queue.pending + this.#queue.size < this.#queue.concurrency) {
      const wait = this.#options.maySend() ? this.#pacer.delayMs(performance.now()) : FORBIDDEN_DELAY_MS;
      if (wait > 0) return this.#sendAfter(wait);
      const { batches, records, bytes, delayMs } = this.#assemble();
      if (delayMs < Number.POSITIVE_INFINITY) this.#sendAfter(delayMs);
      if (batches.length === 0) return;
      this.#pacer.charge(performance.now(), records, bytes);
      this.#queue.add(() => this.#send(batches)).catch((error) => this.#options.onFatal(asCdcError(error)));
    }
  }

  #sendAfter(milliseconds: number): void {
    this.#pacingTimer ??= setTimeout(() => {
      this.#pacingTimer = undefined;
      this.#trySend();
    }, milliseconds);
  }

  /** The next request: a lane in isolation on its own, or slices of the others. */
  #assemble(): RequestBuilder {
    const { aggregation, sink } = this.#options.target;
    const { limits } = sink;
    const request = new RequestBuilder(aggregation, sink, performance.now());
    const lanes = this.#takeSendableLanes();
    this.#sendableBytes = 0;
    for (const lane of lanes) this.#sendableBytes += lane.waitingBytes;
    const single = lanes.find((lane) => lane.isolationBatchSize > 0 || lane.oldestEventBytes > limits.maxRecordBytes);
    if (single !== undefined) {
      const isLarge = single.oldestEventBytes > limits.maxRecordBytes;
      request.add(single, this.#maxRequestBytes, limits.maxRecords, isLarge ? 1 : single.isolationBatchSize);
      return request;
    }
    const flushes = this.#draining || this.#sendableBytes >= this.#flushBytes;
    for (const lane of lanes) {
      if (!flushes && !lane.isDue) continue;
      const room = this.#maxRequestBytes - request.bytes;
      const places = limits.maxRecords - request.records;
      if (places === 0 && !request.fitsOpenRecord(lane)) break;
      if (request.records > 0 && room < Math.min(lane.waitingBytes, limits.maxRecordBytes)) break;
      request.add(lane, room, places);
    }
    this.#nextLaneIndex = (this.#nextLaneIndex + 1) % LANES;
    this.#sendableBytes -= request.bytes;
    return request;
  }

  /** The lanes that can send, in turn. Dead letters among their oldest events are written on the way. */
  #takeSendableLanes(): Lane[] {
    const { sink } = this.#options.target;
    const { maxRecordBytes } = sink.limits;
    const sendable: Lane[] = [];
    for (let i = 0; i < LANES; i++) {
      const lane = this.#lanes[(this.#nextLaneIndex + i) % LANES] as Lane;
      if (!lane.isSendable) continue;
      if (lane.oldestIsDeadLetter) this.#deadLetter(lane, 'named by the operator');
      else if (lane.oldestEventBytes > maxRecordBytes && sink.encodeRecord === undefined) {
        this.#deadLetter(lane, tooLarge(lane.oldestEventBytes, sink));
      } else sendable.push(lane);
    }
    return sendable;
  }

  async #send(batches: Batch[]): Promise<void> {
    if (this.#stopped) return;
    const { target, totals } = this.#options;
    const { sink } = target;
    const { counters } = totals;
    let records = batches.flatMap((batch) => batch.records);
    if (sink.encodeRecord !== undefined) {
      const encoded = await this.#encode(records, sink.encodeRecord);
      if (this.#stopped) return;
      // Only the encoded size shows whether a large event, which is sent on its own, fits into a record.
      const bytes = bytesOf(encoded);
      const lane = batches.length === 1 && batches[0]?.events === 1 ? batches[0].lanes[0] : undefined;
      if (lane !== undefined && bytes > sink.limits.maxRecordBytes) {
        lane.abortFlight();
        return this.#deadLetter(lane, tooLarge(bytes, sink));
      }
      records = encoded;
    }
    counters.requests++;
    this.#acceptance.began();
    const startedAt = performance.now();
    const watch = sink.obstacle && setInterval(() => this.#reportObstacle(), NOT_ACCEPTING_AFTER_MS);
    const outcomes = await sink.send(records, this.#abort.signal).finally(() => clearInterval(watch));
    if (this.#stopped) return;
    this.#acceptance.ended(outcomes, startedAt, this.#queue.pending > 1);
    let first = 0;
    for (const batch of batches) {
      const results = batch.records.map((_, i) => outcomes[first + i] ?? NO_OUTCOME);
      const settled = this.#settle(batch, results, batches.length === 1);
      const stored = records.slice(first, first + results.length).filter((_, i) => {
        return i < settled || (this.#keepsStored && results[i]?.kind === 'accepted');
      });
      counters.records += stored.length;
      counters.bytes += bytesOf(stored);
      first += results.length;
    }
    this.#reportSettled();
  }

  /** Encodes the records, and gives the quota that this saves back to the pacer. */
  async #encode(records: readonly SinkRecord[], encode: NonNullable<Sink['encodeRecord']>): Promise<SinkRecord[]> {
    const encoded = await Promise.all(
      records.map(async (record): Promise<SinkRecord> => ({ ...record, buffers: await encode(record.buffers) })),
    );
    if (this.#stopped) return encoded;
    this.#pacer.adjust(records.length, bytesOf(records), bytesOf(encoded));
    clearTimeout(this.#pacingTimer);
    this.#pacingTimer = undefined;
    this.#trySend();
    return encoded;
  }

  /**
   * A record that lanes share settles as a whole. A run of records settles up to the first failed record; that record
   * and all after it are sent again, in a log without those that are stored. Returns the number of settled records.
   */
  #settle(batch: Batch, outcomes: readonly RecordOutcome[], isOnlyBatch: boolean): number {
    const { lanes, records, places, events } = batch;
    const { counters } = this.#options.totals;
    const failed = outcomes.findIndex(({ kind }) => kind !== 'accepted');
    const failure = outcomes[failed];
    const storedBehind = failed < 0 || !this.#keepsStored ? 0 : markStored(batch, outcomes, failed);
    if (failed !== 0 || storedBehind > 0) {
      this.#hasAccepted = true;
      this.#consecutiveRejections = 0;
    }
    if (failure === undefined || failure.kind === 'accepted') {
      counters.events += events;
      for (const lane of lanes) this.#settleLane(lane, lane.inFlightEvents);
      return records.length;
    }
    const isRun = this.#options.target.aggregation === 'off';
    const unsettled = outcomes.slice(failed);
    const stored = unsettled.filter(({ kind }) => kind === 'accepted' || kind === 'unknown').length - storedBehind;
    counters.repeats += isRun ? stored : stored * events;
    counters.events += failed + storedBehind;
    const settled = places?.[failed] ?? failed;
    if (failure.kind !== 'rejected') {
      counters.retries += unsettled.length - storedBehind;
      for (const lane of lanes) this.#settleLane(lane, settled);
      this.#backOff(lanes, failure.reason);
      if (failure.kind === 'unknown') this.#isolateBlocked(lanes);
    } else if (failure.scope === 'stream') this.#failStream(failure);
    else this.#isolateRejected(lanes, settled, failure, isOnlyBatch || failure.scope === 'record');
    return failed;
  }

  /**
   * A record or request with events of these lanes was rejected, possibly because of one event. The lanes are sent on
   * their own and halved until that event is found.
   * @param isOfTheseLanes whether the rejected record belongs to these lanes, and not to others of the request
   */
  #isolateRejected(lanes: readonly Lane[], settled: number, failure: Rejection, isOfTheseLanes: boolean): void {
    const isRecordOfRun = this.#options.target.aggregation === 'off' && failure.scope === 'record';
    const isSingleLane = isOfTheseLanes && lanes.length === 1;
    for (const lane of lanes) {
      const events = isRecordOfRun ? 1 : lane.inFlightEvents - settled;
      const isFound = isSingleLane && lane.inFlightEvents === 1;
      this.#settleLane(lane, settled);
      lane.isolate(events, isSingleLane);
      if (isFound && !this.#hasAccepted && lane.attempts < ISOLATE_AFTER_ATTEMPTS) {
        // Before the stream has accepted anything, the event is not proven to be the cause.
        this.#backOff([lane], failure.reason);
        continue;
      }
      lane.countAttempt(failure.reason);
      if (!isFound) continue;
      if (!this.#hasAccepted || ++this.#consecutiveRejections > CONSECUTIVE_REJECTIONS_MAX)
        return this.#failStream(failure, DEAD_LETTER_HINT);
      this.#deadLetter(lane, `refused by ${this.#options.target.sink.service}: ${failure.reason}`);
    }
  }

  #failStream({ reason, hint }: Rejection, orElse = ''): void {
    const { sink, name } = this.#options.target;
    const message = `${sink.service} rejected the events of the stream ${name}`;
    this.#options.onFatal(new CdcError(message, { why: reason, hint: `${hint}${orElse}` }));
  }

  #settleLane(lane: Lane, events: number): void {
    const settled = lane.withStored(events);
    this.#unreported.bytes += lane.settle(settled);
    this.#unreported.events += settled;
  }

  #backOff(lanes: readonly Lane[], reason: string): void {
    const attempts = 1 + Math.max(...lanes.map((lane) => lane.attempts));
    for (const lane of lanes) lane.backOff(attempts, reason);
    const delay = fullJitterBackoff(attempts - 1, { baseMs: RETRY_BASE_MS, maxMs: RETRY_CAP_MS });
    const timer = setTimeout(() => {
      this.#backoffTimers.delete(timer);
      for (const lane of lanes) lane.endBackoff();
      this.#trySend();
    }, delay);
    this.#backoffTimers.add(timer);
    const [first] = lanes;
    const { target, onRetry } = this.#options;
    if (first) onRetry({ stream: target.name, reason, attempts, event: () => first.oldestEvent() });
  }

  /**
   * An event can block all that share its record if the transport fails on it without rejecting it. Its lanes are then
   * isolated and halved, so that healthy events pass and the log names the one that blocks.
   */
  #isolateBlocked(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      if (lane.attempts >= ISOLATE_AFTER_ATTEMPTS) lane.isolateBlocked(lanes.length === 1);
    }
  }

  /** Writes the oldest event of the lane into a dead letter; then it counts as settled. */
  #deadLetter(lane: Lane, reason: string): void {
    lane.startFlight(0, 1);
    const { target, totals, deadLetter, onFatal } = this.#options;
    deadLetter({ stream: target.name, event: lane.oldestEvent(), reason, attempts: lane.attempts })
      .then(() => {
        if (this.#stopped) return;
        totals.counters.deadLetters++;
        this.#settleLane(lane, 1);
        if (this.#lanes.every(({ events }) => events === 0)) this.#acceptance.idle();
        lane.makeDue();
        this.#reportSettled();
        this.#trySend();
      })
      .catch((error) => onFatal(asCdcError(error)));
  }

  /** A request takes long. */
  #reportObstacle(): void {
    const { target, onObstacle } = this.#options;
    const reason = target.sink.obstacle?.()?.reason;
    if (reason !== undefined && !this.#stopped) onObstacle({ stream: target.name, reason });
  }

  #reportSettled(): void {
    const { events, bytes } = this.#unreported;
    this.#unreported = { events: 0, bytes: 0 };
    this.#options.onSettled(events, bytes);
  }
}

/** Marks the events of a run whose records are stored behind the one that failed. Returns their number. */
function markStored({ lanes, places = [] }: Batch, outcomes: readonly RecordOutcome[], failed: number): number {
  const [lane] = lanes;
  let stored = 0;
  for (let i = failed + 1; i < outcomes.length; i++) {
    if (outcomes[i]?.kind !== 'accepted') continue;
    lane?.markStored(places[i] as number);
    stored++;
  }
  return stored;
}

type Rejection = Extract<RecordOutcome, { kind: 'rejected' }>;

const DEAD_LETTER_HINT =
  '; if a single event is the cause, add its seq (see the warnings in the log) to dead_letter.events';

const tooLarge = (bytes: number, { service, limits }: Sink): string =>
  `its ${bytes} bytes are more than a ${service} record may have (${limits.maxRecordBytes})`;

const NO_OUTCOME: RecordOutcome = { kind: 'unknown', reason: 'the sink gave no outcome' };

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const sizeOf = (buffers: RecordBuffers): number => sum(buffers.map((buffer) => buffer.length));
const bytesOf = (records: readonly SinkRecord[]): number => sum(records.map(({ buffers }) => sizeOf(buffers)));
