import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { seededRandom } from '../../src/local/demo/random.ts';
import type { Expected, ExpectedChanges } from './expected-changes.ts';
import type { Plan } from './plan.ts';
import { Planner } from './planner.ts';
import { SCHEMA } from './tables.ts';

export interface WorkloadOptions {
  url: string;
  seed: number;
  clients: number;
  /** Changes per second of all clients, on average. */
  rate: number;
  bulkRows: number;
  fatRows: number;
  oversize: number;
  minimalMetadata: boolean;
  expectedChanges: ExpectedChanges;
  /** A binlog that is not newer than the one that the server writes now. */
  binlog: () => string;
  /** Events of a rolled back transaction reached the sink. */
  onPhantom: (events: Expected[]) => void;
  /** A transaction of this plan was committed. */
  onCommitted: (plan: string) => void;
  /** A statement of the workload failed, which is not the daemon's fault. */
  onTrouble: (what: string) => void;
}

/** The clients wait while more events than this are outstanding, because the memory of the harness is bounded. */
const OUTSTANDING_MAX = 120_000;

/** A transaction counts as at most this many changes of the rate. The rows above it come on top. */
const PACED_CHANGES_MAX = 200;

/** Several clients that change rows concurrently, each with its own connection, keys and GTIDs. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #clients: Client[];
  #running: Promise<unknown> | undefined;
  #pause = new AbortController();

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.clients }, (_, number) => new Client(number, options));
  }

  /** The oldest binlog with rows of an XA transaction that is not delivered. Undefined for none. */
  binlogOfPrepared(isDelivered: (gtid: string) => boolean): string | undefined {
    return this.#clients.map(({ planner }) => planner.xa.oldestBinlog(isDelivered)).sort()[0];
  }

  static gtidSource = (client: number): string => `c0000000-0000-4000-8000-${String(client + 1).padStart(12, '0')}`;

  start(): void {
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    this.#running = Promise.all(this.#clients.map((client) => this.#run(client, signal)));
    this.#running.catch(() => {});
  }

  /** Stops each client after its current transaction, and ends what it has begun: prepared transactions, and more. */
  async stop(): Promise<void> {
    this.#pause.abort();
    await this.#running;
    for (const client of this.#clients) {
      const { planner } = client;
      for (let plan = planner.end(); plan; plan = planner.end()) await client.run(plan);
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #run(client: Client, signal: AbortSignal): Promise<void> {
    const { rate, clients, expectedChanges } = this.#options;
    let due = performance.now();
    while (!signal.aborted) {
      if (expectedChanges.outstanding > OUTSTANDING_MAX) {
        await sleep(50);
        due = performance.now();
        continue;
      }
      const changes = await client.run(client.planner.next());
      // Bursts of three times the rate and calm phases alternate.
      due += (Math.min(changes, PACED_CHANGES_MAX) * 1000 * clients) / (rate * client.speed());
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
  /** For texts in UTF-8, and for those in latin1. */
  #connections: { utf8?: Connection; latin1?: Connection } = {};
  #gno = 1;
  #speed = 1;
  #turns = 0;

  constructor(number: number, options: WorkloadOptions) {
    const { seed, clients, bulkRows, fatRows, oversize, minimalMetadata, binlog } = options;
    this.#options = options;
    this.#number = number;
    this.#pace = seededRandom(seed * 7919 + number);
    const random = seededRandom(seed * 104_729 + number);
    const given = { clients, bulkRows, fatRows, oversize, minimalMetadata, binlog };
    this.planner = new Planner({ ...given, client: number, random });
  }

  speed(): number {
    if (this.#turns-- <= 0) {
      this.#speed = this.#pace.pick([0.3, 0.6, 1, 3, 3]);
      this.#turns = 20 + this.#pace.below(200);
    }
    return this.#speed;
  }

  /** Runs a plan until its outcome is known, across restarts of the server. Returns its changes, at least 1. */
  async run(plan: Plan): Promise<number> {
    const { expectedChanges, onCommitted, onPhantom, onTrouble } = this.#options;
    const gtid = `${Workload.gtidSource(this.#number)}:${this.#gno}`;
    // The key of a TRUNCATE is its transaction.
    for (const change of plan.changes) if (change.op === 't') change.key = gtid;
    const tx = expectedChanges.plan(gtid, plan.changes);
    if (plan.rowsWithoutEvents) expectedChanges.marks.plan(tx, plan.rowsWithoutEvents);
    let committed: boolean;
    try {
      const connection = await this.#connect(plan.latin1 ? 'latin1' : 'utf8');
      await connection.query([`SET SESSION gtid_next = '${gtid}'`, ...plan.statements].join(';\n'));
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
      expectedChanges.committed(tx);
      onCommitted(plan.name);
    } else {
      this.planner.absent(plan);
      const seen = expectedChanges.absent(tx);
      if (seen.length > 0) onPhantom(seen);
    }
    return Math.max(1, plan.changes.length);
  }

  close(): void {
    for (const connection of Object.values(this.#connections)) connection.destroy();
    this.#connections = {};
  }

  /** Asks the server about a transaction whose COMMIT got no answer. */
  async #hasCommitted(gtid: string): Promise<boolean> {
    for (;;) {
      try {
        const connection = await this.#connect('utf8');
        const [rows] = await connection.query({
          sql: `SELECT GTID_SUBSET('${gtid}', @@GLOBAL.gtid_executed), GTID_SUBSET('${gtid}',
            IF(@@GLOBAL.gtid_owned = '', '', REGEXP_REPLACE(@@GLOBAL.gtid_owned, '#[0-9]+', '')))`,
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

  async #connect(charset: 'utf8' | 'latin1'): Promise<Connection> {
    const open = this.#connections[charset];
    if (open) return open;
    for (;;) {
      try {
        const connection = await createConnection({
          uri: this.#options.url,
          multipleStatements: true,
          connectTimeout: 5_000,
          charset: charset === 'utf8' ? 'utf8mb4' : 'LATIN1_SWEDISH_CI',
        });
        connection.on('error', () => {});
        await connection.query(
          `USE ${SCHEMA}; SET SESSION time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED'`,
        );
        this.#connections[charset] = connection;
        return connection;
      } catch {
        await sleep(100);
      }
    }
  }
}

/** Errors of a connection whose server goes down. Any other error is a mistake of the workload. */
const LOST = new RegExp(
  [
    'PROTOCOL_CONNECTION_LOST|ECONN|EPIPE|closed state|Connection lost|4031',
    'ER_SERVER_SHUTDOWN|ER_NORMAL_SHUTDOWN|ER_QUERY_INTERRUPTED',
  ].join('|'),
  'i',
);
