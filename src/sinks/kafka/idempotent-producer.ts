import { onAbort } from '../../runtime/abort.ts';
import type { SinkObstacle } from '../sink.ts';
import type { BrokerConnection } from './connection.ts';
import { type KafkaClient, UNKNOWN_TOPIC } from './kafka-client.ts';
import { BROKER_REQUESTS_MAX, METADATA_MAX_AGE_MS, REQUEST_BYTES, SILENT_AFTER_MS, TOPIC_GRACE_MS } from './limits.ts';
import { MetadataRefresh } from './metadata-refresh.ts';
import {
  connectionOutcome,
  invalidRecordOutcome,
  refusedOutcome,
  throttled,
  tooLargeOutcome,
  topicOutcome,
  unknown,
} from './outcomes.ts';
import { type MessageBatch, PartitionLog, type Slice } from './partition-log.ts';
import type { PendingSend } from './pending-send.ts';
import { type PartitionAnswer, sendBatches } from './produce-request.ts';
import { batchError, errorText } from './protocol-errors.ts';
import type { Compression } from './record-batch.ts';

export interface ProducerOptions {
  compression: Compression;
  /** How long a send can take; then what is left of it has an unknown outcome, or was not stored. */
  timeoutMs: number;
  /** How long a broker waits for its replicas. */
  ackTimeoutMs: number;
  /** Default: METADATA_MAX_AGE_MS. */
  metadataMaxAgeMs?: number | undefined;
  /** Whether a topic that is missing is created with the next send. */
  createsTopics: boolean;
}

/**
 * Stores messages once and in the order of each partition, whatever happens to connections and leaders: Kafka's
 * idempotent producer, with one batch of a partition in flight, and the same bytes on every attempt.
 *
 * Each request to a broker has a batch of every partition that the broker leads and that is due.
 */
