import { IncompleteMarks } from './incomplete-marks.ts';
import type { Delivered } from './repeat-checker.ts';

/** A change that a transaction makes. Exactly one event must describe it. */
export interface Change {
  table: string;
  /** JSON text of the row's key. For a TRUNCATE the GTID of its transaction. */
  key: string;
  /** Grows with every change of the key, also across deletes and new inserts. */
  version: number;
  op: 'c' | 'u' | 'd' | 't';
}

export interface Tx {
  gtid: string;
  /** `absent`: it was rolled back, or never reached the server. */
  state: 'planned' | 'committed' | 'absent';
  changes: Change[];
  /** Events of it that no sink has accepted yet. */
  unacknowledged: number;
}

/** An expected event and its delivery so far. */
export interface Expected {
  tx: Tx;
  change: Change;
  seq: string | undefined;
  hash: string | undefined;
  acknowledged: boolean;
  /** The last call that stored it. */
  last: Pick<Delivered, 'call' | 'at' | 'accepted' | 'slow'> | undefined;
}

export const changeId = (table: string, key: string, version: number): string => `${table} ${key} ${version}`;

/**
 * The changes of the workload and their outcome. A transaction is entered before it is sent to the server, so none of
 * its events can arrive before its entry. The workload chooses the GTID, so gtid_executed shows the outcome of a
 * transaction whose COMMIT got no answer.
 */
export class ExpectedChanges {
  readonly #byGtid = new Map<string, Tx>();
  readonly #expected = new Map<string, Expected>();
  /** Is not forgotten: a mark stays until its table is emptied. */
  readonly marks = new IncompleteMarks();
  /** Committed changes since the start of the run. */
  changes = 0;
  transactions = 0;
  rolledBack = 0;
  /** Events of committed transactions that no sink has accepted yet. */
  outstanding = 0;

  plan(gtid: string, changes: Change[]): Tx {
    const tx: Tx = { gtid, state: 'planned', changes, unacknowledged: changes.length };
    this.#byGtid.set(gtid, tx);
    for (const change of changes) {
      const { table, key, version } = change;
      const id = changeId(table, key, version);
      if (this.#expected.has(id)) throw new Error(`the workload plans ${id} twice`);
      this.#expected.set(id, {
        tx,
        change,
        seq: undefined,
        hash: undefined,
        acknowledged: false,
        last: undefined,
      });
    }
    this.outstanding += changes.length;
    return tx;
  }

  committed(tx: Tx): void {
    tx.state = 'committed';
    this.transactions++;
    this.changes += tx.changes.length;
  }

  /** The transaction did not commit. Returns its events that arrived nevertheless. */
  absent(tx: Tx): Expected[] {
    tx.state = 'absent';
    this.rolledBack++;
    this.outstanding -= tx.unacknowledged;
    const seen: Expected[] = [];
    for (const { table, key, version } of tx.changes) {
      const id = changeId(table, key, version);
      const expected = this.#expected.get(id);
      if (expected?.seq !== undefined) seen.push(expected);
      this.#expected.delete(id);
    }
    return seen;
  }

  find(gtid: string): Tx | undefined {
    return this.#byGtid.get(gtid);
  }

  expected(id: string): Expected | undefined {
    return this.#expected.get(id);
  }

  acknowledge(expected: Expected): void {
    if (expected.acknowledged) return;
    expected.acknowledged = true;
    expected.tx.unacknowledged--;
    this.outstanding--;
  }

  *events(): Generator<Expected> {
    yield* this.#expected.values();
  }

  *waiting(): Generator<Tx> {
    for (const tx of this.#byGtid.values()) if (tx.state === 'committed' && tx.unacknowledged > 0) yield tx;
  }

  /** Forgets what was checked. Call it only while nobody sends anything. */
  prune(): void {
    this.#byGtid.clear();
    this.#expected.clear();
  }
}
