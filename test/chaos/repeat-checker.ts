import type { LostAnswer } from '../tcp-proxy.ts';
import type { Generation } from './chaos-daemon.ts';
import type { Expected } from './expected-changes.ts';
import { contains, type GtidIntervals, parseGtids } from './gtid-intervals.ts';
import type { Report } from './violation.ts';

/** What the sink did with the record of an event. */
export interface Delivered {
  call: number;
  /** Milliseconds since 1970. */
  at: number;
  stored: boolean;
  /** Stored, and the answer reported it. */
  accepted: boolean;
  /** The answer was delayed on purpose, up to `SLOW_MS`. */
  slow: boolean;
}

export interface RepeatCounts {
  repeats: number;
  /** Repeats by their reason. */
  afterRestart: number;
  afterFailedAnswer: number;
  afterLostAnswer: number;
  /** The daemon has counted the event as one that can be stored twice. */
  counted: number;
  /** The most repeats after one start of the daemon. */
  mostInOneGeneration: number;
}

export interface Repeat {
  expected: Expected;
  before: NonNullable<Expected['last']>;
  now: Delivered;
}

/** The longest time that a delayed answer is under way. See SLOWEST_MS in fault-plans.ts. */
const SLOW_MS = 4_000;
/** The daemon logs its start a moment before it requests the dump. */
const SLACK_MS = 50;
/** A call whose connection was cut can still be stored this much later. */
const STORING_MS = 1_000;

/** Checks `boundedRepeats`: every repeat needs a reason. */
export class RepeatChecker {
  readonly counts: RepeatCounts = {
    repeats: 0,
    afterRestart: 0,
    afterFailedAnswer: 0,
    afterLostAnswer: 0,
    counted: 0,
    mostInOneGeneration: 0,
  };
  readonly #report: Report;
  readonly #generations: (Generation & { gtids: GtidIntervals; repeats: number })[] = [];
  #waiting: Repeat[] = [];
  /** What the daemon has counted as possible repeats, by its starts. */
  #counted: { at: number; left: number }[] = [];

  constructor(report: Report) {
    this.#report = report;
  }

  /** The daemon has started to follow the binlog. It can now repeat what its checkpoint does not contain. */
  generation(generation: Generation): void {
    this.#generations.push({ ...generation, gtids: parseGtids(generation.from), repeats: 0 });
  }

  /** The daemon has counted this many events whose record can be stored and is sent again. */
  counted(at: number, events: number): void {
    this.#counted.push({ at, left: events });
  }

  add(repeat: Repeat): void {
    this.#waiting.push(repeat);
  }

  /**
   * Finds the reason of each repeat before this time. The reason is a start of the daemon in between, from a checkpoint
   * without the transaction, or a failed or lost answer. Call it a moment after the repeat, when the daemon's log shows
   * its starts.
   */
  explain(before: number, lostAnswers: readonly LostAnswer[]): void {
    const later: Repeat[] = [];
    for (const repeat of this.#waiting) {
      if (repeat.now.at > before) later.push(repeat);
      else this.#explain(repeat, lostAnswers);
    }
    this.#waiting = later;
  }

  prune(): void {
    this.#generations.splice(0, this.#generations.length - 1);
    this.#counted = [];
  }

  #explain({ expected, before, now }: Repeat, lostAnswers: readonly LostAnswer[]): void {
    this.counts.repeats++;
    const started = this.#generations.findLast(({ at }) => at <= now.at + SLACK_MS);
    if (started) {
      started.repeats++;
      this.counts.mostInOneGeneration = Math.max(this.counts.mostInOneGeneration, started.repeats);
    }
    if (!before.accepted) {
      this.counts.afterFailedAnswer++;
      return;
    }
    const isNew = started !== undefined && started.at >= before.at - SLACK_MS;
    if (isNew && !contains(started.gtids, expected.tx.gtid)) {
      this.counts.afterRestart++;
      return;
    }
    const counted = this.#counted.find(
      ({ at, left }) => left > 0 && at >= (started?.at ?? 0) - SLACK_MS && at <= now.at + SLACK_MS,
    );
    if (counted !== undefined) {
      counted.left--;
      this.counts.counted++;
      return;
    }
    const until = before.at + (before.slow ? SLOW_MS : SLACK_MS);
    if (
      lostAnswers.some(({ from, to }) => before.at >= from - SLACK_MS && from <= until && before.at <= to + STORING_MS)
    ) {
      this.counts.afterLostAnswer++;
      return;
    }
    this.#report({
      promise: 'boundedRepeats',
      what: isNew
        ? 'an event was repeated although the checkpoint of the daemon contains it'
        : 'an event was repeated without a reason',
      evidence: { ...expected.change, gtid: expected.tx.gtid, seq: expected.seq, before, now, started: started?.at },
    });
  }
}