export class IdempotentProducer {
  readonly #client: KafkaClient;
  readonly #options: ProducerOptions;
  readonly #metadata: MetadataRefresh;
  readonly #logs = new Map<string, PartitionLog[]>();
  /** Those with something to send. Served ones go to the end. */
  readonly #active = new Set<PartitionLog>();
  readonly #pending = new Map<PendingSend, { logs: Set<PartitionLog>; release: () => void }>();
  /** Requests in flight by broker. */
  readonly #requests = new Map<number, number>();
  readonly #connecting = new Set<number>();
  #producerId: bigint | undefined;
  #isAsking = false;
  #isScheduled = false;
  #wake: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(client: KafkaClient, options: ProducerOptions) {
    this.#client = client;
    this.#options = options;
    this.#metadata = new MetadataRefresh(client, {
      // It shows when a partition is sent to.
      onFailure: (error) => this.#deferAll((log) => client.leaderOf(log.topic, log.index) === undefined, error),
      onEnd: () => this.#schedule(),
    });
  }

  /** What is in the way of what waits for the longest; undefined if nothing is. */
  get obstacle(): SinkObstacle | undefined {
    const silentSince = Date.now() - SILENT_AFTER_MS;
    let oldest: SinkObstacle | undefined;
    const consider = (reason: string | undefined, since: number): void => {
      if (reason !== undefined && since < (oldest?.since ?? Number.POSITIVE_INFINITY)) oldest = { reason, since };
    };
    for (const send of this.#pending.keys()) consider(send.problem?.reason, send.since);
    for (const log of this.#active) {
      const { onWire } = log.batch ?? {};
      if (log.hasWork) consider(log.problem?.reason, log.failingSince);
      if (onWire === undefined || onWire.since > silentSince) continue;
      consider(`the broker ${this.#client.addressOf(onWire.broker)} does not answer`, onWire.since);
    }
    return oldest;
  }

  /** Ends the send after the timeout, or when the signal aborts, with what is known then. */
  watch(send: PendingSend, signal: AbortSignal): void {
    const { timeoutMs } = this.#options;
    const timer = setTimeout(() => this.#end(send, `no answer within ${timeoutMs / 1000} s`), timeoutMs);
    const removeListener = onAbort(signal, () => queueMicrotask(() => this.#abort(send)));
    const release = () => {
      clearTimeout(timer);
      removeListener();
      this.#pending.delete(send);
    };
    this.#pending.set(send, { logs: new Set(), release });
    void send.done.then(release);
  }

  /** Appends messages of a watched send to a partition. They go out in the order of the calls. */
  append(topic: string, partition: number, slice: Slice): void {
    let logs = this.#logs.get(topic);
    if (logs === undefined) this.#logs.set(topic, (logs = []));
    const log = (logs[partition] ??= new PartitionLog(topic, partition));
    log.enqueue(slice);
    this.#active.add(log);
    this.#pending.get(slice.send)?.logs.add(log);
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#metadata.close();
    clearTimeout(this.#wake);
    for (const send of [...this.#pending.keys()]) this.#abort(send);
  }

  #abort(send: PendingSend): void {
    const outcome = unknown('the sink was stopped before an answer came');
    this.#release(send, outcome, outcome);
  }

  /** The time of the send is over. */
  #end(send: PendingSend, reason: string): void {
    const logs = this.#pending.get(send)?.logs ?? [];
    for (const log of logs) log.releaseBatch();
    const problem = send.problem ?? [...logs].find((log) => log.problem !== undefined)?.problem;
    const text = problem === undefined ? reason : `${reason}: ${problem.reason}`;
    const notSent = problem?.kind === 'rejected' ? { ...problem, reason: text } : throttled(text);
    this.#release(send, unknown(text), notSent);
  }

  #release(send: PendingSend, ...outcomes: Parameters<PendingSend['end']>): void {
    const logs = this.#pending.get(send)?.logs ?? [];
    send.end(...outcomes);
    for (const log of logs) log.abandon();
    this.#schedule();
  }

  /** Sends what is due in the next turn, so that sends of the same turn share a request. */
  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isClosed) this.#sendDue();
    });
  }

  #sendDue(): void {
    const now = performance.now();
    const byBroker = new Map<number, PartitionLog[]>();
    let wakeAt = Number.POSITIVE_INFINITY;
    let isStale = false;
    for (const log of this.#active) {
      if (!log.hasWork) this.#active.delete(log);
      if (!log.hasWork || log.batch?.onWire) continue;
      if (this.#isGone(log)) {
        this.#giveUp(log);
        continue;
      }
      const leader = log.retryAt > now ? undefined : this.#client.leaderOf(log.topic, log.index);
      if (leader !== undefined) {
        const logs = byBroker.get(leader);
        if (logs === undefined) byBroker.set(leader, [log]);
        else logs.push(log);
        continue;
      }
      if (log.retryAt <= now) {
        isStale = true;
        log.defer(now, throttled(`no broker leads partition ${log.index} of ${log.topic}`));
      }
      wakeAt = Math.min(wakeAt, log.retryAt);
    }
    const { metadataMaxAgeMs = METADATA_MAX_AGE_MS } = this.#options;
    if (this.#active.size > 0 && now - this.#client.refreshedAt > metadataMaxAgeMs) isStale = true;
    if (isStale) this.#metadata.request();
    for (const [broker, logs] of byBroker) this.#sendTo(broker, logs);
    clearTimeout(this.#wake);
    if (wakeAt < Number.POSITIVE_INFINITY) this.#wake = setTimeout(() => this.#schedule(), Math.ceil(wakeAt - now));
  }

  /** Whether brokers have said for a while that there is no such topic: one that has just started may not know it. */
  #isGone(log: PartitionLog): boolean {
    const { refreshedAt } = this.#client;
    if (this.#client.topicError(log.topic) !== UNKNOWN_TOPIC) log.missingSince = undefined;
    else log.missingSince ??= refreshedAt;
    return log.missingSince !== undefined && refreshedAt - log.missingSince > TOPIC_GRACE_MS;
  }

  /** Ends the sends that wait for a topic which is gone. */
  #giveUp(log: PartitionLog): void {
    const missing = topicOutcome(log.topic, UNKNOWN_TOPIC);
    const notSent = this.#options.createsTopics ? throttled(missing.reason) : missing;
    for (const send of log.sends) {
      for (const its of this.#pending.get(send)?.logs ?? []) its.releaseBatch();
      this.#release(send, unknown(missing.reason), notSent);
    }
    log.missingSince = undefined;
  }

  #sendTo(broker: number, logs: readonly PartitionLog[]): void {
    if ((this.#requests.get(broker) ?? 0) >= BROKER_REQUESTS_MAX) return;
    const connection = this.#client.openConnection(broker);
    if (connection === undefined) return this.#connect(broker);
    const producerId = this.#producerId;
    if (producerId === undefined) return this.#askProducerId();
    const sent: { log: PartitionLog; batch: MessageBatch }[] = [];
    let bytes = 0;
    for (const log of logs) {
      if (log.identity === undefined) log.begin(producerId);
      const batch = log.nextBatch(this.#options.compression);
      if (batch === undefined) continue;
      if (sent.length > 0 && bytes + batch.bytes.length > REQUEST_BYTES) break;
      bytes += batch.bytes.length;
      batch.onWire = { broker, since: Date.now() };
      sent.push({ log, batch });
      this.#active.delete(log);
      this.#active.add(log);
    }
    if (sent.length === 0) return;
    if (sent.length < logs.length) this.#schedule();
    void this.#send(broker, connection, sent);
  }

  async #send(
    broker: number,
    connection: BrokerConnection,
    sent: readonly { log: PartitionLog; batch: MessageBatch }[],
  ): Promise<void> {
    this.#requests.set(broker, (this.#requests.get(broker) ?? 0) + 1);
    const requests = sent.map(({ log: { topic, index }, batch }) => ({ topic, partition: index, bytes: batch.bytes }));
    let answers: (PartitionAnswer | undefined)[] = [];
    let failure: unknown;
    try {
      answers = await sendBatches(connection, requests, this.#options.ackTimeoutMs);
    } catch (error) {
      failure = error;
    }
    this.#requests.set(broker, (this.#requests.get(broker) ?? 1) - 1);
    if (failure !== undefined) this.#metadata.request();
    const now = performance.now();
    sent.forEach(({ log, batch }, i) => {
      batch.onWire = undefined;
      // It was abandoned meanwhile.
      if (log.batch !== batch) return;
      const answer = answers[i];
      if (answer !== undefined) {
        this.#onAnswer(log, batch, answer, now);
        return;
      }
      batch.isUnknown = true;
      log.defer(
        now,
        failure === undefined ? unknown('the answer has nothing for the partition') : connectionOutcome(failure),
      );
    });
    this.#schedule();
  }

  #onAnswer(log: PartitionLog, batch: MessageBatch, answer: PartitionAnswer, now: number): void {
    const { errorCode, message, records } = answer;
    if (errorCode === 0) return log.accepted();
    const text = errorText(errorCode, message);
    const { kind, hint = '' } = batchError(errorCode);
    const count = batch.messages.length;
    switch (kind) {
      case 'too large':
        if (count > 1) return log.halve();
        return log.refused(new Map([[0, tooLargeOutcome(log.topic, batch.plainBytes, text)]]));
      case 'record': {
        const isNamed = records.length > 0 || count === 1;
        const named = records.length > 0 ? records : batch.messages.map((_, index) => ({ index, message: null }));
        const outcomes = named.map(({ index, message: why }) => {
          return [index, invalidRecordOutcome(log.topic, why ?? text, isNamed ? 'record' : 'request')] as const;
        });
        return log.refused(new Map(outcomes));
      }
      case 'refused': {
        const outcome = refusedOutcome(log.topic, text, hint);
        return log.refused(new Map(batch.messages.map((_, index) => [index, outcome])));
      }
      case 'fenced':
        if (log.identity?.producerId === this.#producerId) this.#producerId = undefined;
        log.forgetIdentity();
        break;
      case 'sequence':
        log.restart();
        break;
      case 'moved':
        this.#metadata.request();
        break;
      case 'unknown':
        batch.isUnknown = true;
        break;
      case 'not stored':
        break;
    }
    log.defer(now, throttled(`${log.topic}: ${text}`));
  }

  #connect(broker: number): void {
    if (this.#connecting.has(broker)) return;
    this.#connecting.add(broker);
    this.#client
      .connect(broker)
      .catch((error) => {
        this.#deferAll((log) => this.#client.leaderOf(log.topic, log.index) === broker, error);
        this.#metadata.request();
      })
      .finally(() => {
        this.#connecting.delete(broker);
        this.#schedule();
      });
  }

  #askProducerId(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#client
      .initProducerId()
      .then((id) => {
        this.#producerId = id;
      })
      .catch((error) => this.#deferAll((log) => log.identity === undefined, error))
      .finally(() => {
        this.#isAsking = false;
        this.#schedule();
      });
  }

  #deferAll(which: (log: PartitionLog) => boolean, error: unknown): void {
    const now = performance.now();
    const problem = connectionOutcome(error);
    for (const log of this.#active) if (!log.batch?.onWire && which(log)) log.defer(now, problem);
  }
}
