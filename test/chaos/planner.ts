import type { Random } from '../../src/local/demo/random.ts';
import { KeyModel } from './key-model.ts';
import { savepointNames } from './odd-spelling.ts';
import { type Plan, planned, type Session } from './plan.ts';
import { StatementPlans } from './statement-plans.ts';
import {
  ACCOUNTS,
  BULK,
  type ChaosTable,
  FAT,
  HIDDEN,
  JOURNAL,
  NUMBERS,
  ORDERS,
  PARTS,
  REBORN,
  SCRATCH,
  SIZES,
  VISITS,
  WIDE,
} from './tables.ts';
import { TransactionDraft, type Writer } from './transaction-draft.ts';
import { type Weights, weightedChoice } from './weighted-choice.ts';
import { XaWorkload } from './xa-workload.ts';

export interface PlannerOptions {
  client: number;
  clients: number;
  random: Random;
  /** Rows that a bulk transaction changes. */
  bulkRows: number;
  /** The weight of transactions of the third client that change rows of 100 KB; all others have 1,000. */
  fatRows: number;
  /** The share of these rows whose events exceed a Firehose record. */
  oversize: number;
  /** The binlog does not name columns. Nothing changes those of a captured table, which could stop the daemon. */
  minimalMetadata: boolean;
  /** A binlog that is not newer than the one that the server writes now. */
  binlog: () => string;
}

/** The tables of most transactions. Twice means twice as often. */
const ORDINARY: readonly ChaosTable[] = [ACCOUNTS, ACCOUNTS, ORDERS, ORDERS, VISITS, JOURNAL, WIDE];

/** What every client plans, with weights. They add up to 1,000. */
const COMMON_PLANS = {
  shortTransaction: 470,
  longTransaction: 40,
  capturedAndUncaptured: 40,
  uncaptured: 90,
  statementDml: 40,
  harmlessDdl: 10,
  manyRows: 80,
  savepoint: 100,
  rollback: 80,
  xa: 50,
};
/** What one client plans besides, with weights beside the common 1,000. */
const ALTER_AND_TRUNCATE = { alter: 4, truncate: 6, truncatedTable: 30, truncateSizes: 10, sizes: 30 };
const BULK_AND_PARTITIONS = { bulk: 3, changePartition: 40, truncateParts: 15, parts: 50 };
const FAT_AND_REBORN = { dropTable: 15, reborn: 30 };

type PlanName =
  | keyof (typeof COMMON_PLANS & typeof ALTER_AND_TRUNCATE & typeof BULK_AND_PARTITIONS & typeof FAT_AND_REBORN)
  | 'fatRows';

function weightsOf({ client, fatRows, minimalMetadata }: PlannerOptions): Weights<PlanName> {
  const reborn = minimalMetadata ? { ...FAT_AND_REBORN, dropTable: 0 } : FAT_AND_REBORN;
  const own = [ALTER_AND_TRUNCATE, BULK_AND_PARTITIONS, { ...reborn, fatRows }][client];
  return { ...COMMON_PLANS, ...own };
}

