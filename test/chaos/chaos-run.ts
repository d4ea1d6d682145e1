import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { LedgerEntry } from '../../src/local-firehose/ledger.ts';
import { type LocalFirehose, startLocalFirehose } from '../../src/local-firehose/server.ts';
import { type LocalServer, startLocalServer } from '../../src/local-mysql/server.ts';
import { checkCheckpoint, lagOf, type SeenCheckpoint } from './checkpoint-check.ts';
import { DaemonProcess } from './daemon-process.ts';
import { DeliveryCheck } from './delivery-check.ts';
import { contains, formatGtids, parseGtids } from './gtid-intervals.ts';
import { IntentLog } from './intent-log.ts';
import { type ChaosReport, type SinkCounts, summaryLine } from './report.ts';
import { compareWithSource } from './source-compare.ts';
import { DDL, SCHEMA } from './tables.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { noVillainy, Villain, type VillainCounts } from './villain.ts';
import type { Violation } from './violation.ts';
import { Workload } from './workload.ts';

export interface ChaosOptions {
  seed: number;
  /** The run ends when both are reached, at the end of a round. */
  kills: number;
  changes: number;
  killsPerRound: number;
  /** Changes per second. */
  rate: number;
  clients: number;
  bulkRows: number;
  oversize: boolean;
  /** Several streams, each with its own fate. */
  routes: boolean;
  /** Whether the local Firehose writes its ledger, with all events, and syncs it before each answer. */
  ledger: boolean;
  /** The daemon's main.js. */
  entry: string;
  plant: string | undefined;
  stopAtFirst: boolean;
  /** How long the lag may take to become zero once all faults are over. */
  healWithinMs: number;
  maxRssMb: number;
  /** Everything that the run writes. */
  directory: string;
  print: (line: string) => void;
  signal: AbortSignal;
}

const STREAM = 'changes';
/** Tables with a stream of their own, where routes are asked for. */
const ROUTED = ['accounts', 'orders', 'pledges'];
/** Of one kind of violation so many are kept with their evidence. */
const MOST_VIOLATIONS = 20;
const REPEATS_EVERY_MS = 1_500;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { directory } = options;
  mkdirSync(directory, { recursive: true });
  const server = await startLocalServer({
    flavor: 'mysql',
    directory: join(directory, 'mysql'),
    settings: ['--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1', '--max-allowed-packet=64M'],
  });
  try {
    return await new ChaosRun(options, server).run();
  } finally {
    await server.stop();
  }
}

