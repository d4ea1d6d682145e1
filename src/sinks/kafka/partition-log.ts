import { exponentialBackoff } from '../../runtime/backoff.ts';
import { BATCH_BYTES, BATCH_RETRY_BASE_MS, BATCH_RETRY_MAX_MS } from './limits.ts';
import type { KafkaMessage } from './message-text.ts';
import type { FailedOutcome } from './outcomes.ts';
import type { PendingSend } from './pending-send.ts';
import { type BatchIdentity, type Compression, RecordBatchBuilder, sequenceAfter, stampBatch } from './record-batch.ts';

/** Messages of one `send` for one partition, in order, and the record of each. */
export interface Slice {
  send: PendingSend;
  messages: KafkaMessage[];
  records: number[];
  /** The first that is not in a batch yet. */
  next: number;
}

/** Messages that were written to a broker, or will be next, as bytes that stay the same. */
export interface MessageBatch {
  bytes: Buffer;
  /** Bytes without compression. */
  plainBytes: number;
  messages: KafkaMessage[];
  /** The send and the record of each message. */
  sends: PendingSend[];
  records: number[];
  /** Written in a request that is not answered: to which broker, and when, in milliseconds since 1970. */
  onWire: { broker: number; since: number } | undefined;
  /** An attempt ended without an answer: it is stored or not. */
  isUnknown: boolean;
}

const EPOCH_MAX = 32_767;

/**
 * What goes to one partition: a queue, and at most one batch. A batch keeps its bytes until a broker has answered, so
 * that a broker which has stored it says so instead of storing it again, and nothing overtakes it.
 *
 * A batch that nobody waits for any more is abandoned. If it can still arrive, the epoch of the producer in this
 * partition grows with the next batch: the broker then refuses the older epoch (KIP-360).
 */
export class PartitionLog {
  readonly topic: string;
  readonly index: number;
  /** Undefined until a producer id is there. */
  identity: BatchIdentity | undefined;
  batch: MessageBatch | undefined;
  /** Not before this time, milliseconds of `performance.now()`. */
  retryAt = 0;
  /** Why the last attempt failed. */
  problem: FailedOutcome | undefined;
  /** When the first attempt without success began to fail, milliseconds since 1970. */
  failingSince = 0;
  /** Since which metadata its topic is missing, milliseconds of `performance.now()`. */
  missingSince: number | undefined;
  #queue: Slice[] = [];
  #attempts = 0;
  #maxBatchBytes = BATCH_BYTES;

  constructor(topic: string, index: number) {
    this.topic = topic;
    this.index = index;
  }

  get hasWork(): boolean {
    return this.batch !== undefined || this.#queue.length > 0;
  }

