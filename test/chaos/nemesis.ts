import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { type Random, seededRandom } from '../../src/local/demo/random.ts';
import type { LocalFirehose } from '../../src/local/firehose/server.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import type { TcpProxy } from '../tcp-proxy.ts';
import type { ChaosDaemon } from './chaos-daemon.ts';
import { faultPlan, refusal } from './fault-plans.ts';
import type { Report } from './violation.ts';

export interface VillainCounts {
  kills: number;
  killsWhileStarting: number;
  terminations: number;
  refusals: number;
  slowestTerminationMs: number;
  cuts: number;
  stalls: number;
  blackholes: number;
  serverRestarts: number;
  serverKills: number;
  flushes: number;
  purges: number;
  faultPlans: number;
}

export const noFaults = (): VillainCounts => ({
  kills: 0,
  killsWhileStarting: 0,
  terminations: 0,
  refusals: 0,
  slowestTerminationMs: 0,
  cuts: 0,
  stalls: 0,
  blackholes: 0,
  serverRestarts: 0,
  serverKills: 0,
  flushes: 0,
  purges: 0,
  faultPlans: 0,
});

export interface VillainOptions {
  seed: number;
  daemon: ChaosDaemon;
  server: LocalServer;
  firehose: LocalFirehose;
  /** daemon <-> mysqld, daemon <-> Firehose. */
  proxies: { mysql: TcpProxy; firehose: TcpProxy };
  counts: VillainCounts;
  /** The daemon is dead: look at what it left. */
  afterKill: () => void;
  /** The name of the binlog from which the daemon may still need everything. */
  neededBinlog: () => string | undefined;
  report: Report;
}

const TERMINATE_WITHIN_MS = 30_000;

/**
 * Everything bad that happens, in four strands: to the daemon, to the network, to the sink, to the server. Each draws from a seeded source
 * of its own, so the same seed gives the same deeds in the same order; when they happen depends on the machine.
 */
export class Nemesis {
  readonly #options: VillainOptions;
  readonly #random: Record<'daemon' | 'network' | 'sink' | 'server', Random>;
  #quiet = new AbortController();
  #refusing = false;

  constructor(options: VillainOptions) {
    this.#options = options;
    const strand = (n: number) => seededRandom(options.seed * 31_337 + n);
    this.#random = { daemon: strand(1), network: strand(2), sink: strand(3), server: strand(4) };
  }

