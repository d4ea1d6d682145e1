import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';
import { type LocalServer, startLocalServer } from '../../src/local/mysql/server.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { ChaosDaemon } from './chaos-daemon.ts';
import { Checker, type JudgeOptions } from './checker.ts';
import { formatGtids } from './gtid-intervals.ts';
import { DDL, SCHEMA } from './tables.ts';
import { Workload } from './workload.ts';

export interface StageOptions extends JudgeOptions {
  seed: number;
  /** Changes per second. */
  rate: number;
  clients: number;
  bulkRows: number;
  /** How many of a thousand transactions of one client change rows of 100 KB. */
  fatRows: number;
  /** The share of those rows that are larger than a Firehose record may be. */
  oversize: number;
  /** Several streams, each with its own fate. */
  routes: boolean;
  /** Whether the local Firehose writes its ledger, with all events, and syncs it before each answer. */
  ledger: boolean;
  /** The daemon's main.js. */
  entry: string;
  /** A module that is loaded before the daemon. */
  mutant: string | undefined;
  /** How long the lag may take to become zero once all faults are over. */
  healWithinMs: number;
  /** Ends the run before its time. */
  signal: AbortSignal;
}

const STREAM = 'changes';
/** Tables with a stream of their own, where routes are asked for. */
const ROUTED = ['accounts', 'orders', 'pledges'];
const START_WITHIN_MS = 30_000;
/** The ledger and the checkpoint are read at moments of their own. */
const LOST_AFTER_MS = 2_000;

/** A real server, a real daemon and a local Firehose, a proxy on each link, a workload, and the judge of it all. */
export class TestBed {
  readonly options: StageOptions;
  readonly judge: Checker;
  /** Aborts when the run is to end before its time. */
  readonly signal: AbortSignal;
  readonly server: LocalServer;
  readonly firehose: LocalFirehose;
  readonly proxies: { mysql: TcpProxy; firehose: TcpProxy };
  readonly daemon: ChaosDaemon;
  readonly workload: Workload;
  /** Errors of the workload's own statements, which are no fault of the daemon, and how often. */
  readonly trouble: Record<string, number> = {};
  readonly #timers: NodeJS.Timeout[];