  /** Those who wait for it. */
  get sends(): Set<PendingSend> {
    return new Set([...(this.batch?.sends ?? []), ...this.#queue.map(({ send }) => send)]);
  }

  enqueue(slice: Slice): void {
    this.#queue.push(slice);
  }

  /** The batch to be sent: that of the last attempt, or one of the queue. Undefined if nothing in it is open. */
  nextBatch(compression: Compression): MessageBatch | undefined {
    if (this.batch !== undefined || this.identity === undefined) return this.batch;
    const builder = new RecordBatchBuilder(this.#maxBatchBytes);
    const sends: PendingSend[] = [];
    const records: number[] = [];
    let isFull = false;
    while (!isFull && this.#queue.length > 0) {
      const slice = this.#queue[0] as Slice;
      for (; slice.next < slice.messages.length; slice.next++) {
        const record = slice.records[slice.next] as number;
        if (!slice.send.isOpen(record)) continue;
        isFull = !builder.add(slice.messages[slice.next] as KafkaMessage);
        if (isFull) break;
        sends.push(slice.send);
        records.push(record);
        slice.send.countInBatch(record, 1);
      }
      if (!isFull) this.#queue.shift();
    }
    const { messages } = builder;
    if (messages.length === 0) return undefined;
    const bytes = builder.build(compression, Date.now());
    stampBatch(bytes, this.identity);
    const plainBytes = builder.bytes;
    this.batch = { bytes, plainBytes, messages, sends, records, onWire: undefined, isUnknown: false };
    return this.batch;
  }

  /** The batch is stored. */
  accepted(): void {
    const { sends, records } = this.#takeBatch();
    if (this.identity !== undefined) {
      const sequence = sequenceAfter(this.identity.sequence, records.length);
      this.identity = { ...this.identity, sequence };
    }
    sends.forEach((send, i) => {
      send.accept(records[i] as number);
    });
    this.#attempts = 0;
    this.problem = undefined;
  }

  /** The batch is not stored, and the messages at these places are why. Those behind them go back into the queue. */
  refused(outcomes: ReadonlyMap<number, FailedOutcome>): void {
    const batch = this.#takeBatch();
    // The last one first: a record that fails takes those behind it in its lane with it.
    for (const [i, outcome] of [...outcomes].sort(([a], [b]) => b - a)) {
      batch.sends[i]?.fail(batch.records[i] as number, outcome);
    }
    this.#requeue(batch);
  }

  /** The batch is not stored because it is too large; the next ones have half of its bytes. */
  halve(): void {
    const batch = this.#takeBatch();
    this.#maxBatchBytes = Math.max(1, Math.floor(batch.plainBytes / 2));
    this.#requeue(batch);
  }

  /** The broker does not take the batch after those before it: it is the first of a new epoch or producer id. */
  restart(): void {
    this.#bumpEpoch();
    if (this.batch !== undefined) this.batch.isUnknown = false;
    this.#stamp();
  }

  /** The broker knows another producer of this id. */
  forgetIdentity(): void {
    this.identity = undefined;
    if (this.batch !== undefined) this.batch.isUnknown = false;
  }

  /** Begins as another producer. */
  begin(producerId: bigint): void {
    this.identity = { producerId, epoch: 0, sequence: 0 };
    this.#stamp();
  }

  /** Waits before the next attempt, longer each time. */
  defer(now: number, problem: FailedOutcome): void {
    if (this.problem === undefined) this.failingSince = Date.now();
    this.problem = problem;
    const delay = exponentialBackoff(this.#attempts++, { baseMs: BATCH_RETRY_BASE_MS, maxMs: BATCH_RETRY_MAX_MS });
    this.retryAt = now + delay * (0.5 + Math.random() / 2);
  }

  /** A batch that is surely not stored, and not under way, goes back into the queue. */
  releaseBatch(): void {
    if (this.batch !== undefined && this.batch.onWire === undefined && !this.batch.isUnknown)
      this.#requeue(this.#takeBatch());
  }

  /** Gives up what nobody waits for. */
  abandon(): void {
    const { batch } = this;
    this.#queue = this.#queue.filter(({ send }) => !send.isDone);
    if (batch === undefined || !batch.sends.every(({ isDone }) => isDone)) return;
    this.batch = undefined;
    if (batch.onWire !== undefined || batch.isUnknown) this.#bumpEpoch();
    this.retryAt = 0;
  }

  #bumpEpoch(): void {
    if (this.identity === undefined) return;
    const { producerId, epoch } = this.identity;
    this.identity = epoch >= EPOCH_MAX ? undefined : { producerId, epoch: epoch + 1, sequence: 0 };
  }

  #stamp(): void {
    if (this.batch !== undefined && this.identity !== undefined) stampBatch(this.batch.bytes, this.identity);
  }

  #takeBatch(): MessageBatch {
    const batch = this.batch as MessageBatch;
    this.batch = undefined;
    batch.sends.forEach((send, i) => {
      send.countInBatch(batch.records[i] as number, -1);
    });
    return batch;
  }

  /** Puts messages back in front of the queue. Those with an outcome are left out when the next batch is made. */
  #requeue({ messages, sends, records }: MessageBatch): void {
    const slices: Slice[] = [];
    sends.forEach((send, i) => {
      const last = slices.at(-1);
      const slice = last?.send === send ? last : { send, messages: [], records: [], next: 0 };
      if (slice !== last) slices.push(slice);
      slice.messages.push(messages[i] as KafkaMessage);
      slice.records.push(records[i] as number);
    });
    this.#queue.unshift(...slices);
  }
}
