import type { StreamDelivery } from '../model/delivery-status.ts';
import type { StreamTotals } from '../model/delivery-totals.ts';
import type { RecordOutcome, SinkObstacle } from '../sinks/sink.ts';
import { NOT_ACCEPTING_AFTER_MS, STUCK_LANES_SHOWN } from './limits.ts';

/** A pipeline that has nothing to send for so long after its start has nothing left to try. */
const IDLE_AFTER_START_MS = 10_000;

/** Reads the name of the table and the `seq` of a line. */
export type DescribeEvent = (line: Buffer) => { table: string; seq: string };

/** What a lane shows: see Lane. */
interface ShownLane {
  readonly events: number;
  readonly bytes: number;
  readonly attempts: number;
  readonly isInFlight: boolean;
  readonly failure: { since: number; reason: string; number: number };
  oldestEvent(): Buffer;
}

/**
 * Whether a stream accepts what it is sent. A request that hangs counts as one that fails, so the time since the first
 * try without an accepted record decides.
 */
export class Acceptance {
  readonly #totals: StreamTotals;
  readonly #startedAt = Date.now();
  /** The oldest event of a lane that fails, and the number of that failure: lines can be large, and are read once. */
  readonly #described = new Map<number, { failure: number; oldest: { table: string; seq: string } }>();

  constructor(totals: StreamTotals) {
    this.#totals = totals;
  }

  /** A request is sent. */
  began(): void {
    const totals = this.#totals;
    totals.requests++;
    // Not of this pipeline alone: a restart does not make a stream accept.
    if (totals.tryingSince === 0) totals.tryingSince = Date.now();
  }

  /**
   * A request was answered.
   * @param startedAt when it was sent, in milliseconds of `performance.now()`
   * @param hasOthers whether other requests are still in flight
   */
  ended(outcomes: readonly RecordOutcome[], startedAt: number, hasOthers: boolean): void {
    const totals = this.#totals;
    totals.requestSeconds += (performance.now() - startedAt) / 1000;
    let hasAccepted = false;
    for (const { kind } of outcomes) {
      totals.outcomes[kind]++;
      if (kind === 'accepted') hasAccepted = true;
    }
    if (!hasAccepted) return;
    totals.lastAcceptedAt = Date.now();
    totals.tryingSince = hasOthers ? totals.lastAcceptedAt : 0;
  }

  /** Nothing waits any more, such as after a dead letter. */
  idle(): void {
    this.#totals.tryingSince = 0;
  }

  status(
    stream: string,
    lanes: readonly ShownLane[],
    requestsInFlight: number,
    obstacle: SinkObstacle | undefined,
    describe: DescribeEvent,
  ): StreamDelivery {
    const retrying = lanes.map((lane, index) => ({ lane, index })).filter(({ lane }) => lane.attempts > 0);
    const stuck = retrying
      .sort((a, b) => a.lane.failure.since - b.lane.failure.since)
      .slice(0, STUCK_LANES_SHOWN)
      .map(({ lane, index }) => ({
        lane: index,
        attempts: lane.attempts,
        since: new Date(lane.failure.since).toISOString(),
        reason: lane.failure.reason,
        events: lane.events,
        bytes: lane.bytes,
        oldest: this.#describe(lane, index, describe),
      }));
    const { outcomes, requests, requestSeconds, tryingSince, lastAcceptedAt } = this.#totals;
    const isIdle = requestsInFlight === 0 && lanes.every(({ events }) => events === 0);
    const isTrying = tryingSince !== 0 && !(isIdle && Date.now() - this.#startedAt > IDLE_AFTER_START_MS);
    return {
      stream,
      accepting: !isTrying || Date.now() - tryingSince < NOT_ACCEPTING_AFTER_MS,
      lastAcceptedAt: lastAcceptedAt === 0 ? null : new Date(lastAcceptedAt).toISOString(),
      obstacle: obstacle === undefined ? null : { ...obstacle, since: new Date(obstacle.since).toISOString() },
      outcomes: { ...outcomes },
      ...{ requestsInFlight, requests, requestSeconds },
      lanes: {
        total: lanes.length,
        waiting: lanes.filter((lane) => lane.events > 0 && !lane.isInFlight).length,
        inFlight: lanes.filter((lane) => lane.isInFlight).length,
        retrying: retrying.length,
      },
      stuck,
    };
  }

  #describe(lane: ShownLane, index: number, describe: DescribeEvent): { table: string; seq: string } {
    const { number } = lane.failure;
    const known = this.#described.get(index);
    if (known?.failure === number) return known.oldest;
    const oldest = describe(lane.oldestEvent());
    this.#described.set(index, { failure: number, oldest });
    return oldest;
  }
}