  private constructor(
    options: StageOptions,
    judge: Checker,
    server: LocalServer,
    firehose: LocalFirehose,
    proxies: TestBed['proxies'],
  ) {
    this.options = options;
    this.judge = judge;
    this.signal = AbortSignal.any([options.signal, judge.stopped]);
    this.server = server;
    this.firehose = firehose;
    this.proxies = proxies;
    const { directory, entry, mutant } = options;
    this.daemon = new ChaosDaemon({
      entry,
      configFile: join(directory, 'cdc.yaml'),
      logFile: join(directory, 'daemon.log'),
      mutant,
      onGeneration: (generation) => judge.check.repeats.generation(generation),
      onDeath: (how, lastWords) => {
        const evidence = { start: this.daemon.starts, lastWords };
        judge.report({ promise: 'loudStop', what: `the daemon ended by itself: ${how}`, evidence });
        this.daemon.start();
      },
    });
    this.workload = new Workload({
      ...options,
      url: server.url,
      intents: judge.intents,
      binlog: () => judge.binlog,
      onPhantom: (events) => judge.phantom(events),
      onTrouble: (what) => {
        this.trouble[what] = (this.trouble[what] ?? 0) + 1;
      },
    });
    this.#timers = [
      setInterval(() => judge.explainRepeats(proxies.firehose), 500),
      setInterval(() => judge.writeCallLog(), 1_000),
    ];
  }

  /** Everything but the daemon runs, then `play` has it; nothing is left running. */
  static async run<T>(options: StageOptions, play: (stage: TestBed) => Promise<T>): Promise<T> {
    const { directory } = options;
    mkdirSync(directory, { recursive: true });
    const judge = new Checker(options);
    const server = await startLocalServer({
      flavor: 'mysql',
      directory: join(directory, 'mysql'),
      settings: ['--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1', '--max-allowed-packet=64M'],
    });
    try {
      const setup = await createConnection({ uri: server.url });
      for (const statement of DDL) await setup.query(statement);
      setup.destroy();
      const firehose = await startLocalFirehose({
        listen: { host: '127.0.0.1', port: 0 },
        lake: join(directory, 'lake'),
        streams: [STREAM, ...ROUTED].map((name) => ({ name, bufferSeconds: 5 })),
        ledger: options.ledger ? join(directory, 'ledger.ndjson') : undefined,
        onCall: (entry) => judge.called(entry),
      });
      const proxies = {
        mysql: await TcpProxy.listen(server.port),
        firehose: await TcpProxy.listen(Number(new URL(firehose.endpoint).port)),
      };
      writeFileSync(join(directory, 'cdc.yaml'), configuration(options, proxies));
      const stage = new TestBed(options, judge, server, firehose, proxies);
      try {
        return await play(stage);
      } finally {
        await stage.#clear();
      }
    } finally {
      await server.stop();
    }
  }

  /** Starts the daemon and waits until it follows the binlog. */
  async startDaemon(): Promise<void> {
    const { daemon } = this;
    daemon.start();
    if (await daemon.untilFollowing(START_WITHIN_MS)) return;
    if (!this.signal.aborted) throw new Error(`the daemon does not start:\n${daemon.lastWords}`);
  }

  /**
   * With no fault on and nobody writing: waits until the lag is zero, by itself (lagHeals), then looks at everything.
   * Returns the milliseconds that it took to heal, or nothing when the run was to end before.
   */
  async healAndCheck(): Promise<number | undefined> {
    const { judge, server, proxies } = this;
    const from = Date.now();
    const healed = await this.#heal();
    const took = Date.now() - from;
    judge.explainRepeats(proxies.firehose, Number.POSITIVE_INFINITY);
    if (this.signal.aborted) return undefined;
    judge.check.checkNothingLost();
    if (healed) await judge.compare(server.url);
    return took;
  }

  /** Ends the daemon, whose end must be clean, and forgets what was checked. */
  async endOfRound(): Promise<void> {
    const { judge, daemon, proxies } = this;
    const { how, ms, lastWords } = await daemon.terminate();
    if (how !== '0') {
      const what = `SIGTERM ended the daemon with ${how} after ${ms} ms, with nothing left to do`;
      judge.report({ promise: 'loudStop', what, evidence: { start: daemon.starts, lastWords } });
    }
    judge.checkCheckpoint();
    judge.explainRepeats(proxies.firehose, Number.POSITIVE_INFINITY);
    judge.prune();
    this.#clearLake();
  }

  async #heal(): Promise<boolean> {
    const { judge, server, daemon, signal } = this;
    const { healWithinMs } = this.options;
    const deadline = Date.now() + healWithinMs;
    const connection = await createConnection({ uri: server.url });
    try {
      const [rows] = await connection.query({ sql: 'SELECT @@GLOBAL.gtid_executed', rowsAsArray: true });
      const executed = (rows as unknown as [[string]])[0][0].replaceAll('\n', '');
      let noLagSince: number | undefined;
      for (;;) {
        const lag = judge.lag(executed);
        if (lag.size > 0) noLagSince = undefined;
        else noLagSince ??= Date.now();
        if (lag.size === 0 && judge.intents.outstanding === 0) return true;
        // The checkpoint says that everything has arrived: what has not is lost.
        if (noLagSince !== undefined && Date.now() - noLagSince > LOST_AFTER_MS) return true;
        if (signal.aborted) return false;
        if (Date.now() > deadline) {
          judge.report({
            promise: 'lagHeals',
            what: `the lag did not return to zero within ${healWithinMs} ms`,
            evidence: { lag: formatGtids(lag), events: judge.intents.outstanding, lastWords: daemon.lastWords },
          });
          return false;
        }
        await sleep(100);
      }
    } finally {
      connection.destroy();
    }
  }

  async #clear(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    if (this.daemon.running) await this.daemon.kill();
    this.daemon.close();
    this.workload.close();
    for (const proxy of Object.values(this.proxies)) await proxy.close();
    await this.firehose.close();
    this.judge.writeCallLog();
  }

  /** The events are checked as they come; what they became as objects is of no use here. */
  #clearLake(): void {
    const lake = join(this.options.directory, 'lake');
    for (const name of readdirSync(lake)) rmSync(join(lake, name), { recursive: true, force: true });
  }
}

const configuration = ({ routes }: StageOptions, { mysql, firehose }: TestBed['proxies']): string =>
  `name: chaos
source: { url: "mysql://root@127.0.0.1:${mysql.port}" }
tables: ["${SCHEMA}.*", "!${SCHEMA}.hidden", "!${SCHEMA}.numbers"]
keys: { "${SCHEMA}.visits": [host, n] }
firehose:
  stream: ${STREAM}
  endpoint: "http://127.0.0.1:${firehose.port}"
  linger: 2ms${routes ? `\n  routes: { ${ROUTED.map((table) => `"${SCHEMA}.${table}": ${table}`).join(', ')} }` : ''}
  aggregate: { max_events: 4, max_bytes: 8KiB }
checkpoint: { file: state/chaos.json }
`;
