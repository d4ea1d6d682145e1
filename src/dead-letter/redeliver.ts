import { setTimeout as sleep } from 'node:timers/promises';
import { type BackoffBounds, fullJitterBackoff } from '../runtime/backoff.ts';
import type { CdcError } from '../runtime/error.ts';
import type { RecordEvent, RecordOutcome, Sink, SinkRecord } from '../sinks/sink.ts';
import type { StoredDeadLetter } from './dead-letter.ts';
import type { DeadLetterStore } from './dead-letter-store.ts';

/** The event was sent and its dead letter removed, or the dead letter is still in the store. */
export type RedeliveryResult =
  | { sent: true; stream: string }
  | { sent: false; reason: string; hint?: string | undefined };

export interface RedeliveryOptions {
  /** The stream that events of the dead letter's table go to now, and what its event is. */
  route: (letter: StoredDeadLetter) => { stream: string; sink: Sink };
  /** What the event of a dead letter is, for a sink that needs keys. */
  describe: (letter: StoredDeadLetter) => Omit<RecordEvent, 'key'>;
  /** Whether a log that keeps the order of a key takes an old event behind newer ones. */
  allowsOutOfOrder: boolean;
  onResult: (seq: string, result: RedeliveryResult) => void;
  signal: AbortSignal;
}

const CONCURRENCY = 8;
const ATTEMPTS_MAX = 8;
const RETRY_DELAY: BackoffBounds = { baseMs: 100, maxMs: 5_000 };

/**
 * Sends dead letters, each alone in its request, so that no event can make another fail. An accepted event leaves the
 * store; the others stay. Later events of their keys were sent already and have a higher `seq`. Where Firehose writes
 * to a lake, the order is irrelevant then. A reader of an ordered log can take the last message for the newest.
 */
export async function redeliver(
  store: DeadLetterStore,
  seqs: readonly string[],
  options: RedeliveryOptions,
): Promise<void> {
  /** The result for streams that reject everything. More requests to such a stream would give no other result. */
  const rejectingStreams = new Map<string, RedeliveryResult>();
  const sendAll = async (queue: Iterable<string>): Promise<void> => {
    for (const seq of queue) options.onResult(seq, await redeliverOne(store, seq, options, rejectingStreams));
  };
  const large: string[] = [];
  const others: string[] = [];
  for (const seq of seqs) ((await store.isLarge(seq)) ? large : others).push(seq);
  const queue = others.values();
  await Promise.all(Array.from({ length: CONCURRENCY }, () => sendAll(queue)));
  // One at a time, for the memory that each takes.
  await sendAll(large);
}

async function redeliverOne(
  store: DeadLetterStore,
  seq: string,
  { route, describe, signal, allowsOutOfOrder }: RedeliveryOptions,
  rejectingStreams: Map<string, RedeliveryResult>,
): Promise<RedeliveryResult> {
  if (signal.aborted) return INTERRUPTED;
  let letter: StoredDeadLetter;
  try {
    letter = await store.read(seq);
  } catch (error) {
    const { message, why, hint } = error as CdcError;
    return { sent: false, reason: [message, why].filter(Boolean).join(': '), hint };
  }
  const { stream, sink } = route(letter);
  if (sink.isLog && !allowsOutOfOrder) {
    return {
      sent: false,
      reason: `${sink.service} keeps the order of arrival, and later events of its key can be there already`,
      hint: 'a reader that orders by seq is not misled: then use --out-of-order; else correct the row in the source',
    };
  }
  const rejection = rejectingStreams.get(stream);
  if (rejection !== undefined) return rejection;

  const buffers = sink.encodeRecord ? await sink.encodeRecord([letter.event]) : [letter.event];
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  const { maxRecordBytes } = sink.limits;
  if (bytes > maxRecordBytes) {
    return {
      sent: false,
      reason: `${bytes} bytes are more than a ${sink.service} record may have (${maxRecordBytes})`,
      hint: `store it in another way (cdc dead-letter show ${seq} --event), then remove ${store.pathOf(seq)}`,
    };
  }

  const key = Buffer.from(letter.key ?? '');
  const record = sink.needsKeys ? { buffers, events: [{ ...describe(letter), key }] } : { buffers };
  const outcome = await sendWithRetry(sink, record, signal);
  if (outcome.kind === 'accepted') {
    await store.remove(seq);
    return { sent: true, stream };
  }
  if (signal.aborted) return INTERRUPTED;
  const isRejected = outcome.kind === 'rejected';
  const hint = isRejected ? outcome.hint : 'try again later';
  if (isRejected && outcome.scope === 'stream') {
    // The stream is the cause, not the event: the dead letter stays unchanged.
    const reason = `the stream ${stream} rejects everything: ${outcome.reason}`;
    const result: RedeliveryResult = { sent: false, reason, hint };
    rejectingStreams.set(stream, result);
    return result;
  }
  // Throttling or missing credentials are not caused by the event either.
  if (outcome.kind === 'throttled') return { sent: false, reason: outcome.reason, hint };
  const reason = isRejected ? `refused by ${sink.service}: ${outcome.reason}` : outcome.reason;
  await store.update({ ...letter, stream, reason, attempts: letter.attempts + 1 });
  return { sent: false, reason, hint };
}

const INTERRUPTED: RedeliveryResult = { sent: false, reason: 'interrupted' };

/** Retries outcomes that can change. After an unknown outcome the event is possibly stored twice. */
async function sendWithRetry(sink: Sink, record: SinkRecord, signal: AbortSignal): Promise<RecordOutcome> {
  for (let attempt = 1; ; attempt++) {
    const [outcome = NO_OUTCOME] = await sink.send([record], signal);
    if (outcome.kind === 'accepted' || outcome.kind === 'rejected' || attempt === ATTEMPTS_MAX) return outcome;
    await sleep(fullJitterBackoff(attempt - 1, RETRY_DELAY), undefined, { signal }).catch(() => {});
    if (signal.aborted) return outcome;
  }
}

const NO_OUTCOME: RecordOutcome = { kind: 'unknown', reason: 'the sink gave no outcome' };
