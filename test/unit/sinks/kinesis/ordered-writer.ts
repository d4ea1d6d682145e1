import type { RecordOutcome, Sink, SinkRecord } from '../../../../src/sinks/sink.ts';

const KEYS_PER_REQUEST = 500;
const RETRY_MS = 5;

/**
 * Sends the events of each key in their order, as delivery does: a request has at most one record of a key, and an
 * event that is not accepted is sent again before the next one of its key. Counts the outcomes.
 */
export async function sendInOrder(
  sink: Sink,
  events: ReadonlyMap<string, SinkRecord[]>,
  signal: AbortSignal,
): Promise<Map<RecordOutcome['kind'], number>> {
  const queues = [...events.values()].map((records) => ({ records, next: 0 }));
  const counts = new Map<RecordOutcome['kind'], number>();
  for (let turn = 0; ; turn++) {
    const open = queues.filter(({ records, next }) => next < records.length);
    if (open.length === 0) return counts;
    // Every key has its turn.
    const first = (turn * KEYS_PER_REQUEST) % open.length;
    const candidates = [...open.slice(first), ...open.slice(0, first)].slice(0, KEYS_PER_REQUEST);
    const request: typeof queues = [];
    for (const queue of candidates) {
      const record = queue.records[queue.next] as SinkRecord;
      if ((sink.pacer?.admit(record, performance.now()) ?? 0) === 0) request.push(queue);
    }
    if (request.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      continue;
    }
    const records = request.map(({ records, next }) => records[next] as SinkRecord);
    const outcomes = await sink.send(records, signal);
    let accepted = 0;
    outcomes.forEach((outcome, i) => {
      counts.set(outcome.kind, (counts.get(outcome.kind) ?? 0) + 1);
      if (outcome.kind === 'rejected') throw new Error(outcome.reason);
      if (outcome.kind !== 'accepted') return;
      accepted++;
      (request[i] as { next: number }).next++;
    });
    if (accepted === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
