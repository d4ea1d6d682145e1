import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { type LocalServer, startLocalServer } from '../../src/local/mysql/server.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { ChaosDaemon } from './chaos-daemon.ts';
import { Checker, type CheckerOptions } from './checker.ts';
import { formatGtids } from './gtid-intervals.ts';
import { LogTail } from './log-tail.ts';
import { COUNTED_REPEATS, withCountedRepeats } from './preload.ts';
import type { SinkCall } from './sink-call.ts';
import { ACCOUNTS, DDL, ORDERS, SCHEMA, XA_ROWS } from './tables.ts';
import { type Link, type SinkName, startTransport, type TransportUnderTest } from './transport-under-test.ts';
import { Workload } from './workload.ts';

export interface TestBedOptions extends CheckerOptions {
  seed: number;
  /** Changes per second. */
  rate: number;
  clients: number;
  bulkRows: number;
  /** The weight of transactions of one client that change rows of 100 KB; all others have 1,000. */
  fatRows: number;
  /** The share of these rows whose events exceed a Firehose record. */
  oversize: number;
  /** The binlog does not name columns: binlog_row_metadata is MINIMAL. */
  minimalMetadata: boolean;
  /** The transport that receives the events. */
  sink: SinkName;
  /** Brokers of Kafka. */
  brokers: 1 | 2 | 3;
  /** Deliver to several streams. */
  routes: boolean;
  /** The local Firehose writes its ledger with all events, and syncs it before each answer. */
  ledger: boolean;
  /** The daemon's main.js. */
  entry: string;
  /** A module that Node loads before the daemon. */
  preload: string | undefined;
  /** Time limit for the lag to become zero after all faults have ended. */
  healWithinMs: number;
  /** Ends the run early. */
  signal: AbortSignal;
}

/** Tables with a stream of their own if `routes` is set. */
const ROUTED = [ACCOUNTS, ORDERS, XA_ROWS].map(({ name }) => name);
const START_WITHIN_MS = 30_000;
/** An event is lost if it is missing this long after the checkpoint contains its transaction. */
const LOST_AFTER_MS = 2_000;

/** A real server, a real daemon, a transport, a proxy on each link, a workload and the checker. */
export class TestBed {
  readonly options: TestBedOptions;
  readonly checker: Checker;
  /** Aborts when the run has to end early. */
  readonly signal: AbortSignal;
  readonly server: LocalServer;
  readonly transport: TransportUnderTest;
  readonly links: { mysql: Link; sink: Link };
  readonly daemon: ChaosDaemon;
  readonly workload: Workload;
  /** Errors of the workload's own statements and their number. They are not the daemon's fault. */
  readonly trouble: Record<string, number> = {};
  /** The transactions that were committed, by the kind of their plan. */
  readonly plans: Record<string, number> = {};
  readonly #timers: NodeJS.Timeout[];
  readonly #tail: LogTail | undefined;

