import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { seededRandom } from '../../src/local/demo/random.ts';
import type { Expected, ExpectedChanges } from './expected-changes.ts';
import { type Plan, Planner } from './planner.ts';
import { SCHEMA } from './tables.ts';

export interface WorkloadOptions {
  url: string;
  seed: number;
  clients: number;
  /** Changes per second on average, over all clients. */
  rate: number;
  bulkRows: number;
  fatRows: number;
  oversize: number;
  intents: ExpectedChanges;
  /** A binlog that is not younger than the one that is written now. */
  binlog: () => string;
  /** Something that was rolled back has been seen at the sink. */
  onPhantom: (events: Expected[]) => void;
  /** Something went wrong that is no fault of the daemon. */
  onTrouble: (what: string) => void;
}

/** Above so many events that have not arrived the clients wait: the memory of the harness is bounded. */
const MOST_OUTSTANDING = 120_000;

/** What a large transaction counts for in the pace of its client; its rows come on top of the rate. */
const DEAREST = 200;

/** Several clients that change rows at the same time, each with a connection, keys and GTIDs of its own. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #clients: Client[];
  #running: Promise<unknown> | undefined;
  #pause = new AbortController();

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.clients }, (_, number) => new Client(number, options));
  }

  /** The oldest binlog with rows of XA transactions that are not delivered; undefined for none. */
  binlogOfPrepared(isDelivered: (gtid: string) => boolean): string | undefined {
    return this.#clients.map(({ planner }) => planner.pledges.oldestBinlog(isDelivered)).sort()[0];
  }

  static gtidSource = (client: number): string => `c0000000-0000-4000-8000-${String(client + 1).padStart(12, '0')}`;

  start(): void {
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    this.#running = Promise.all(this.#clients.map((client) => this.#run(client, signal)));
    this.#running.catch(() => {});
  }

  /** Ends at the next transaction of each client; nothing stays prepared. */
  async stop(): Promise<void> {
    this.#pause.abort();
    await this.#running;
    for (const client of this.#clients) {
      const { pledges } = client.planner;
      for (let plan = pledges.end(); plan; plan = pledges.end()) await client.run(plan);
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #run(client: Client, signal: AbortSignal): Promise<void> {
    const { rate, clients, intents } = this.#options;
    let due = performance.now();
    while (!signal.aborted) {
      if (intents.outstanding > MOST_OUTSTANDING) {
        await sleep(50);
        due = performance.now();
        continue;
      }
      const changes = await client.run(client.planner.next());
      // Bursts of three times the rate, then calm: both in turns of some hundred transactions.
      due += (Math.min(changes, DEAREST) * 1000 * clients) / (rate * client.haste());
      const early = due - performance.now();
      if (early > 1) await sleep(Math.min(early, 2_000), undefined, { signal }).catch(() => {});
      else if (early < -2_000) due = performance.now() - 2_000;
    }
  }
}

class Client {
  readonly planner: Planner;
  readonly #options: WorkloadOptions;
  readonly #number: number;
  readonly #pace;
  #connection: Connection | undefined;
  #gno = 1;
  #haste = 1;
  #turns = 0;

  constructor(number: number, options: WorkloadOptions) {
    const { seed, clients, bulkRows, fatRows, oversize, binlog } = options;
    this.#options = options;
    this.#number = number;
    this.#pace = seededRandom(seed * 7919 + number);
    const random = seededRandom(seed * 104_729 + number);
    this.planner = new Planner({ client: number, clients, random, bulkRows, fatRows, oversize, binlog });
  }

  haste(): number {
    if (this.#turns-- <= 0) {
      this.#haste = this.#pace.pick([0.3, 0.6, 1, 3, 3]);
      this.#turns = 20 + this.#pace.below(200);
    }
    return this.#haste;
  }

  /** Runs a plan to a certain outcome, over restarts of the server too. Returns how many rows it changed, at least 1. */
  async run(plan: Plan): Promise<number> {
    const { intents, onPhantom, onTrouble } = this.#options;
    const gtid = `${Workload.gtidSource(this.#number)}:${this.#gno}`;
    // The key of a TRUNCATE is its transaction.
    for (const change of plan.changes) if (change.op === 't') change.key = gtid;
    const tx = intents.plan(gtid, plan.changes);
    let committed: boolean;
    try {
      this.#connection ??= await this.#connect();
      await this.#connection.query([`SET SESSION gtid_next = '${gtid}'`, ...plan.statements].join(';\n'));
      committed = plan.ends === 'commit';
    } catch (error) {
      this.close();
      committed = await this.#hasCommitted(gtid);
      const { code = '', message } = error as { code?: string; message: string };
      if (!LOST.test(`${code} ${message}`)) onTrouble(`${plan.name}: ${code} ${message.slice(0, 300)}`);
    }
    if (committed) {
      this.#gno++;
      this.planner.committed(plan, gtid);
      intents.committed(tx);
    } else {
      this.planner.absent(plan);
      const seen = intents.absent(tx);
      if (seen.length > 0) onPhantom(seen);
    }
    return Math.max(1, plan.changes.length);
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  /** The server's own word on a transaction whose outcome nobody told. */
  async #hasCommitted(gtid: string): Promise<boolean> {
    for (;;) {
      try {
        this.#connection ??= await this.#connect();
        const [rows] = await this.#connection.query({
          sql: `SELECT GTID_SUBSET('${gtid}', @@GLOBAL.gtid_executed), GTID_SUBSET('${gtid}', IF(@@GLOBAL.gtid_owned = '', '', REGEXP_REPLACE(@@GLOBAL.gtid_owned, '#[0-9]+', '')))`,
          rowsAsArray: true,
        });
        const [executed, owned] = (rows as unknown as [[number, number]])[0];
        if (executed || !owned) return executed === 1;
        await sleep(20);
      } catch {
        this.close();
        await sleep(50);
      }
    }
  }

  async #connect(): Promise<Connection> {
    for (;;) {
      try {
        const connection = await createConnection({
          uri: this.#options.url,
          multipleStatements: true,
          connectTimeout: 5_000,
          charset: 'utf8mb4',
        });
        connection.on('error', () => {});
        await connection.query(
          `USE ${SCHEMA}; SET SESSION time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED'`,
        );
        return connection;
      } catch {
        await sleep(100);
      }
    }
  }
}

/** What a connection says when the server goes down; anything else would be a mistake of the workload. */
const LOST =
  /PROTOCOL_CONNECTION_LOST|ECONN|EPIPE|ER_SERVER_SHUTDOWN|ER_NORMAL_SHUTDOWN|ER_QUERY_INTERRUPTED|closed state|Connection lost|4031/i;
