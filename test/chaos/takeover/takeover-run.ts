import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '../../../src/local/demo/random.ts';
import { faultPlan } from '../fault-plans.ts';
import type { Findings } from '../report.ts';
import { type Blow, type BlowName, deck, STRIKES, untilLeads } from './blows.ts';
import { checkLeaders, type LeaderCounts } from './leader-checker.ts';
import { TakeoverBed, type TakeoverBedOptions } from './takeover-bed.ts';

export interface TakeoverRunOptions extends TakeoverBedOptions {
  rounds: number;
  /** The blows in their order, again and again; undefined draws them. */
  blows: readonly BlowName[] | undefined;
  /** From the death of a leader to the first put of the next one that is accepted, in milliseconds. */
  takeoverWithinMs: number;
}

/** A round, and how long the pipeline had no leader. All times are in milliseconds after the leader was gone. */
export interface TakeoverRound {
  blow: BlowName;
  what: string;
  sinkFaults: boolean;
  backfill: boolean;
  /** Whether a process had to start first. */
  hadNoStandby?: boolean;
  /** Undefined where no other daemon had to lead. */
  takeover?: { leads: number; firstPut: number | undefined; firstAccepted: number | undefined };
}

export interface TakeoverReport extends Findings {
  seed: number;
  store: string;
  options: { members: number; capturesAll: boolean };
  seconds: number;
  server: string;
  rounds: TakeoverRound[];
  changes: number;
  trouble: Record<string, number>;
  leaders: LeaderCounts;
  leasesLost: number;
  daemonStarts: number;
  storeReads: { done: number; failed: number; generation: number };
  backfill: { requests: number; events: number; copied: number };
  peakRssMb: number;
  directory: string;
}

/** After this time a wait is a failure of its own. */
const SETTLE_WITHIN_MS = 60_000;
/** An event is lost if it is missing this long after the checkpoint contains its transaction. */
const LOST_AFTER_MS = 3_000;

/** Rounds of one blow each. After each the pipeline has one leader, and everything is checked. */
export function runTakeovers(options: TakeoverRunOptions): Promise<TakeoverReport> {
  return TakeoverBed.run(options, (bed) => new TakeoverRun(options, bed).run());
}

class TakeoverRun {
  readonly #options: TakeoverRunOptions;
  readonly #bed: TakeoverBed;
  readonly #random: Random;
  readonly #rounds: TakeoverRound[] = [];
  #leaders: LeaderCounts = { puts: 0, overlaps: 0, longestOverlapMs: 0 };

  constructor(options: TakeoverRunOptions, bed: TakeoverBed) {
    this.#options = options;
    this.#bed = bed;
    this.#random = seededRandom(options.seed * 31_337);
  }

