import type { Connection, ResultSetHeader } from 'mysql2/promise';
import type { Random } from '../../../src/local/demo/random.ts';

/** A table of a run: its DDL, and how keys and rows of it are made. */
export interface SceneTable {
  name: string;
  ddl: string;
  /** The value list of the row with this number. */
  row: (n: number, v: number) => string;
  /** The condition that selects the row with this number. */
  where: (n: number) => string;
  /** The assignment that gives a row the key of this number. */
  rekey: (n: number) => string;
  /** Rows whose keys differ for the lake and not for the server, such as 'a' and 'A'. */
  respell?: string;
}

const word = (n: number): string => `k${((n * 7919) % 100_003).toString(36)}`;

export const SCENE_TABLES: readonly SceneTable[] = [
  {
    name: 'numbers',
    ddl: 'CREATE TABLE numbers (id BIGINT UNSIGNED PRIMARY KEY, v INT NOT NULL, pad VARCHAR(120))',
    // Two crowds with a gap between them, and the ends of the type.
    row: (n, v) => `(${id(n)}, ${v}, REPEAT('x', ${n % 120}))`,
    where: (n) => `id = ${id(n)}`,
    rekey: (n) => `id = ${id(n)}`,
  },
  {
    name: 'words',
    ddl: 'CREATE TABLE words (w VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT NOT NULL, t TEXT)',
    row: (n, v) => `('${word(n)}', ${v}, 'text ${n}')`,
    where: (n) => `w = '${word(n)}'`,
    rekey: (n) => `w = '${word(n)}'`,
    respell: 'w = IF(BINARY w = LOWER(w), UPPER(w), LOWER(w))',
  },
  {
    name: 'pairs',
    ddl: 'CREATE TABLE pairs (a INT, b VARBINARY(8), v INT NOT NULL, d DECIMAL(10,3), PRIMARY KEY (a, b))',
    row: (n, v) => `(${n % 7}, X'${hex(n)}', ${v}, ${n}.5)`,
    where: (n) => `a = ${n % 7} AND b = X'${hex(n)}'`,
    rekey: (n) => `a = ${n % 7}, b = X'${hex(n)}'`,
  },
  {
    name: 'moments',
    ddl: 'CREATE TABLE moments (at DATETIME(6), d DECIMAL(20,4), v INT NOT NULL, PRIMARY KEY (at DESC, d))',
    row: (n, v) => `(${moment(n)}, ${n - 500}.25, ${v})`,
    where: (n) => `at = ${moment(n)} AND d = ${n - 500}.25`,
    rekey: (n) => `at = ${moment(n)}, d = ${n - 500}.25`,
  },
];

const id = (n: number): string => (n % 2 === 0 ? String(n) : (2n ** 64n - 1n - BigInt(n)).toString());
const hex = (n: number): string => n.toString(16).padStart(8, '0');
const moment = (n: number): string =>
  `'2026-01-01 00:00:00' + INTERVAL ${n * 37} SECOND + INTERVAL ${n % 1000} MICROSECOND`;

/** Numbers of rows, up to which keys are made. */
export interface SceneSize {
  rows: number;
  /** Rows are inserted and moved below this number. */
  keys: number;
}

/** Fills a table with every row below `rows`. */
export async function fill(connection: Connection, table: SceneTable, rows: number): Promise<void> {
  for (let from = 0; from < rows; from += 1000) {
    const values = Array.from({ length: Math.min(1000, rows - from) }, (_, i) => table.row(from + i, 0));
    await connection.query(`INSERT INTO ${table.name} VALUES ${values.join()}`);
  }
}

const DUPLICATE = 1062;
const LOCK_ERRORS: readonly number[] = [1205, 1213];

/** One random transaction on the tables: a few statements, most of which commit. Returns the rows that it changed. */
export async function writeOnce(
  connection: Connection,
  random: Random,
  tables: readonly SceneTable[],
  { keys }: SceneSize,
  mayMove: boolean,
): Promise<number> {
  let changed = 0;
  const run = async (sql: string): Promise<void> => {
    const [result] = await connection.query<ResultSetHeader>(sql);
    changed += result.affectedRows;
  };
  try {
    await connection.query('BEGIN');
    for (let i = 1 + random.below(4); i > 0; i--) {
      const table = random.pick(tables);
      const { name } = table;
      const n = random.below(keys);
      const where = table.where(n);
      const dice = random.below(100);
      if (dice < 35) await run(`UPDATE ${name} SET v = v + 1 WHERE ${where}`);
      else if (dice < 50) await run(`DELETE FROM ${name} WHERE ${where}`);
      else if (dice < 70)
        await run(`INSERT INTO ${name} VALUES ${table.row(n, dice)} ON DUPLICATE KEY UPDATE v = v + 1`);
      else if (dice < 80) await run(`REPLACE INTO ${name} VALUES ${table.row(n, dice)}`);
      else if (dice < 90 && mayMove)
        await run(`UPDATE ${name} SET ${table.rekey(random.below(keys))}, v = v + 1 WHERE ${where}`);
      else if (dice < 95 && mayMove && table.respell) await run(`UPDATE ${name} SET ${table.respell} WHERE ${where}`);
      else if (dice < 97) {
        await connection.query('SAVEPOINT s');
        await connection.query(`UPDATE ${name} SET v = -1 WHERE ${where}`);
        await connection.query('ROLLBACK TO SAVEPOINT s');
      } else await run(`UPDATE ${name} SET v = v + 10 ORDER BY v DESC LIMIT 40`);
    }
    await connection.query(random.chance(0.93) ? 'COMMIT' : 'ROLLBACK');
  } catch (error) {
    const { errno = 0 } = error as { errno?: number };
    if (errno !== DUPLICATE && !LOCK_ERRORS.includes(errno)) throw error;
    await connection.query('ROLLBACK');
  }
  return changed;
}
