import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type ResultSetHeader } from 'mysql2/promise';
import { CdcError } from '../../runtime/error.ts';
import { SHOP } from './shop.ts';
import { openingTransaction, type ShopTransaction, shopTransactions } from './transactions.ts';

/** The effects of the workload that the server has confirmed. */
export interface WorkloadCounts {
  committed: number;
  rolledBack: number;
  /** Committed transactions that rolled a part back to a savepoint. */
  partlyRolledBack: number;
  inserted: number;
  updated: number;
  deleted: number;
  /** Rows whose primary key changed. Each of them is a delete and an insert event. */
  moved: number;
}

/** One part of the workload. */
export interface WorkloadPhase {
  /** Transactions per second, over all clients; undefined for as many as the server takes. */
  rate?: number;
  transactions: number;
  /** The phase ends early after this time, in milliseconds. */
  withinMs: number;
  signal: AbortSignal;
  onProgress?: (counts: Readonly<WorkloadCounts>) => void;
}

const noCounts = (): WorkloadCounts => ({
  committed: 0,
  rolledBack: 0,
  partlyRolledBack: 0,
  inserted: 0,
  updated: 0,
  deleted: 0,
  moved: 0,
});

/** The number of change events that the contract promises for these changes. */
export const expectedEvents = ({ inserted, updated, deleted, moved }: WorkloadCounts): number =>
  inserted + updated + deleted + 2 * moved;

/** The customers of the shop. A later phase continues with the rows of the earlier ones. */
export class Workload {
  readonly #seed: number;
  readonly #clients: readonly { connection: Connection; transactions: ReturnType<typeof shopTransactions> }[];
  #isOpened = false;

  private constructor(seed: number, connections: readonly Connection[]) {
    this.#seed = seed;
    this.#clients = connections.map((connection, number) => ({
      connection,
      transactions: shopTransactions(seed, number),
    }));
  }

  static async open({ url, seed, clients = 4 }: { url: string; seed: number; clients?: number }): Promise<Workload> {
    return new Workload(seed, await Promise.all(Array.from({ length: clients }, () => connectShop(url))));
  }

  close(): void {
    for (const { connection } of this.#clients) connection.destroy();
  }

  /**
   * Runs transactions on all connections. With a rate each transaction starts at its scheduled time, or later if the
   * server is slower.
   */
  async run({ rate, transactions, withinMs, signal, onProgress }: WorkloadPhase): Promise<WorkloadCounts> {
    const counts = noCounts();
    const clients = this.#clients;
    const total = Math.max(clients.length, transactions);
    if (!this.#isOpened) await run(clients[0]!.connection, openingTransaction(this.#seed), counts);
    this.#isOpened = true;
    const begin = performance.now();
    await Promise.all(
      clients.map(async (client, number) => {
        for (let i = number; i < total; i += clients.length) {
          const late = rate === undefined ? 0 : performance.now() - begin - (i / rate) * 1000;
          if (late < -2) await sleep(-late, undefined, { signal });
          signal.throwIfAborted();
          if (performance.now() - begin > withinMs) return;
          await run(client.connection, client.transactions.next().value, counts);
          onProgress?.(counts);
        }
      }),
    );
    return counts;
  }
}

export async function connectShop(url: string, database: string | null = SHOP): Promise<Connection> {
  const connection = await mysql.createConnection({
    uri: url,
    charset: 'utf8mb4',
    ...(database !== null && { database }),
  });
  await connection.query(
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES', transaction_isolation = 'READ-COMMITTED'",
  );
  return connection;
}

/** ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK. */
const LOCK_ERRORS = [1205, 1213];

async function run(connection: Connection, transaction: ShopTransaction, counts: WorkloadCounts): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const done = await attemptOnce(connection, transaction);
      for (const name of Object.keys(done) as (keyof WorkloadCounts)[]) counts[name] += done[name];
      return;
    } catch (error) {
      await connection.query('ROLLBACK').catch(() => {});
      if (attempt < 10 && LOCK_ERRORS.includes((error as { errno?: number }).errno ?? 0)) continue;
      throw new CdcError(`the workload failed in the transaction "${transaction.name}"`, {
        why: (error as Error).message,
        cause: error,
      });
    }
  }
}

async function attemptOnce(connection: Connection, { statements, commit }: ShopTransaction): Promise<WorkloadCounts> {
  const done = noCounts();
  await connection.query('BEGIN');
  for (const { sql, values, effect, undone } of statements) {
    const [result] = await connection.query<ResultSetHeader>(sql, values);
    if (undone) done.partlyRolledBack = 1;
    else if (effect === 'insert') done.inserted += result.affectedRows;
    else if (effect === 'delete') done.deleted += result.affectedRows;
    else if (effect === 'update') done.updated += result.changedRows;
    else if (effect === 'move') done.moved += result.changedRows;
  }
  await connection.query(commit ? 'COMMIT' : 'ROLLBACK');
  return commit ? { ...done, committed: 1 } : { ...noCounts(), rolledBack: 1 };
}