  async run(): Promise<TakeoverReport> {
    const { members, signal, store } = this.#bed;
    const { rounds, blows: given } = this.#options;
    const begin = Date.now();
    for (const member of members) member.start();
    await this.#untilSettled();
    // It begins at the end of the binlog: what was written before the first checkpoint is not its task.
    while (this.#bed.watch.text === '' && !signal.aborted) await sleep(50);
    let blows: BlowName[] = [];
    while (this.#rounds.length < rounds && !signal.aborted) {
      if (blows.length === 0) blows = given ? [...given].reverse() : deck(this.#random, store.port !== undefined);
      await this.#round(blows.pop() as BlowName);
    }
    return this.#report(begin);
  }

  async #round(name: BlowName): Promise<void> {
    const { workload, firehose, members, checker, copies, options, signal } = this.#bed;
    const random = this.#random;
    const begin = Date.now();
    workload.start();
    const round: TakeoverRound = {
      ...{ blow: name, what: '', sinkFaults: random.chance(0.25), backfill: random.chance(0.3) },
    };
    this.#rounds.push(round);
    if (round.backfill) await copies.begin(random).catch(() => {});
    if (round.sinkFaults) firehose.setFaults(faultPlan(random));
    await sleep(random.chance(0.4) ? random.below(200) : 300 + random.below(1_500));
    const leader = this.#bed.leader;
    if (leader === undefined) {
      if (!signal.aborted) checker.report({ promise: 'takeover', what: 'nobody leads', evidence: this.#states() });
      await workload.stop();
      return;
    }
    const blow = await STRIKES[name](this.#bed, leader, random);
    round.what = blow.what;
    if (blow.leaderGoneAt !== undefined) await this.#takeover(round, blow, blow.leaderGoneAt);
    await this.#heal(blow);
    await this.#untilSettled();
    firehose.setFaults(undefined);
    await sleep(random.below(800));
    await workload.stop();
    await this.#untilDelivered();
    if (!signal.aborted) await this.#check();
    for (const { daemon } of members) daemon.sampleMemory();
    options.print(this.#line(round, Date.now() - begin));
  }

  async #heal(blow: Blow): Promise<void> {
    await blow.heal();
    // A daemon that ended by itself was reported, and the run continues.
    for (const member of this.#bed.members) {
      member.store?.resume();
      if (member.isStopped) member.continue();
      if (member.state === 'down') member.start();
    }
  }

  /** Waits for the next leader and its first put that is accepted. */
  async #takeover(round: TakeoverRound, { hadNoStandby, endedAt }: Blow, goneAt: number): Promise<void> {
    const { checker, signal } = this.#bed;
    const next = await untilLeads(this.#bed, goneAt);
    const { leadsSince } = next ?? {};
    if (next === undefined || leadsSince === undefined) {
      if (signal.aborted) return;
      checker.report({ promise: 'takeover', what: 'no other daemon leads after 30 s', evidence: this.#states() });
      return;
    }
    const after = (times: readonly number[]): number | undefined => times.find((at) => at >= leadsSince);
    const deadline = Date.now() + SETTLE_WITHIN_MS;
    while (after(next.accepted) === undefined && next.leadsSince === leadsSince && Date.now() < deadline) {
      if (signal.aborted) return;
      await sleep(20);
    }
    const from = endedAt ?? goneAt;
    const since = (at: number | undefined): number | undefined => (at === undefined ? undefined : at - from);
    const takeover = {
      leads: leadsSince - from,
      firstPut: since(after(next.puts)),
      firstAccepted: since(after(next.accepted)),
    };
    round.takeover = takeover;
    round.hadNoStandby = hadNoStandby ?? false;
    // A sink with faults accepts the first put late.
    const took = round.sinkFaults ? takeover.firstPut : takeover.firstAccepted;
    const { takeoverWithinMs } = this.#options;
    if (took !== undefined && (took <= takeoverWithinMs || hadNoStandby)) return;
    checker.report({
      promise: 'takeover',
      what: `a takeover took more than ${takeoverWithinMs} ms`,
      evidence: { ...round, next: next.name, ...this.#states() },
    });
  }

  /** Waits until one daemon leads and all others stand by. */
  async #untilSettled(): Promise<void> {
    const { members, checker, signal } = this.#bed;
    const deadline = Date.now() + SETTLE_WITHIN_MS;
    const isSettled = (): boolean =>
      members.filter(({ state }) => state === 'leader').length === 1 &&
      members.every(({ state }) => state === 'leader' || state === 'standby');
    while (!isSettled()) {
      if (signal.aborted) return;
      if (Date.now() > deadline) {
        const what = 'the daemons do not become one leader and standbys';
        checker.report({ promise: 'takeover', what, evidence: this.#states() });
        return;
      }
      await sleep(50);
    }
  }

  /** Nobody writes and no fault is active: everything has to arrive. */
  async #untilDelivered(): Promise<void> {
    const { checker, watch, copies, signal, server } = this.#bed;
    const deadline = Date.now() + SETTLE_WITHIN_MS;
    let claimedSince: number | undefined;
    while (checker.expectedChanges.outstanding > 0) {
      if (signal.aborted) return;
      await watch.look();
      const [tx] = checker.expectedChanges.waiting();
      const isClaimed = tx !== undefined && checker.isInCheckpoint(tx.gtid);
      claimedSince = isClaimed ? (claimedSince ?? Date.now()) : undefined;
      if (claimedSince !== undefined && Date.now() - claimedSince > LOST_AFTER_MS) return;
      if (Date.now() > deadline) {
        const { outstanding } = checker.expectedChanges;
        const what = `events did not arrive within ${SETTLE_WITHIN_MS} ms after a takeover`;
        checker.report({
          promise: 'lagHeals',
          what,
          evidence: { outstanding, server: server.version, ...this.#states() },
        });
        return;
      }
      await sleep(50);
    }
    await copies.finishAndCompare(signal);
  }

  async #check(): Promise<void> {
    const bed = this.#bed;
    const { checker, server, watch, members } = bed;
    await watch.look();
    bed.explainRepeats();
    checker.delivery.checkNothingLost();
    await checker.compare(server.url);
    const counts = checkLeaders(members, bed.allowances, checker.report);
    this.#leaders.puts += counts.puts;
    this.#leaders.overlaps += counts.overlaps;
    this.#leaders.longestOverlapMs = Math.max(this.#leaders.longestOverlapMs, counts.longestOverlapMs);
    for (const { puts, accepted } of members) {
      puts.length = 0;
      accepted.length = 0;
    }
    bed.clearLake();
  }

  #states(): Record<string, unknown> {
    const { members } = this.#bed;
    return Object.fromEntries(
      members.map(({ name, state, spans, daemon }) => [
        name,
        { state, spans: spans.slice(-2), lastWords: daemon.lastWords.slice(-1_500) },
      ]),
    );
  }

  #line({ what, sinkFaults, backfill, takeover }: TakeoverRound, ms: number): string {
    const { checker } = this.#bed;
    const { leads, firstPut, firstAccepted } = takeover ?? {};
    const times = takeover ? `: leads after ${leads} ms, put ${firstPut}, accepted ${firstAccepted}` : '';
    const circumstances = `${sinkFaults ? ', sink faults' : ''}${backfill ? ', backfill' : ''}`;
    return (
      `round ${this.#rounds.length}: ${what}${circumstances}${times}; ${Math.round(ms / 1000)} s, ` +
      `${checker.expectedChanges.changes} changes, ${checker.delivery.counts.repeats} repeats, ` +
      `${this.#leaders.overlaps} overlaps, ${checker.violations.length} violations`
    );
  }

  #report(begin: number): TakeoverReport {
    const { options, store, server, checker, trouble, members, watch, copies } = this.#bed;
    const { seed, capturesAll, directory } = options;
    return {
      seed,
      store: store.name,
      options: { members: members.length, capturesAll },
      seconds: Math.round((Date.now() - begin) / 1000),
      server: server.version,
      rounds: this.#rounds,
      changes: checker.expectedChanges.changes,
      trouble,
      leaders: this.#leaders,
      leasesLost: members.reduce((sum, { losses }) => sum + losses, 0),
      daemonStarts: members.reduce((sum, { daemon }) => sum + daemon.starts, 0),
      storeReads: { done: watch.looks, failed: watch.failed, generation: watch.generation },
      backfill: { requests: copies.requests, events: copies.events, copied: copies.copied },
      peakRssMb: Math.max(...members.map(({ daemon }) => daemon.peakRssMb)),
      directory,
      ...checker.findings,
    };
  }
}
