import type { Random } from '../../src/local/demo/random.ts';
import type { Change } from './expected-changes.ts';
import { KeyModel, type KeyState } from './key-model.ts';
import {
  ACCOUNTS,
  BULK,
  type ChaosTable,
  FAT,
  HIDDEN,
  JOURNAL,
  NUMBERS,
  ORDERS,
  SCHEMA,
  SCRATCH,
  VISITS,
  WIDE,
} from './tables.ts';
import { TransactionDraft, type Writer } from './transaction-draft.ts';
import { XaWorkload } from './xa-workload.ts';

/** What a client is to do next, in one transaction or statement of its own. */
export interface Plan {
  name: string;
  statements: string[];
  /** What becomes true if the server commits. */
  changes: Change[];
  overlay: ReadonlyMap<string, KeyState>;
  /** `none`: nothing stays of it, and its GTID is free again. */
  ends: 'commit' | 'none';
  /** What else becomes true with the commit. */
  done?: (gtid: string) => void;
}

export interface PlannerOptions {
  client: number;
  clients: number;
  random: Random;
  /** How many rows the large transactions change. */
  bulkRows: number;
  /** How many of a thousand transactions of the third client change rows of 100 KB. */
  fatRows: number;
  /** The share of those whose events are larger than a Firehose record may be. */
  oversize: number;
  /** A binlog that is not younger than the one that is written now. */
  binlog: () => string;
}

const ORDINARY: readonly ChaosTable[] = [ACCOUNTS, ACCOUNTS, ORDERS, ORDERS, VISITS, JOURNAL, WIDE];