  private constructor(
    options: TestBedOptions,
    checker: Checker,
    server: LocalServer,
    transport: TransportUnderTest,
    mysql: Link,
  ) {
    this.options = options;
    this.checker = checker;
    this.signal = AbortSignal.any([options.signal, checker.stopped]);
    this.server = server;
    this.transport = transport;
    this.links = { mysql, sink: transport.link };
    const { directory, entry, preload } = options;
    this.daemon = new ChaosDaemon({
      entry,
      configFile: join(directory, 'cdc.yaml'),
      logFile: join(directory, 'daemon.log'),
      preload: transport.countsRepeats ? withCountedRepeats(preload) : preload,
      onLine(at, message) {
        const count = COUNTED_REPEATS.exec(message)?.[1];
        if (count !== undefined) checker.delivery.repeats.counted(at, Number(count));
      },
      onGeneration: (generation) => checker.delivery.repeats.generation(generation),
      onDeath: (how, lastWords) => {
        const evidence = { start: this.daemon.starts, lastWords };
        checker.report({ promise: 'loudStop', what: `the daemon ended by itself: ${how}`, evidence });
        this.daemon.start();
      },
    });
    this.workload = new Workload({
      ...options,
      url: server.url,
      expectedChanges: checker.expectedChanges,
      binlog: () => checker.binlog,
      onPhantom: (events) => checker.phantom(events),
      onCommitted: (plan) => {
        this.plans[plan] = (this.plans[plan] ?? 0) + 1;
      },
      onTrouble: (what) => {
        this.trouble[what] = (this.trouble[what] ?? 0) + 1;
      },
    });
    const { log } = transport;
    this.#tail = log && new LogTail(log, checker.delivery, checker.report);
    this.#timers = [
      setInterval(() => checker.explainRepeats(transport), 500),
      setInterval(() => checker.writeCallLog(), 1_000),
    ];
  }

  /** Starts everything except the daemon, runs `body`, and stops everything. */
  static async run<T>(options: TestBedOptions, body: (bed: TestBed) => Promise<T>): Promise<T> {
    const { directory } = options;
    mkdirSync(directory, { recursive: true });
    const checker = new Checker(options);
    const settings = ['--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1', '--max-allowed-packet=64M'];
    if (options.minimalMetadata) settings.push('--binlog-row-metadata=MINIMAL');
    const server = await startLocalServer({ flavor: 'mysql', directory: join(directory, 'mysql'), settings });
    try {
      const setup = await createConnection({ uri: server.url });
      for (const statement of DDL) await setup.query(statement);
      setup.destroy();
      const { sink, routes, ledger, seed, brokers } = options;
      const onCall = (call: SinkCall): void => checker.called(call);
      const onFault = (name: string): void => checker.faulted(name);
      const transport = await startTransport(sink, {
        ...{ seed, directory, ledger, brokers, onCall, onFault, routed: routes ? ROUTED : [] },
      });
      const mysql = await TcpProxy.listen(server.port);
      writeFileSync(join(directory, 'cdc.yaml'), configuration(mysql, transport));
      const bed = new TestBed(options, checker, server, transport, mysql);
      try {
        return await body(bed);
      } finally {
        await bed.#clear();
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
   * Waits until the lag is zero (`lagHeals`), then checks everything. No fault is active and nobody writes meanwhile.
   * Returns the milliseconds until the lag was zero, or undefined if the run ends early.
   */
  async healAndCheck(): Promise<number | undefined> {
    const { checker, server, transport } = this;
    const from = Date.now();
    const healed = await this.#heal();
    const took = Date.now() - from;
    checker.explainRepeats(transport, Number.POSITIVE_INFINITY);
    if (this.signal.aborted) return undefined;
    await this.#tail?.read();
    checker.delivery.checkNothingLost();
    if (healed) await checker.compare(server.url);
    return took;
  }

  /**
   * Checks what a dead daemon has left on disk. Where the log is what shows deliveries, it is read first; the next
   * daemon does not send again what the checkpoint contains, so it can start meanwhile.
   */
  checkCheckpoint(): void {
    const { checker, transport } = this;
    transport.daemonDied?.();
    if (!transport.log?.isOnlyWitness) return checker.checkCheckpoint();
    const checkpoint = checker.readCheckpoint();
    this.#tail?.afterReading(() => checker.checkCheckpoint(checkpoint));
  }

  /** Events that were read back. */
  get readBack(): number {
    return this.#tail?.events ?? 0;
  }

  /** Ends the daemon, which must exit with 0, and forgets what was checked. */
  async endOfRound(): Promise<void> {
    const { checker, daemon, transport } = this;
    const { how, ms, lastWords } = await daemon.terminate();
    if (how !== '0') {
      const what = `SIGTERM ended an idle daemon with ${how} after ${ms} ms; expected 0`;
      checker.report({ promise: 'loudStop', what, evidence: { start: daemon.starts, lastWords } });
    }
    this.checkCheckpoint();
    const clear = (): Promise<void> => transport.clear();
    await (this.#tail?.endOfRound(clear) ?? clear());
    checker.explainRepeats(transport, Number.POSITIVE_INFINITY);
    checker.prune();
  }

  async #heal(): Promise<boolean> {
    const { checker, server, daemon, signal } = this;
    const { healWithinMs } = this.options;
    const deadline = Date.now() + healWithinMs;
    const connection = await createConnection({ uri: server.url });
    try {
      const [rows] = await connection.query({ sql: 'SELECT @@GLOBAL.gtid_executed', rowsAsArray: true });
      const executed = (rows as unknown as [[string]])[0][0].replaceAll('\n', '');
      let noLagSince: number | undefined;
      for (;;) {
        const lag = checker.lag(executed);
        // It shows what has arrived.
        if (lag.size === 0 && this.transport.log?.isOnlyWitness) await this.#tail?.read();
        if (lag.size > 0) noLagSince = undefined;
        else noLagSince ??= Date.now();
        if (lag.size === 0 && checker.expectedChanges.outstanding === 0) return true;
        // The checkpoint claims that everything has arrived. An event that is still missing is lost.
        if (noLagSince !== undefined && Date.now() - noLagSince > LOST_AFTER_MS) return true;
        if (signal.aborted) return false;
        if (Date.now() > deadline) {
          checker.report({
            promise: 'lagHeals',
            what: `the lag did not return to zero within ${healWithinMs} ms`,
            evidence: {
              lag: formatGtids(lag),
              events: checker.expectedChanges.outstanding,
              lastWords: daemon.lastWords,
            },
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
    await this.#tail?.close();
    if (this.daemon.running) await this.daemon.kill();
    this.daemon.close();
    this.workload.close();
    await this.links.mysql.close();
    await this.transport.close();
    this.checker.writeCallLog();
  }
}

const configuration = (mysql: TcpProxy, transport: TransportUnderTest): string =>
  `name: chaos
source: { url: "mysql://root@127.0.0.1:${mysql.port}" }
tables: ["${SCHEMA}.*", "!${SCHEMA}.hidden", "!${SCHEMA}.numbers", "!${SCHEMA}.notes"]
keys: { "${SCHEMA}.visits": [host, n] }
${transport.configuration}checkpoint: { file: state/chaos.json }
`;
