import { setTimeout as sleep } from 'node:timers/promises';
import type { CdcError } from '../runtime/error.ts';
import type { RecordOutcome, Sink, SinkRecord } from '../sinks/sink.ts';
import type { StoredDeadLetter } from './dead-letter.ts';
import type { DeadLetterStore } from './dead-letter-store.ts';

/** What became of a letter: sent, or still in the folder. */
export type RedeliveryResult =
  | { sent: true; stream: string }
  | { sent: false; reason: string; hint?: string | undefined };

export interface RedeliveryOptions {
  /** The stream where the events of the letter's table go now. */
  route: (letter: StoredDeadLetter) => { stream: string; sink: Sink };
  onResult: (seq: string, fate: RedeliveryResult) => void;
  signal: AbortSignal;
}

const AT_ONCE = 8;
const TRIES = 8;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Sends letters, each alone in its request, so that none can make another fail. What is accepted leaves the folder, all
 * else stays. Their order does not matter: later events of their keys have been sent already, and `seq` tells.
 */
export async function redeliver(
  folder: DeadLetterStore,
  seqs: readonly string[],
  to: RedeliveryOptions,
): Promise<void> {
  /** Streams that refuse everything: asking again for each letter would tell nothing. */
  const rejectingStreams = new Map<string, RedeliveryResult>();
  const waiting = seqs.values();
  const worker = async (): Promise<void> => {
    for (const seq of waiting) to.onResult(seq, await redeliverOne(folder, seq, to, rejectingStreams));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function redeliverOne(
  folder: DeadLetterStore,
  seq: string,
  { route, signal }: RedeliveryOptions,
  rejectingStreams: Map<string, RedeliveryResult>,
): Promise<RedeliveryResult> {
  if (signal.aborted) return INTERRUPTED;
  let letter: StoredDeadLetter;
  try {
    letter = await folder.read(seq);
  } catch (error) {
    const { message, why, hint } = error as CdcError;
    return { sent: false, reason: [message, why].filter(Boolean).join(': '), hint };
  }
  const { stream, sink } = route(letter);
  const isClosed = rejectingStreams.get(stream);
  if (isClosed !== undefined) return isClosed;

  const buffers = sink.encodeRecord ? await sink.encodeRecord([letter.event]) : [letter.event];
  const bytes = buffers.reduce((sum, piece) => sum + piece.length, 0);
  const { maxRecordBytes } = sink.limits;
  if (bytes > maxRecordBytes) {
    const hint = `store it in another way (cdc dead-letter show ${seq} --event), then remove ${folder.pathOf(seq)}`;
    return {
      sent: false,
      reason: `${bytes} bytes are more than a ${sink.service} record may have (${maxRecordBytes})`,
      hint,
    };
  }

  const record = sink.needsKeys ? { buffers, keys: [Buffer.from(letter.key ?? '')] } : { buffers };
  const outcome = await sendWithRetry(sink, record, signal);
  if (outcome.kind === 'accepted') {
    await folder.remove(seq);
    return { sent: true, stream };
  }
  if (signal.aborted) return INTERRUPTED;
  const isRejected = outcome.kind === 'rejected';
  const hint = isRejected ? outcome.hint : 'try again later';
  if (isRejected && outcome.scope === 'stream') {
    // That says nothing of this letter.
    const fate: RedeliveryResult = {
      sent: false,
      reason: `the stream ${stream} refuses everything: ${outcome.reason}`,
      hint,
    };
    rejectingStreams.set(stream, fate);
    return fate;
  }
  // A stream that is busy, or credentials that are out of reach, say nothing of this letter either.
  if (outcome.kind === 'throttled') return { sent: false, reason: outcome.reason, hint };
  const reason = isRejected ? `refused by ${sink.service}: ${outcome.reason}` : outcome.reason;
  await folder.update({ ...letter, stream, reason, attempts: letter.attempts + 1 });
  return { sent: false, reason, hint };
}

const INTERRUPTED: RedeliveryResult = { sent: false, reason: 'interrupted' };

/** Tries a few times where that may help; a letter that may have been stored may be sent again. */
async function sendWithRetry(sink: Sink, record: SinkRecord, signal: AbortSignal): Promise<RecordOutcome> {
  for (let tries = 1; ; tries++) {
    const [outcome = NO_OUTCOME] = await sink.send([record], signal);
    if (outcome.kind === 'accepted' || outcome.kind === 'rejected' || tries === TRIES) return outcome;
    const bound = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1));
    await sleep(Math.random() * bound, undefined, { signal }).catch(() => {});
    if (signal.aborted) return outcome;
  }
}

const NO_OUTCOME: RecordOutcome = { kind: 'unknown', reason: 'the sink gave no outcome' };