/**
 * The state machine of one client: each key goes absent -> insert -> update* -> delete -> insert ..., in transactions of many kinds. The
 * clients share the tables and own keys of their own, so what a client plans depends on its seed and on what the server has committed.
 */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #model = new KeyModel();
  readonly #writer: Writer;
  readonly pledges: XaWorkload;
  #count = 0;
  #columns = 0;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#writer = { ...options, model: this.#model, column: undefined };
    this.pledges = new XaWorkload(options, this.#model);
  }

  next(): Plan {
    this.#count++;
    const over = this.pledges.due();
    if (over) return over;
    const { random, client, fatRows } = this.#options;
    const dice = random.below(1000);
    if (client === 0 && dice < 4) return this.#alter();
    if (client === 0 && dice < 10) return this.#truncate();
    if (client === 0 && dice < 40) return this.#ordinary([SCRATCH], 1 + random.below(4));
    if (client === 1 && dice < 3) return this.#bulk();
    if (client === 2 && dice < fatRows) return this.#ordinary([FAT], 1);
    if (dice < 90) return this.#ordinary([HIDDEN], 1 + random.below(3));
    if (dice < 140) {
      return this.pledges.prepare(`'c${client}-${this.#count}'`, this.#draft()) ?? this.#ordinary(ORDINARY, 2);
    }
    if (dice < 220) return this.#rolledBackTransaction();
    if (dice < 320) return this.#savepointTransaction();
    if (dice < 400) return this.#multiRow();
    if (dice < 440) return this.#ordinary([HIDDEN, ACCOUNTS, ORDERS], 4);
    if (dice < 480) return this.#ordinary(ORDINARY, 10 + random.below(30));
    return this.#ordinary(ORDINARY, 1 + random.below(4));
  }

  committed(plan: Plan, gtid: string): void {
    this.#model.apply(plan.overlay);
    plan.done?.(gtid);
  }

  absent(plan: Plan): void {
    this.#model.skipVersions(plan.overlay);
  }

  #draft = (): TransactionDraft => new TransactionDraft(this.#writer, this.#count);

  #ordinary(tables: readonly ChaosTable[], writes: number): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    for (let i = 0; i < writes; i++) draft.write(random.pick(tables));
    if (draft.statements.length === 1 && random.chance(0.3))
      return this.#plan('one statement', draft.statements, draft);
    return this.#plan('transaction', ['BEGIN', ...draft.statements, 'COMMIT'], draft);
  }

  /** Everything of it is marked, so that any event of it shows. */
  #rolledBackTransaction(): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    for (let i = 1 + random.below(6); i > 0; i--) draft.write(random.pick(ORDINARY), true);
    return { ...this.#plan('rollback', ['BEGIN', ...draft.statements, 'ROLLBACK'], draft), ends: 'none' };
  }

  /** A part is rolled back to a savepoint, perhaps two deep. */
  #savepointTransaction(): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    const { statements, keys } = draft;
    statements.push('BEGIN');
    const write = (phantom = false) => draft.write(random.pick(ORDINARY), phantom);
    write();
    const before = keys.snapshot();
    statements.push('SAVEPOINT a');
    write(true);
    if (random.chance(0.4)) {
      statements.push('SAVEPOINT b');
      write(true);
      statements.push(random.pick(['ROLLBACK TO SAVEPOINT b', 'RELEASE SAVEPOINT b', 'SAVEPOINT c']));
      write(true);
    }
    statements.push('ROLLBACK TO SAVEPOINT a');
    keys.rollBackTo(before);
    for (let i = random.below(3); i > 0; i--) write();
    return this.#plan('savepoint', [...statements, 'COMMIT'], draft);
  }

  #multiRow(): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    const table = random.pick([ACCOUNTS, ORDERS]);
    draft.writeRows(table, [...new Set(Array.from({ length: 3 + random.below(25) }, () => draft.key(table)))]);
    return this.#plan('many rows', ['BEGIN', ...draft.statements, 'COMMIT'], draft);
  }

  /** Thousands of rows, inserted, updated or deleted at once. */
  #bulk(): Plan {
    const { random, client, clients, bulkRows } = this.#options;
    const draft = this.#draft();
    const first = this.#model.get(BULK.name, client).row;
    const op = first === undefined ? 'c' : random.chance(0.6) ? 'u' : 'd';
    let version = 0;
    for (let i = 0; i < bulkRows; i++) version = draft.expect(BULK, client + clients * i, op);
    const [, pad] = BULK.payload(random)[0] ?? [];
    const statement = {
      c: `INSERT INTO bulk (id, ver, tx, ph, pad) SELECT ${client} + ${clients} * n, ${version}, ${this.#count}, 0, ${pad} FROM ${NUMBERS} WHERE n < ${bulkRows} ORDER BY n`,
      u: `UPDATE bulk SET ver = ${version}, tx = ${this.#count}, pad = ${pad}`,
      d: 'DELETE FROM bulk',
    }[op];
    return this.#plan('bulk', [statement], draft);
  }

  #alter(): Plan {
    const writer = this.#writer;
    const drops = writer.column !== undefined;
    const statement = drops ? `DROP COLUMN x${writer.column}` : `ADD COLUMN x${this.#columns + 1} INT NULL`;
    return {
      ...this.#plan('alter', [`ALTER TABLE ${WIDE.name} ${statement}`], this.#draft()),
      done: () => {
        writer.column = drops ? undefined : ++this.#columns;
      },
    };
  }

  #truncate(): Plan {
    const change: Change = { table: SCRATCH.name, key: `truncate ${this.#count}`, version: 0, op: 't' };
    return {
      ...this.#plan('truncate', [`TRUNCATE TABLE ${SCRATCH.name}`], this.#draft()),
      changes: [change],
      done: () => this.#model.truncate(SCRATCH.name),
    };
  }

  #plan(name: string, statements: string[], { changes, keys }: TransactionDraft): Plan {
    const { random } = this.#options;
    // The session says whether the binlog holds the transaction compressed; nobody else knows beforehand.
    const compression = `SET SESSION binlog_transaction_compression = ${random.chance(0.2) ? 'ON' : 'OFF'}`;
    return {
      name,
      statements: [compression, `USE ${SCHEMA}`, ...statements],
      changes,
      overlay: keys.overlay,
      ends: 'commit',
    };
  }
}
