import type { Random } from '../../src/local/demo/random.ts';
import { PRIVATE, SCHEMA } from './tables.ts';

/** A name of a savepoint, as SAVEPOINT has it and as ROLLBACK TO has it. Both mean the same savepoint. */
export interface SavepointName {
  set: string;
  rollBack: string;
}

const SAVEPOINTS: readonly SavepointName[] = [
  { set: 'a', rollBack: 'A' },
  { set: 'step one', rollBack: 'Step ONE' },
  { set: 'v1.2;x', rollBack: 'V1.2;X' },
  { set: 'o\'hara "q"', rollBack: 'O\'HARA "Q"' },
  { set: 'straße', rollBack: 'STRASE' },
  { set: 'naïve--', rollBack: 'NAIVE--' },
  { set: '/* c */', rollBack: '/* C */' },
];

/** Names that differ from each other, quoted as the session allows. */
export function savepointNames(random: Random, ansiQuotes: boolean): [SavepointName, SavepointName] {
  const first = random.below(SAVEPOINTS.length);
  const second = (first + 1 + random.below(SAVEPOINTS.length - 1)) % SAVEPOINTS.length;
  const quoted = ({ set, rollBack }: SavepointName): SavepointName => ({
    set: quote(set, random, ansiQuotes),
    rollBack: quote(rollBack, random, ansiQuotes),
  });
  return [quoted(SAVEPOINTS[first] as SavepointName), quoted(SAVEPOINTS[second] as SavepointName)];
}

function quote(name: string, random: Random, ansiQuotes: boolean): string {
  if (ansiQuotes && random.chance(0.7)) return `"${name.replaceAll('"', '""')}"`;
  return `\`${name}\``;
}

/** A table of the workload, with or without its schema, quoted as the session allows. */
export function spelledTable(name: string, random: Random, ansiQuotes: boolean): string {
  const spelled = random.chance(0.25) ? name : quote(name, random, ansiQuotes);
  if (random.chance(0.5)) return spelled;
  return `${quote(SCHEMA, random, ansiQuotes)}${random.pick(['.', ' . ', '/**/./* . */'])}${spelled}`;
}

/** TRUNCATE of a table in one of many spellings. */
export function spelledTruncate(name: string, random: Random, ansiQuotes: boolean): string {
  const table = spelledTable(name, random, ansiQuotes);
  return random.pick([
    `TRUNCATE TABLE ${table}`,
    `truncate ${table}`,
    `TRUNCATE/* TABLE x */TABLE ${table}`,
    `/* DROP TABLE y */ TRUNCATE TABLE ${table}/*tail*/`,
    `/*!50000 TRUNCATE */ Table ${table} -- tail`,
    `TRUNCATE # note\n TABLE\t${table}`,
  ]);
}

/** DDL that names captured tables and changes none of them. */
export function harmlessDdl(random: Random, captured: string, client: number, withViews: boolean): string {
  const old = `${PRIVATE}.${captured}_${client}`;
  const view = `CREATE OR REPLACE VIEW ${PRIVATE}.view_${client} AS SELECT * FROM ${SCHEMA}.${captured}`;
  return random.pick([
    `CREATE TABLE IF NOT EXISTS ${old} LIKE ${SCHEMA}.${captured}`,
    `DROP TABLE IF EXISTS ${old}`,
    `ALTER TABLE ${PRIVATE}.log COMMENT 'fed by ${captured}; TRUNCATE TABLE ${SCHEMA}.${captured}'`,
    `TRUNCATE TABLE ${PRIVATE}.${captured}`,
    `/* TRUNCATE TABLE ${SCHEMA}.${captured} */ TRUNCATE ${PRIVATE}.${captured}`,
    `ALTER TABLE ${PRIVATE}.${captured} ALTER COLUMN ver SET DEFAULT ${random.below(1e9)}`,
    `ANALYZE TABLE ${SCHEMA}.${captured}`,
    ...(withViews ? [view] : []),
  ]);
}

/** DML of a table that is not captured, for a session with binlog_format STATEMENT. */
export function statementDml(random: Random, notes: string, client: number): string[] {
  const statement = (): string =>
    random.pick([
      `UPDATE ${notes} SET n = n + ${random.below(9)} WHERE id = ${client}`,
      `REPLACE INTO ${notes} (id, n, note) VALUES (${client}, 0, 'UPDATE ${SCHEMA}.accounts')`,
      `INSERT INTO ${notes} (id) VALUES (${client}) ON DUPLICATE KEY UPDATE n = n + 1, note = NULL`,
      `WITH q AS (SELECT ${client} AS id) UPDATE ${notes} z JOIN q USING (id) SET z.n = 1`,
      `UPDATE /*+ NO_MERGE(n) */ ${notes} n SET n.note = CONCAT('naïve ', @@server_id, ' ', n.n) WHERE n.id = ${client}`,
      `SET @note = 'user variable'; UPDATE ${notes} SET note = @note WHERE id = ${client}`,
    ]);
  return Array.from({ length: 1 + random.below(3) }, statement);
}
