import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { openCheckpointStore } from '../../../src/checkpoint/open-checkpoint-store.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { type LocalFirehose, startLocalFirehose } from '../../../src/local/firehose/server.ts';
import { type LocalServer, startLocalServer } from '../../../src/local/mysql/server.ts';
import { Checker } from '../checker.ts';
import { DDL, PRIVATE, SCHEMA } from '../tables.ts';
import { Workload } from '../workload.ts';
import { CopiedTable } from './copied-table.ts';
import type { Allowance } from './leader-checker.ts';
import { Member } from './member.ts';
import { PIPELINE, type StoreKind, type StoreUnderTest, startStore } from './store-under-test.ts';
import { StoreWatch } from './store-watch.ts';

export interface TakeoverBedOptions {
  seed: number;
  store: StoreKind;
  /** With `mysql`: whether the table is on another server than the source. */
  elsewhere: boolean;
  members: number;
  /** `tables` names everything, so that the table of the checkpoint has to be left out. */
  capturesAll: boolean;
  /** Changes per second. */
  rate: number;
  directory: string;
  entry: string;
  preload: string | undefined;
  stopAtFirst: boolean;
  print: (line: string) => void;
  signal: AbortSignal;
}

const STREAM = 'changes';

/** A source, a store, a local Firehose, and the daemons of one pipeline, with a workload that writes all the time. */
export class TakeoverBed {
  readonly options: TakeoverBedOptions;
  readonly server: LocalServer;
  readonly firehose: LocalFirehose;
  readonly store: StoreUnderTest;
  readonly checker: Checker;
  readonly workload: Workload;
  readonly watch: StoreWatch;
  readonly copies: CopiedTable;
  readonly members: readonly Member[];
  /** Aborts when the run has to end early. */
  readonly signal: AbortSignal;
  readonly allowances: Allowance[] = [];
  readonly trouble: Record<string, number> = {};

  private constructor(
    parts: Pick<TakeoverBed, 'options' | 'server' | 'firehose' | 'store' | 'checker' | 'watch' | 'copies' | 'members'>,
  ) {
    const { options, server, firehose, store, checker, watch, copies, members } = parts;
    this.options = options;
    this.server = server;
    this.firehose = firehose;
    this.store = store;
    this.checker = checker;
    this.watch = watch;
    this.copies = copies;
    this.members = members;
    this.signal = AbortSignal.any([options.signal, checker.stopped]);
    this.workload = new Workload({
      ...{ url: server.url, seed: options.seed, rate: options.rate, clients: 4 },
      ...{ bulkRows: 300, fatRows: 4, oversize: 0, minimalMetadata: false },
      expectedChanges: checker.expectedChanges,
      binlog: () => checker.binlog,
      onPhantom: (events) => checker.phantom(events),
      onCommitted: () => {},
      onTrouble: (what) => {
        this.trouble[what] = (this.trouble[what] ?? 0) + 1;
      },
    });
  }

