import type { LostAnswer } from '../tcp-proxy.ts';
import type { Generation } from './chaos-daemon.ts';
import type { Expected } from './expected-changes.ts';
import { contains, type GtidIntervals, parseGtids } from './gtid-intervals.ts';
import type { Report } from './violation.ts';

/** What the sink did with the record that an event came in. */
export interface Delivered {
  call: number;
  /** Milliseconds since 1970. */
  at: number;
  stored: boolean;
  /** Stored, and the answer that went out says so. */
  accepted: boolean;
  /** The answer was held back on purpose, so it may have been on its way for long. */
  slow: boolean;
}

export interface RepeatCounts {
  repeats: number;
  /** Repeats by what explains them. */
  afterRestart: number;
  afterFailedAnswer: number;
  afterLostAnswer: number;
  /** Repeats of the generation that had most. */
  mostInOneGeneration: number;
}

export interface Repeat {
  expected: Expected;
  before: NonNullable<Expected['last']>;
  now: Delivered;
}

/** How long an answer that was held back may have been under way; see fault-plans.ts. */
const SLOW_MS = 4_000;
/** Our clock and the daemon's log are of one machine, but the log is written before the dump is asked for. */
const SLACK_MS = 50;
/** A call that was cut off may be stored so much later: it had come through, and storing it takes its time. */
const STORING_MS = 1_000;

/** boundedRepeats: every repeat needs a reason. */
export class RepeatCheck {
  readonly counts: RepeatCounts = {
    repeats: 0,
    afterRestart: 0,
    afterFailedAnswer: 0,
    afterLostAnswer: 0,
    mostInOneGeneration: 0,
  };
  readonly #report: Report;
  readonly #generations: (Generation & { gtids: GtidIntervals; repeats: number })[] = [];
  #waiting: Repeat[] = [];

  constructor(report: Report) {
    this.#report = report;
  }

  /** The daemon began to follow the binlog anew: from here on it may repeat what its checkpoint did not hold. */
  generation(generation: Generation): void {
    this.#generations.push({ ...generation, gtids: parseGtids(generation.from), repeats: 0 });
  }

  add(repeat: Repeat): void {
    this.#waiting.push(repeat);
  }

  /**
   * Looks for the reason of each repeat: a start of the daemon in between, from a checkpoint without the transaction; or an answer that
   * did not come, because the sink failed or the network did. Called a moment later, when the daemon's log has told of its starts.
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
        ? 'an event was repeated although the checkpoint that the daemon started from holds it'
        : 'an event was repeated without a reason',
      evidence: { ...expected.change, gtid: expected.tx.gtid, seq: expected.seq, before, now, started: started?.at },
    });
  }
}