  /** Does its worst until the daemon has been killed so many more times; then everything is open and whole again. */
  async round(kills: number, signal: AbortSignal): Promise<void> {
    this.#quiet = new AbortController();
    const until = AbortSignal.any([this.#quiet.signal, signal]);
    const others = [this.#network(until), this.#sink(until), this.#mysqld(until)];
    try {
      await this.#kill(kills, signal);
      await this.#cutBothLinks(signal);
    } finally {
      this.#quiet.abort();
      await Promise.all(others);
      this.#options.firehose.setFaults(undefined);
      for (const proxy of Object.values(this.#options.proxies)) proxy.resume();
    }
  }

  async #kill(kills: number, signal: AbortSignal): Promise<void> {
    const { daemon, counts, afterKill } = this.#options;
    const random = this.#random.daemon;
    const kill = async (): Promise<void> => {
      if (!daemon.following) counts.killsWhileStarting++;
      await daemon.kill();
      counts.kills++;
      afterKill();
      daemon.start();
    };
    const end = counts.kills + kills;
    while (counts.kills < end && !signal.aborted) {
      const dice = random.below(100);
      if (dice < 18) {
        // While it starts: anywhere between the first instruction and the first events.
        await sleep(random.below(1_500));
        await kill();
        continue;
      }
      await daemon.untilFollowing(10_000);
      await sleep(random.chance(0.3) ? random.below(300) : random.below(3_000));
      if (dice < 26) {
        await kill();
        await sleep(random.below(400));
        await kill();
      } else if (dice < 31) await this.#terminate();
      else if (dice < 33) await this.#refuse();
      else await kill();
    }
  }

  /** A fresh process would heal by itself: the last thing that happens is that both links break under one that stays. */
  async #cutBothLinks(signal: AbortSignal): Promise<void> {
    const { daemon, proxies, counts } = this.#options;
    await daemon.untilFollowing(10_000);
    await pause(500 + this.#random.daemon.below(1_500), signal);
    for (const proxy of Object.values(proxies)) counts.cuts += proxy.cut('rst') > 0 ? 1 : 0;
  }

  async #terminate(): Promise<void> {
    const { daemon, counts, afterKill, report } = this.#options;
    if (!daemon.following) return;
    const { how, ms, lastWords } = await daemon.terminate();
    counts.terminations++;
    counts.slowestTerminationMs = Math.max(counts.slowestTerminationMs, ms);
    if (how !== '0' || ms > TERMINATE_WITHIN_MS) {
      report({
        promise: 'loudStop',
        what: `SIGTERM ended the daemon with ${how} after ${ms} ms, where 0 was due within ${TERMINATE_WITHIN_MS}`,
        evidence: { start: daemon.starts, lastWords },
      });
    }
    afterKill();
    daemon.start();
  }

  /** Firehose says no to everything: the daemon must stop with its error, the checkpoint unmoved. */
  async #refuse(): Promise<void> {
    const { daemon, counts, firehose, afterKill, report } = this.#options;
    if (!daemon.following) return;
    this.#refusing = true;
    try {
      firehose.setFaults(refusal(this.#random.daemon));
      const how = await daemon.untilEnded(20_000);
      if (how === undefined) return;
      counts.refusals++;
      if (how !== '1' && how !== '3') {
        report({
          promise: 'loudStop',
          what: `a sink that refuses ended the daemon with ${how}, where 1 was due`,
          evidence: { start: daemon.starts, lastWords: daemon.lastWords },
        });
      }
      afterKill();
    } finally {
      this.#refusing = false;
      firehose.setFaults(faultPlan(this.#random.daemon));
    }
    daemon.start();
  }

  async #sink(signal: AbortSignal): Promise<void> {
    const { firehose, counts } = this.#options;
    const random = this.#random.sink;
    while (!signal.aborted) {
      if (!this.#refusing) {
        firehose.setFaults(faultPlan(random));
        counts.faultPlans++;
      }
      await pause(1_000 + random.below(5_000), signal);
    }
  }

  async #network(signal: AbortSignal): Promise<void> {
    const { proxies, counts } = this.#options;
    const random = this.#random.network;
    while (!signal.aborted) {
      await pause(200 + random.below(2_200), signal);
      const proxy = random.chance(0.6) ? proxies.firehose : proxies.mysql;
      const dice = random.below(100);
      if (dice < 35) counts.cuts += proxy.cut('rst') > 0 ? 1 : 0;
      else if (dice < 60) counts.cuts += proxy.cut('fin') > 0 ? 1 : 0;
      else if (dice < 85) {
        proxy.cutAfter(1 + random.below(20_000));
        await pause(500, signal);
        if (proxy.cutPending) proxy.cutAfter(-1);
        else counts.cuts++;
      } else if (dice < 96) {
        proxy.stall();
        counts.stalls++;
        await pause(random.chance(0.2) ? 5_000 : random.below(2_000), signal);
        proxy.resume();
      } else {
        proxy.blackhole('open and new');
        counts.blackholes++;
        await pause(random.below(3_000), signal);
        proxy.resume();
      }
    }
  }

  async #mysqld(signal: AbortSignal): Promise<void> {
    const { server, counts, neededBinlog } = this.#options;
    const random = this.#random.server;
    while (!signal.aborted) {
      await pause(2_000 + random.below(10_000), signal);
      if (signal.aborted) return;
      const dice = random.below(100);
      if (dice < 55) {
        if (await this.#sql('FLUSH BINARY LOGS')) counts.flushes++;
      } else if (dice < 85) {
        const needed = neededBinlog();
        if (needed && (await this.#sql(`PURGE BINARY LOGS TO '${needed}'`))) counts.purges++;
      } else if (dice < 94) {
        await server.restart();
        counts.serverRestarts++;
      } else {
        await server.kill();
        await pause(random.below(3_000), signal);
        await server.restart();
        counts.serverKills++;
      }
    }
  }

  async #sql(statement: string): Promise<boolean> {
    try {
      const connection = await createConnection({ uri: this.#options.server.url, connectTimeout: 5_000 });
      try {
        await connection.query(statement);
        return true;
      } finally {
        connection.destroy();
      }
    } catch {
      return false;
    }
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});