  /** Starts everything except the daemons, runs `body`, and stops everything. */
  static async run<T>(options: TakeoverBedOptions, body: (bed: TakeoverBed) => Promise<T>): Promise<T> {
    const { directory, elsewhere } = options;
    mkdirSync(directory, { recursive: true });
    const closing: (() => unknown)[] = [];
    try {
      const server = await startLocalServer({
        ...{ flavor: 'mysql', directory: join(directory, 'mysql'), report: () => {} },
        settings: ['--max-allowed-packet=64M', '--max-connections=300'],
      });
      closing.push(() => server.stop());
      const setup = await createConnection({ uri: server.url });
      for (const statement of DDL) await setup.query(statement);
      setup.destroy();
      const store = await startStore(options.store, { directory, source: server, elsewhere });
      closing.push(() => store.close());
      const parts: { watch?: StoreWatch; copies?: CopiedTable } = {};
      const checker = new Checker({
        ...options,
        readCheckpoint: () => parts.watch?.text ?? '',
        takesLine: (line) => parts.copies?.takes(line) ?? false,
      });
      closing.push(() => checker.writeCallLog());
      const firehose = await startLocalFirehose({
        listen: { host: '127.0.0.1', port: 0 },
        lake: join(directory, 'lake'),
        streams: [{ name: STREAM, bufferSeconds: 5 }],
        onCall: (entry) => checker.called(entry),
      });
      closing.push(() => firehose.close());
      const configuration: Configuration = (member) => configurationOf(options, server, store, member);
      const firehosePort = Number(new URL(firehose.endpoint).port);
      const own = join(directory, 'watch.yaml');
      writeFileSync(own, configuration({ name: 'watch', firehose: firehosePort, store: store.port }));
      const members: Member[] = [];
      const leaderSocket = (): string => join(directory, socketOf(options, leaderOf(members)?.name ?? 'a'));
      const copies = await CopiedTable.create(server.url, leaderSocket, checker.report);
      parts.copies = copies;
      closing.push(() => copies.close());
      const { entry, preload } = options;
      for (const name of ['a', 'b', 'c'].slice(0, options.members)) {
        const member: Member = await Member.open({
          ...{ name, directory, entry, preload, firehosePort, storePort: store.port, configuration },
          onGeneration: (generation) => checker.delivery.repeats.generation(generation),
          onDeath(how, lastWords) {
            const evidence = { lastWords };
            checker.report({ promise: 'loudStop', what: `a daemon ended by itself: ${how}`, evidence });
          },
        });
        members.push(member);
        closing.push(() => member.close());
      }
      const opened = await openCheckpointStore(loadConfig(own));
      const watch = new StoreWatch(opened, store, () => checker.checkCheckpoint(), checker.report);
      parts.watch = watch;
      closing.push(() => watch.close());
      const bed = new TakeoverBed({ options, server, firehose, store, checker, watch, copies, members });
      const timer = setInterval(() => bed.explainRepeats(Date.now() - 2_000), 500);
      closing.push(
        () => clearInterval(timer),
        () => bed.workload.close(),
      );
      return await body(bed);
    } finally {
      for (const close of closing.reverse()) await close();
    }
  }

  get leader(): Member | undefined {
    return leaderOf(this.members);
  }

  explainRepeats(before = Number.POSITIVE_INFINITY): void {
    const lostAnswers = this.members.flatMap(({ firehose, stops }) => [...firehose.lostAnswers, ...stops]);
    // Two leaders at once send the same events. `oneLeader` says when that may be.
    lostAnswers.push(...this.allowances);
    this.checker.explainRepeats({ lostAnswers }, before);
  }

  /** The checker reads the calls, so the objects of the lake are not needed. */
  clearLake(): void {
    const lake = join(this.options.directory, 'lake');
    for (const name of readdirSync(lake)) rmSync(join(lake, name), { recursive: true, force: true });
    this.checker.writeCallLog();
  }
}

const leaderOf = (members: readonly Member[]): Member | undefined =>
  members
    .filter(({ leadsSince }) => leadsSince !== undefined)
    .sort((a, b) => (b.leadsSince ?? 0) - (a.leadsSince ?? 0))[0];

/** Two daemons of a host share a socket, which the leader has. Of three, a standby can have it. */
const socketOf = ({ members }: TakeoverBedOptions, name: string): string =>
  `state/${members === 2 ? PIPELINE : name}.sock`;

type Configuration = (member: { name: string; firehose: number; store: number | undefined }) => string;

function configurationOf(
  options: TakeoverBedOptions,
  server: LocalServer,
  store: StoreUnderTest,
  { name, ...ports }: Parameters<Configuration>[0],
): string {
  const tables = [
    ...(options.capturesAll ? ['*.*', `!${PRIVATE}.*`] : [`${SCHEMA}.*`, CopiedTable.pattern]),
    ...['hidden', 'numbers', 'notes'].map((name) => `!${SCHEMA}.${name}`),
  ];
  return `name: ${PIPELINE}
source: { url: "mysql://root@127.0.0.1:${server.port}" }
tables: ${JSON.stringify(tables)}
keys: { "${SCHEMA}.visits": [host, n] }
firehose:
  stream: ${STREAM}
  endpoint: "http://127.0.0.1:${ports.firehose}"
  linger: 2ms
  aggregate: { max_events: 4, max_bytes: 8KiB }
checkpoint: ${store.configuration(ports.store)}
backfill: { parallel: 1, chunk_time: 10ms, rate: 4000 }
admin: { socket: ${socketOf(options, name)} }
`;
}
