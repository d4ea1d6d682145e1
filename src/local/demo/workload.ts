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

export interface WorkloadOptions {
  url: string;
  seed: number;
  /** Transactions per second, over all clients. */
  rate: number;
  seconds: number;
  clients?: number;
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

/**
 * Runs `rate * seconds` transactions on several connections. Each transaction starts at its scheduled time, or later if
 * the server is slower. The workload ends early after twice the time.
 */
export async function runWorkload(options: WorkloadOptions): Promise<WorkloadCounts> {
  const { rate, seconds, seed, signal, clients = 4 } = options;
  const counts = noCounts();
  const total = Math.max(clients, Math.round(rate * seconds));
  const connections = await Promise.all(Array.from({ length: clients }, () => connectShop(options.url)));
  try {
    await run(connections[0]!, openingTransaction(seed), counts);
    const begin = performance.now();
    const client = async (connection: Connection, number: number) => {
      const transactions = shopTransactions(seed, number);
      for (let i = number; i < total; i += clients) {
        const late = performance.now() - begin - (i / rate) * 1000;
        if (late < -2) await sleep(-late, undefined, { signal });
        signal.throwIfAborted();
        if (performance.now() - begin > 2000 * seconds) return;
        await run(connection, transactions.next().value, counts);
        options.onProgress?.(counts);
      }
    };
    await Promise.all(connections.map(client));
    return counts;
  } finally {
    for (const connection of connections) connection.destroy();
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
