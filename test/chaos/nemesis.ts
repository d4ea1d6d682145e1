import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { type Random, seededRandom } from '../../src/local/demo/random.ts';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import type { ChaosDaemon } from './chaos-daemon.ts';
import type { Link, TransportUnderTest } from './transport-under-test.ts';
import type { Report } from './violation.ts';
import { weightedChoice } from './weighted-choice.ts';

export interface NemesisCounts {
  kills: number;
  killsWhileStarting: number;
  terminations: number;
  rejections: number;
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

export const noFaults = (): NemesisCounts => ({
  kills: 0,
  killsWhileStarting: 0,
  terminations: 0,
  rejections: 0,
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

export interface NemesisOptions {
  seed: number;
  daemon: ChaosDaemon;
  server: LocalServer;
  transport: TransportUnderTest;
  /** The links from the daemon to mysqld and to the transport. */
  links: { mysql: Link; sink: Link };
  counts: NemesisCounts;
  /** Called while the daemon is dead, to check what it left on disk. */
  afterKill: () => void;
  /** The oldest binlog that the daemon can still need. */
  neededBinlog: () => string | undefined;
  report: Report;
}

/** What happens to the daemon, with weights. */
const DAEMON_FAULTS = { kill: 67, killWhileStarting: 18, killTwice: 8, terminate: 5, rejectEverything: 2 };
/** What happens to a link, with weights. */
const NETWORK_FAULTS = { reset: 35, end: 25, cutInsideMessage: 25, stall: 11, blackhole: 4 };
/** What happens to mysqld, with weights. */
const SERVER_FAULTS = { flushBinlogs: 55, purgeBinlogs: 30, restart: 9, kill: 6 };

const TERMINATE_WITHIN_MS = 30_000;

/**
 * Injects faults in four strands: into the daemon, the network, the sink and the server. Each strand draws from its own
 * seeded random source, so a seed repeats the faults of a strand and their order. Their time depends on the machine.
 */
export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #random: Record<'daemon' | 'network' | 'sink' | 'server', Random>;
  #quiet = new AbortController();
  #rejecting = false;

  constructor(options: NemesisOptions) {
    this.#options = options;
    const strand = (n: number) => seededRandom(options.seed * 31_337 + n);
    this.#random = { daemon: strand(1), network: strand(2), sink: strand(3), server: strand(4) };
  }

  /** Injects faults until the daemon has been killed this many more times. Afterwards no fault is active. */
  async round(kills: number, signal: AbortSignal): Promise<void> {
    this.#quiet = new AbortController();
    const until = AbortSignal.any([this.#quiet.signal, signal]);
    const others = [this.#attackNetwork(until), this.#attackSink(until), this.#attackServer(until)];
    try {
      await this.#attackDaemon(kills, signal);
      await this.#cutBothLinks(signal);
    } finally {
      this.#quiet.abort();
      await Promise.all(others);
      await this.#options.transport.endFaults();
      for (const link of Object.values(this.#options.links)) link.resume();
    }
  }

  async #attackDaemon(kills: number, signal: AbortSignal): Promise<void> {
    const { daemon, counts } = this.#options;
    const random = this.#random.daemon;
    const end = counts.kills + kills;
    while (counts.kills < end && !signal.aborted) {
      const fault = weightedChoice(random, DAEMON_FAULTS);
      if (fault === 'killWhileStarting') {
        // Anywhere between the first instruction and the first events.
        await sleep(random.below(1_500));
        await this.#kill();
        continue;
      }
      await daemon.untilFollowing(10_000);
      await sleep(random.chance(0.3) ? random.below(300) : random.below(3_000));
      switch (fault) {
        case 'kill':
          await this.#kill();
          break;
        case 'killTwice':
          await this.#kill();
          await sleep(random.below(400));
          await this.#kill();
          break;
        case 'terminate':
          await this.#terminate();
          break;
        case 'rejectEverything':
          await this.#rejectEverything(signal);
      }
    }
  }

  async #kill(): Promise<void> {
    const { daemon, counts, afterKill } = this.#options;
    if (!daemon.following) counts.killsWhileStarting++;
    await daemon.kill();
    counts.kills++;
    afterKill();
    daemon.start();
  }

  /** Breaks both links of a daemon that then stays alive, because a new process would heal by its start alone. */
  async #cutBothLinks(signal: AbortSignal): Promise<void> {
    const { daemon, links } = this.#options;
    await daemon.untilFollowing(10_000);
    await pause(500 + this.#random.daemon.below(1_500), signal);
    for (const link of Object.values(links)) this.#cut(link, 'rst');
  }

  #cut(link: Link, by: 'rst' | 'fin'): void {
    if (link.cut(by) > 0) this.#options.counts.cuts++;
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
        what: `SIGTERM ended the daemon with ${how} after ${ms} ms; expected 0 within ${TERMINATE_WITHIN_MS} ms`,
        evidence: { start: daemon.starts, lastWords },
      });
    }
    afterKill();
    daemon.start();
  }

  /** The transport rejects everything. The daemon must stop with an error and must not move the checkpoint. */
  async #rejectEverything(signal: AbortSignal): Promise<void> {
    const { daemon, counts, transport, afterKill, report } = this.#options;
    if (!daemon.following) return;
    this.#rejecting = true;
    try {
      await transport.rejectEverything(this.#random.daemon);
      const how = await daemon.untilEnded(20_000);
      if (how === undefined) return;
      counts.rejections++;
      if (how !== '1' && how !== '3') {
        report({
          promise: 'loudStop',
          what: `a sink that rejects everything ended the daemon with ${how}; expected 1 or 3`,
          evidence: { start: daemon.starts, lastWords: daemon.lastWords },
        });
      }
      afterKill();
    } finally {
      this.#rejecting = false;
      await transport.injectFaults(this.#random.daemon, signal);
    }
    daemon.start();
  }

  async #attackSink(signal: AbortSignal): Promise<void> {
    const { transport, counts } = this.#options;
    const random = this.#random.sink;
    while (!signal.aborted) {
      if (!this.#rejecting) {
        counts.faultPlans++;
        await transport.injectFaults(random, signal);
      }
      await pause(1_000 + random.below(5_000), signal);
    }
  }

  async #attackNetwork(signal: AbortSignal): Promise<void> {
    const { links, counts } = this.#options;
    const random = this.#random.network;
    while (!signal.aborted) {
      await pause(200 + random.below(2_200), signal);
      const link = random.chance(0.6) ? links.sink : links.mysql;
      switch (weightedChoice(random, NETWORK_FAULTS)) {
        case 'reset':
          this.#cut(link, 'rst');
          break;
        case 'end':
          this.#cut(link, 'fin');
          break;
        case 'cutInsideMessage':
          link.cutAfter(1 + random.below(20_000));
          await pause(500, signal);
          if (link.cutPending) link.cutAfter(-1);
          else counts.cuts++;
          break;
        case 'stall':
          link.stall();
          counts.stalls++;
          await pause(random.chance(0.2) ? 5_000 : random.below(2_000), signal);
          link.resume();
          break;
        case 'blackhole':
          link.blackhole('open and new');
          counts.blackholes++;
          await pause(random.below(3_000), signal);
          link.resume();
      }
    }
  }

  async #attackServer(signal: AbortSignal): Promise<void> {
    const { server, counts, neededBinlog } = this.#options;
    const random = this.#random.server;
    while (!signal.aborted) {
      await pause(2_000 + random.below(10_000), signal);
      if (signal.aborted) return;
      switch (weightedChoice(random, SERVER_FAULTS)) {
        case 'flushBinlogs':
          if (await this.#query('FLUSH BINARY LOGS')) counts.flushes++;
          break;
        case 'purgeBinlogs': {
          const needed = neededBinlog();
          if (needed && (await this.#query(`PURGE BINARY LOGS TO '${needed}'`))) counts.purges++;
          break;
        }
        case 'restart':
          await server.restart();
          counts.serverRestarts++;
          break;
        case 'kill':
          await server.kill();
          await pause(random.below(3_000), signal);
          await server.restart();
          counts.serverKills++;
      }
    }
  }

  /** Returns whether the server executed the statement. */
  async #query(statement: string): Promise<boolean> {
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