/** One run: the parts wired together, the rounds, and the checks in and behind them. */
class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #server: LocalServer;
  readonly #intents = new IntentLog();
  readonly #check: DeliveryCheck;
  readonly #violations: Violation[] = [];
  readonly #violationCounts: Record<string, number> = {};
  readonly #stop = new AbortController();
  readonly #sink: SinkCounts = { calls: 0, faulty: 0, byFault: {} };
  readonly #villainy: VillainCounts = noVillainy();
  readonly #begin = Date.now();
  readonly #trouble: Record<string, number> = {};
  #checkpoint: SeenCheckpoint | undefined;
  #checkpointsChecked = 0;
  #rowsCompared = 0;
  #rounds = 0;
  #callLog: string[] = [];
  readonly #deadLetters = new Set<string>();

  constructor(options: ChaosOptions, server: LocalServer) {
    this.#options = options;
    this.#server = server;
    this.#check = new DeliveryCheck(this.#intents, this.#report);
  }

  async run(): Promise<ChaosReport> {
    const { options, server } = { options: this.#options, server: this.#server };
    const { directory } = options;
    const setup = await createConnection({ uri: server.url });
    for (const statement of DDL) await setup.query(statement);
    setup.destroy();

    const firehose = await startLocalFirehose({
      listen: { host: '127.0.0.1', port: 0 },
      lake: join(directory, 'lake'),
      streams: [STREAM, ...ROUTED].map((name) => ({ name, bufferSeconds: 5 })),
      ledger: options.ledger ? join(directory, 'ledger.ndjson') : undefined,
      onCall: (entry) => this.#called(entry),
    });
    const proxies = {
      mysql: await TcpProxy.listen(server.port),
      firehose: await TcpProxy.listen(Number(new URL(firehose.endpoint).port)),
    };
    this.#configure(proxies);
    const daemon = new DaemonProcess({
      entry: options.entry,
      configFile: join(directory, 'cdc.yaml'),
      logFile: join(directory, 'daemon.log'),
      plant: options.plant,
      onGeneration: (generation) => this.#check.generation(generation),
      onDeath: (how, lastWords) => {
        this.#report({
          promise: 'I9',
          what: `the daemon ended by itself: ${how}`,
          evidence: { start: daemon.starts, lastWords },
        });
        daemon.start();
      },
    });
    const workload = new Workload({
      ...options,
      url: server.url,
      intents: this.#intents,
      binlog: () => this.#checkpoint?.file ?? '',
      onPhantom: (events) =>
        this.#report({
          promise: 'I4',
          what: 'an event of a transaction that the server never committed',
          evidence: { events: events.slice(0, 5).map(({ change, tx, seq }) => ({ ...change, gtid: tx.gtid, seq })) },
        }),
      onTrouble: (what) => {
        this.#trouble[what] = (this.#trouble[what] ?? 0) + 1;
      },
    });
    const villain = new Villain({
      seed: options.seed,
      daemon,
      server,
      firehose,
      proxies,
      counts: this.#villainy,
      afterKill: () => this.#checkCheckpoint(),
      neededBinlog: () => this.#neededBinlog(workload),
      report: this.#report,
    });
    const timers = [
      setInterval(() => this.#progress(daemon), 10_000),
      setInterval(() => daemon.sampleMemory(), 500),
      setInterval(() => this.#explainRepeats(proxies.firehose), 500),
      setInterval(() => this.#writeCallLog(), 1_000),
    ];
    const signal = AbortSignal.any([options.signal, this.#stop.signal]);
    try {
      daemon.start();
      if (!(await daemon.untilFollowing(30_000))) throw new Error(`the daemon does not start:\n${daemon.lastWords}`);
      this.#checkCheckpoint();
      while (!signal.aborted && !this.#enough()) {
        await this.#round({ daemon, workload, villain, firehose, proxies }, signal);
      }
      if (daemon.running) await daemon.kill();
    } finally {
      for (const timer of timers) clearInterval(timer);
      if (daemon.running) await daemon.kill();
      daemon.close();
      workload.close();
      for (const proxy of Object.values(proxies)) await proxy.close();
      await firehose.close();
      this.#writeCallLog();
    }
    return this.#result(daemon);
  }

  #configure({ mysql, firehose }: { mysql: TcpProxy; firehose: TcpProxy }): void {
    const { directory, routes } = this.#options;
    writeFileSync(
      join(directory, 'cdc.yaml'),
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
`,
    );
  }

  #enough = (): boolean =>
    this.#villainy.kills >= this.#options.kills && this.#intents.changes >= this.#options.changes;

  async #round(
    parts: {
      daemon: DaemonProcess;
      workload: Workload;
      villain: Villain;
      firehose: LocalFirehose;
      proxies: { firehose: TcpProxy };
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { daemon, workload, villain, proxies } = parts;
    const { killsPerRound, kills, print } = this.#options;
    this.#rounds++;
    const from = Date.now();
    workload.start();
    const left = Math.max(1, kills - this.#villainy.kills);
    await villain.round(Math.min(killsPerRound, left), signal);
    await workload.stop();
    // From here on nobody touches anything: the lag has to become zero by itself.
    const healing = Date.now();
    const healed = await this.#heal(daemon, signal);
    const healedMs = Date.now() - healing;
    this.#explainRepeats(proxies.firehose, Number.POSITIVE_INFINITY);
    if (signal.aborted) return;
    if (healed) this.#rowsCompared += await compareWithSource(this.#server.url, this.#check.fold, this.#report);
    this.#check.checkNothingLost();
    this.#endOfRound(daemon);
    const { how, ms, lastWords } = await daemon.terminate();
    if (how !== '0') {
      const what = `SIGTERM ended the daemon with ${how} after ${ms} ms, with nothing left to do`;
      this.#report({ promise: 'I9', what, evidence: { start: daemon.starts, lastWords } });
    }
    this.#checkCheckpoint();
    this.#explainRepeats(proxies.firehose, Number.POSITIVE_INFINITY);
    print(summaryLine(this.#rounds, Date.now() - from, healedMs, this.#result(daemon)));
    this.#check.prune();
    this.#intents.prune();
    this.#clearLake();
    daemon.start();
    await daemon.untilFollowing(30_000);
  }

  /** I8. Returns whether everything that was committed has been delivered, and the checkpoint says so. */
  async #heal(daemon: DaemonProcess, signal: AbortSignal): Promise<boolean> {
    const deadline = Date.now() + this.#options.healWithinMs;
    const connection = await createConnection({ uri: this.#server.url });
    try {
      const [rows] = await connection.query({ sql: 'SELECT @@GLOBAL.gtid_executed', rowsAsArray: true });
      const executed = (rows as unknown as [[string]])[0][0].replaceAll('\n', '');
      for (;;) {
        this.#readDeadLetters();
        const lag = lagOf(this.#readCheckpoint(), executed);
        if (lag.size === 0 && this.#intents.outstanding === 0) return true;
        if (signal.aborted) return false;
        if (Date.now() > deadline) {
          this.#report({
            promise: 'I8',
            what: `the lag did not return to zero within ${this.#options.healWithinMs} ms`,
            evidence: { lag: formatGtids(lag), events: this.#intents.outstanding, lastWords: daemon.lastWords },
          });
          return false;
        }
        await sleep(100);
      }
    } finally {
      connection.destroy();
    }
  }

  #endOfRound(daemon: DaemonProcess): void {
    daemon.sampleMemory();
    const { maxRssMb } = this.#options;
    if (daemon.peakRssMb > maxRssMb) {
      const what = `the daemon used ${daemon.peakRssMb} MB, more than ${maxRssMb}`;
      this.#report({ promise: 'I10', what, evidence: {} });
    }
  }

  #called({ call, at, fault, answered, records }: LedgerEntry): void {
    this.#sink.calls++;
    if (fault !== null) {
      this.#sink.faulty++;
      this.#sink.byFault[fault] = (this.#sink.byFault[fault] ?? 0) + 1;
    }
    const time = Date.parse(at);
    const slow = fault === 'slow';
    const seqs: string[] = [];
    for (const { stored, accepted, code, data } of records) {
      this.#check.record(data, { call, at: time, stored, accepted, slow });
      seqs.push(`${stored ? 's' : '-'}${accepted ? 'a' : (code ?? '-')[0]}`);
    }
    this.#callLog.push(`${call} ${at} ${fault ?? '-'} ${answered} ${seqs.join(' ')}\n`);
  }

  /** What every call was, without its data: enough to follow a violation through the daemon's log. */
  #writeCallLog(): void {
    if (this.#callLog.length === 0) return;
    appendFileSync(join(this.#options.directory, 'calls.log'), this.#callLog.join(''));
    this.#callLog = [];
  }

  #explainRepeats(link: TcpProxy, before = Date.now() - REPEATS_EVERY_MS): void {
    this.#check.explainRepeats(before, link.lostAnswers);
  }

  #readCheckpoint(): string {
    try {
      return readFileSync(join(this.#options.directory, 'state', 'chaos.json'), 'utf8');
    } catch {
      return '';
    }
  }

  #checkCheckpoint(): void {
    this.#checkpointsChecked++;
    this.#readDeadLetters();
    const isOurs = (source: string): boolean => source.startsWith('c0000000-');
    const seen = checkCheckpoint(this.#readCheckpoint(), this.#checkpoint, this.#intents, isOurs, this.#report);
    this.#checkpoint = seen ?? this.#checkpoint;
  }

  /** Everything before this binlog may be purged: the checkpoint on disk is behind it, and so is every open XA transaction. */
  #neededBinlog(workload: Workload): string | undefined {
    const text = this.#readCheckpoint();
    if (text === '') return undefined;
    const { file, gtids } = JSON.parse(text) as { file: string; gtids: string };
    const delivered = parseGtids(gtids);
    return [file, workload.binlogOfPrepared((gtid) => contains(delivered, gtid)) ?? file].sort()[0];
  }

  /** Dead letters that are new; each is read once. */
  #readDeadLetters(): void {
    const folder = join(this.#options.directory, 'state', 'dead-letter');
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.json') || this.#deadLetters.has(name)) continue;
      this.#deadLetters.add(name);
      const { event } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { event: string };
      this.#check.deadLetter(event);
    }
  }

  /** The events are checked as they come; what they became as objects is of no use here. */
  #clearLake(): void {
    const lake = join(this.#options.directory, 'lake');
    for (const name of readdirSync(lake)) rmSync(join(lake, name), { recursive: true, force: true });
  }

  #report = (violation: Violation): void => {
    const kind = `${violation.promise} ${violation.what.replace(/\d+/g, 'N')}`;
    const count = (this.#violationCounts[kind] = (this.#violationCounts[kind] ?? 0) + 1);
    if (count <= MOST_VIOLATIONS) this.#violations.push({ ...violation, at: new Date().toISOString() });
    if (count === 1)
      this.#options.print(`VIOLATION ${violation.promise}: ${violation.what}\n${JSON.stringify(violation.evidence)}`);
    if (this.#options.stopAtFirst) this.#stop.abort();
  };

  #progress(daemon: DaemonProcess): void {
    const { kills, cuts } = this.#villainy;
    const { changes, outstanding } = this.#intents;
    const { calls, faulty } = this.#sink;
    const { repeats } = this.#check.counts;
    const seconds = Math.round((Date.now() - this.#begin) / 1000);
    const violations = Object.values(this.#violationCounts).reduce((sum, count) => sum + count, 0);
    this.#options.print(
      `${seconds} s: ${kills} kills, ${changes} changes (${outstanding} under way), ${calls} calls (${faulty} faulty), ${cuts} cuts, ` +
        `${repeats} repeats, ${daemon.peakRssMb} MB, ${violations} violations`,
    );
  }

  #result(daemon: DaemonProcess): ChaosReport {
    const { changes, transactions, rolledBack } = this.#intents;
    const {
      seed,
      kills,
      changes: wanted,
      killsPerRound,
      rate,
      clients,
      bulkRows,
      oversize,
      plant,
      directory,
    } = this.#options;
    return {
      ok: this.#violations.length === 0,
      seed,
      options: { kills, changes: wanted, killsPerRound, rate, clients, bulkRows, oversize, plant: plant ?? null },
      seconds: Math.round((Date.now() - this.#begin) / 1000),
      rounds: this.#rounds,
      server: this.#server.version,
      workload: { changes, transactions, rolledBack, trouble: this.#trouble },
      villain: this.#villainy,
      sink: this.#sink,
      events: this.#check.counts,
      checkpointsChecked: this.#checkpointsChecked,
      rowsCompared: this.#rowsCompared,
      daemonStarts: daemon.starts,
      peakRssMb: daemon.peakRssMb,
      violationCounts: this.#violationCounts,
      violations: this.#violations,
      files: { directory, daemonLog: join(directory, 'daemon.log'), calls: join(directory, 'calls.log') },
    };
  }
}
