import type { Random } from '../../src/local/demo/random.ts';
import type { Change } from './expected-changes.ts';
import type { RowsWithoutEvents } from './incomplete-marks.ts';
import type { KeyState } from './key-model.ts';
import { SCHEMA } from './tables.ts';
import type { TransactionDraft } from './transaction-draft.ts';

/** The next work of a client: a transaction, or a statement outside one. */
export interface Plan {
  name: string;
  statements: string[];
  /** Whether the client sends it in latin1. Otherwise in UTF-8. */
  latin1?: boolean;
  /** The changes that are committed if the server commits. */
  changes: Change[];
  /** What the statement does to the rows of a captured table without row events. */
  rowsWithoutEvents?: RowsWithoutEvents;
  overlay: ReadonlyMap<string, KeyState>;
  /** `none`: the plan rolls back, so its GTID stays unused. */
  ends: 'commit' | 'none';
  /** Called after the commit. */
  done?: (gtid: string) => void;
}

/** The session of a plan, as far as it is not drawn. */
export interface Session {
  schema?: string;
  ansiQuotes?: boolean;
}

/** A plan in a session of its own kind. */
export function planned(
  random: Random,
  name: string,
  statements: readonly string[],
  { changes, keys }: Pick<TransactionDraft, 'changes' | 'keys'>,
  { schema = SCHEMA, ansiQuotes = random.chance(0.1) }: Session,
): Plan {
  // The binlog has compressed and plain transactions side by side.
  const compression = `binlog_transaction_compression = ${random.chance(0.2) ? 'ON' : 'OFF'}`;
  const sqlMode = `sql_mode = CONCAT(@@GLOBAL.sql_mode, '${ansiQuotes ? ',ANSI_QUOTES' : ''}')`;
  return {
    name,
    statements: [`SET SESSION ${compression}, ${sqlMode}`, `USE ${schema}`, ...statements],
    latin1: random.chance(0.2),
    changes,
    overlay: keys.overlay,
    ends: 'commit',
  };
}