/**
 * Plans the work of one client. Each key is inserted, updated, deleted and inserted again, in transactions of many
 * kinds. The clients share the tables, and each owns its keys. A plan depends on the seed and on what the server has
 * committed.
 */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #model = new KeyModel();
  readonly #writer: Writer;
  readonly xa: XaWorkload;
  readonly #statements: StatementPlans;
  readonly #weights: Weights<PlanName>;
  #count = 0;
  #columns = 0;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#writer = { ...options, model: this.#model, column: undefined };
    this.xa = new XaWorkload(options, this.#model);
    this.#statements = new StatementPlans(options, this.#model, this.#draft);
    this.#weights = weightsOf(options);
  }

  next(): Plan {
    this.#count++;
    return (
      this.#statements.due() ?? this.xa.due() ?? this.#planned(weightedChoice(this.#options.random, this.#weights))
    );
  }

  /** The plan that ends what a former one has begun. Undefined if nothing is open. */
  end(): Plan | undefined {
    return this.#statements.due() ?? this.xa.end();
  }

  #planned(name: PlanName): Plan {
    const { random, client } = this.#options;
    switch (name) {
      case 'shortTransaction':
        return this.#transaction(ORDINARY, 1 + random.below(4));
      case 'longTransaction':
        return this.#transaction(ORDINARY, 10 + random.below(30));
      case 'capturedAndUncaptured':
        return this.#transaction([HIDDEN, ACCOUNTS, ORDERS], 4);
      case 'uncaptured':
        return this.#transaction([HIDDEN], 1 + random.below(3));
      case 'truncatedTable':
        return this.#transaction([SCRATCH], 1 + random.below(4));
      case 'sizes':
        return this.#transaction([SIZES], 1 + random.below(4));
      case 'parts':
        return this.#transaction([PARTS], 1 + random.below(4));
      case 'reborn':
        return this.#transaction([REBORN], 1 + random.below(4));
      case 'fatRows':
        return this.#transaction([FAT], 1);
      case 'manyRows':
        return this.#manyRows();
      case 'savepoint':
        return this.#savepointTransaction();
      case 'rollback':
        return this.#rolledBackTransaction();
      case 'xa':
        return this.xa.prepare(`'c${client}-${this.#count}'`, this.#draft()) ?? this.#transaction(ORDINARY, 2);
      case 'alter':
        return this.#alter();
      case 'truncate':
        return this.#statements.truncate(SCRATCH);
      case 'truncateSizes':
        return this.#statements.truncate(SIZES);
      case 'truncateParts':
        return this.#statements.truncate(PARTS);
      case 'changePartition':
        return this.#statements.changePartition();
      case 'dropTable':
        return this.#statements.dropTable();
      case 'statementDml':
        return this.#statements.statementDml();
      case 'harmlessDdl':
        return this.#statements.harmlessDdl();
      case 'bulk':
        return this.#bulk();
    }
  }

  committed(plan: Plan, gtid: string): void {
    this.#model.apply(plan.overlay);
    plan.done?.(gtid);
  }

  absent(plan: Plan): void {
    this.#model.skipVersions(plan.overlay);
  }

  #draft = (): TransactionDraft => new TransactionDraft(this.#writer, this.#count);

  #transaction(tables: readonly ChaosTable[], writes: number): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    for (let i = 0; i < writes; i++) draft.write(random.pick(tables));
    if (draft.statements.length === 1 && random.chance(0.3)) {
      return this.#plan('one statement', draft.statements, draft);
    }
    return this.#plan('transaction', ['BEGIN', ...draft.statements, 'COMMIT'], draft);
  }

  /** All its rows are marked, so that the checker recognizes any event of them. */
  #rolledBackTransaction(): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    for (let i = 1 + random.below(6); i > 0; i--) draft.write(random.pick(ORDINARY), true);
    return { ...this.#plan('rollback', ['BEGIN', ...draft.statements, 'ROLLBACK'], draft), ends: 'none' };
  }

  /** A part is rolled back to a savepoint, sometimes with a second savepoint inside. */
  #savepointTransaction(): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    const { statements, keys } = draft;
    const ansiQuotes = random.chance(0.4);
    const [a, b] = savepointNames(random, ansiQuotes);
    statements.push('BEGIN');
    const write = (phantom = false) => draft.write(random.pick(ORDINARY), phantom);
    write();
    const before = keys.snapshot();
    statements.push(`SAVEPOINT ${a.set}`);
    write(true);
    if (random.chance(0.4)) {
      statements.push(`SAVEPOINT ${b.set}`);
      write(true);
      const { rollBack } = b;
      statements.push(random.pick([`ROLLBACK TO ${rollBack}`, `RELEASE SAVEPOINT ${rollBack}`, 'SAVEPOINT c']));
      write(true);
    }
    statements.push(`ROLLBACK TO SAVEPOINT ${a.rollBack}`);
    keys.rollBackTo(before);
    for (let i = random.below(3); i > 0; i--) write();
    return this.#plan('savepoint', [...statements, 'COMMIT'], draft, { ansiQuotes });
  }

  #manyRows(): Plan {
    const { random } = this.#options;
    const draft = this.#draft();
    const table = random.pick([ACCOUNTS, ORDERS]);
    draft.writeRows(table, [...new Set(Array.from({ length: 3 + random.below(25) }, () => draft.key(table)))]);
    return this.#plan('many rows', ['BEGIN', ...draft.statements, 'COMMIT'], draft);
  }

  /** One statement that inserts, updates or deletes thousands of rows. */
  #bulk(): Plan {
    const { random, client, clients, bulkRows } = this.#options;
    const draft = this.#draft();
    const first = this.#model.get(BULK.name, client).row;
    const op = first === undefined ? 'c' : random.chance(0.6) ? 'u' : 'd';
    let version = 0;
    for (let i = 0; i < bulkRows; i++) version = draft.expect(BULK, client + clients * i, op);
    const [, pad] = BULK.payload(random)[0] ?? [];
    const statement = {
      c: `INSERT INTO bulk (id, ver, tx, ph, pad)
        SELECT ${client} + ${clients} * n, ${version}, ${this.#count}, 0, ${pad}
        FROM ${NUMBERS} WHERE n < ${bulkRows} ORDER BY n`,
      u: `UPDATE bulk SET ver = ${version}, tx = ${this.#count}, pad = ${pad}`,
      d: 'DELETE FROM bulk',
    }[op];
    return this.#plan('bulk', [statement], draft);
  }

  #alter(): Plan {
    const writer = this.#writer;
    if (this.#options.minimalMetadata) return this.#statements.alterIndex();
    const drops = writer.column !== undefined;
    const statement = drops ? `DROP COLUMN x${writer.column}` : `ADD COLUMN x${this.#columns + 1} INT NULL`;
    return {
      ...this.#plan('alter', [`ALTER TABLE ${WIDE.name} ${statement}`], this.#draft()),
      done: () => {
        writer.column = drops ? undefined : ++this.#columns;
      },
    };
  }

  #plan(name: string, statements: string[], draft: TransactionDraft, session: Session = {}): Plan {
    return planned(this.#options.random, name, statements, draft, session);
  }
}
