import type { Random } from '../../src/demo/random.ts';
import type { Change } from './intent-log.ts';
import { Draft, KeyModel, type KeyState } from './key-model.ts';
import {
  ACCOUNTS,
  BULK,
  type ChaosTable,
  FAT,
  HIDDEN,
  JOURNAL,
  keyJson,
  NUMBERS,
  ORDERS,
  PLEDGES,
  SCHEMA,
  SCRATCH,
  VISITS,
  WIDE,
  whereKey,
} from './tables.ts';

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

interface Pledge {
  xid: string;
  changes: Change[];
  overlay: ReadonlyMap<string, KeyState>;
  keys: number[];
  commit: boolean;
  /** How many plans it stays prepared. */
  rest: number;
  /** A binlog that is not younger than the one that holds its rows. */
  from: string;
  /** The transaction that ended it. */
  endedBy?: string;
}

export interface PlannerOptions {
  client: number;
  clients: number;
  random: Random;
  /** How many rows the large transactions change. */
  bulkRows: number;
  /** How many of a thousand transactions of the third client change rows of 100 KB. */
  fatRows: number;
  /** Whether events larger than a Firehose record may be are wanted. */
  oversize: boolean;
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
  #count = 0;
  #column: number | undefined;
  #columns = 0;
  #prepared: Pledge[] = [];
  /** Whose rows the daemon may still need, although they are no longer prepared. */
  #ended: Pledge[] = [];

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** The oldest binlog with rows of XA transactions that are not delivered; undefined for none. */
  binlogOfPrepared(isDelivered: (gtid: string) => boolean): string | undefined {
    this.#ended = this.#ended.filter(({ endedBy = '' }) => !isDelivered(endedBy));
    return [...this.#prepared, ...this.#ended].map(({ from }) => from).sort()[0];
  }

  next(): Plan {
    this.#count++;
    for (const pledge of this.#prepared) pledge.rest--;
    const over = this.#prepared.find(({ rest }) => rest <= 0);
    if (over) return this.#endPledge(over);
    const { random, client, fatRows } = this.#options;
    const dice = random.below(1000);
    if (client === 0 && dice < 4) return this.#alter();
    if (client === 0 && dice < 10) return this.#truncate();
    if (client === 0 && dice < 40) return this.#ordinary([SCRATCH], 1 + random.below(4));
    if (client === 1 && dice < 3) return this.#bulk();
    if (client === 2 && dice < fatRows) return this.#ordinary([FAT], 1);
    if (dice < 90) return this.#ordinary([HIDDEN], 1 + random.below(3));
    if (dice < 140) return this.#pledge();
    if (dice < 220) return this.#givenUp();
    if (dice < 320) return this.#thoughtAgain();
    if (dice < 400) return this.#multiRow();
    if (dice < 440) return this.#ordinary([HIDDEN, ACCOUNTS, ORDERS], 4);
    if (dice < 480) return this.#ordinary(ORDINARY, 10 + random.below(30));
    return this.#ordinary(ORDINARY, 1 + random.below(4));
  }

  /** Ends what is prepared; undefined when nothing is. */
  endPrepared(): Plan | undefined {
    const [pledge] = this.#prepared;
    return pledge && this.#endPledge(pledge);
  }

  committed(plan: Plan, gtid: string): void {
    this.#model.apply(plan.overlay);
    plan.done?.(gtid);
  }

  absent(plan: Plan): void {
    this.#model.skipVersions(plan.overlay);
  }

  #key(table: ChaosTable): number {
    const { client, clients, random } = this.#options;
    return client + clients * random.below(table.keysPerClient);
  }

  #ordinary(tables: readonly ChaosTable[], writes: number): Plan {
    const { random } = this.#options;
    const draft = new Draft(this.#model);
    const changes: Change[] = [];
    const statements: string[] = [];
    for (let i = 0; i < writes; i++) this.#write(draft, random.pick(tables), changes, statements, 0);
    if (statements.length === 1 && random.chance(0.3)) return this.#plan('one statement', statements, changes, draft);
    return this.#plan('transaction', ['BEGIN', ...statements, 'COMMIT'], changes, draft);
  }

  /** Everything of it is marked, so that any event of it shows. */
  #givenUp(): Plan {
    const { random } = this.#options;
    const draft = new Draft(this.#model);
    const statements: string[] = [];
    for (let i = 1 + random.below(6); i > 0; i--) this.#write(draft, random.pick(ORDINARY), [], statements, 1);
    return { ...this.#plan('rollback', ['BEGIN', ...statements, 'ROLLBACK'], [], draft), ends: 'none' };
  }

  /** A part is rolled back to a savepoint, perhaps two deep. */
  #thoughtAgain(): Plan {
    const { random } = this.#options;
    const draft = new Draft(this.#model);
    const changes: Change[] = [];
    const statements: string[] = ['BEGIN'];
    const write = (ph: 0 | 1) => this.#write(draft, random.pick(ORDINARY), ph ? [] : changes, statements, ph);
    write(0);
    const before = draft.snapshot();
    statements.push('SAVEPOINT a');
    write(1);
    if (random.chance(0.4)) {
      statements.push('SAVEPOINT b');
      write(1);
      statements.push(random.pick(['ROLLBACK TO SAVEPOINT b', 'RELEASE SAVEPOINT b', 'SAVEPOINT c']));
      write(1);
    }
    statements.push('ROLLBACK TO SAVEPOINT a');
    draft.rollBackTo(before);
    for (let i = random.below(3); i > 0; i--) write(0);
    return this.#plan('savepoint', [...statements, 'COMMIT'], changes, draft);
  }

  /** One statement that changes several rows: one rows event. */
  #multiRow(): Plan {
    const { random } = this.#options;
    const draft = new Draft(this.#model);
    const table = random.pick([ACCOUNTS, ORDERS]);
    const keys = [...new Set(Array.from({ length: 3 + random.below(25) }, () => this.#key(table)))];
    const present = keys.filter((k) => draft.get(table.name, k).row !== undefined);
    const absent = keys.filter((k) => draft.get(table.name, k).row === undefined);
    const changes: Change[] = [];
    const statements: string[] = [];
    if (absent.length > 0) {
      const rows = absent.map((k) => {
        const version = draft.write(table.name, k);
        changes.push({ table: table.name, key: keyJson(table, k), version, op: 'c' });
        return { version, k, values: table.payload(random) };
      });
      const names = [...table.keyColumns, 'ver', 'tx', 'ph', ...(rows[0]?.values ?? []).map(([name]) => name)];
      const tuples = rows.map(
        ({ version, k, values }) =>
          `(${[...table.keyLiterals(k), version, this.#count, 0, ...values.map(([, literal]) => literal)].join(', ')})`,
      );
      statements.push(`INSERT INTO ${table.name} (${names.join(', ')}) VALUES ${tuples.join(', ')}`);
    }
    if (present.length > 0) {
      const where = present.map((k) => `(${whereKey(table, k)})`).join(' OR ');
      const remove = random.chance(0.3);
      const cases = present.map((k) => {
        const version = remove ? draft.remove(table.name, k) : draft.write(table.name, k);
        changes.push({ table: table.name, key: keyJson(table, k), version, op: remove ? 'd' : 'u' });
        return `WHEN ${whereKey(table, k)} THEN ${version}`;
      });
      statements.push(
        remove
          ? `DELETE FROM ${table.name} WHERE ${where}`
          : `UPDATE ${table.name} SET tx = ${this.#count}, ver = CASE ${cases.join(' ')} END WHERE ${where}`,
      );
    }
    return this.#plan('many rows', ['BEGIN', ...statements, 'COMMIT'], changes, draft);
  }

  /** Thousands of rows, inserted, updated or deleted at once. */
  #bulk(): Plan {
    const { random, client, clients, bulkRows } = this.#options;
    const draft = new Draft(this.#model);
    const first = this.#model.get(BULK.name, client).row;
    const op = first === undefined ? 'c' : random.chance(0.6) ? 'u' : 'd';
    const changes: Change[] = [];
    let version = 0;
    for (let i = 0; i < bulkRows; i++) {
      const k = client + clients * i;
      version = op === 'd' ? draft.remove(BULK.name, k) : draft.write(BULK.name, k);
      changes.push({ table: BULK.name, key: keyJson(BULK, k), version, op });
    }
    const [, pad] = BULK.payload(random)[0] ?? [];
    const statement = {
      c: `INSERT INTO bulk (id, ver, tx, ph, pad) SELECT ${client} + ${clients} * n, ${version}, ${this.#count}, 0, ${pad} FROM ${NUMBERS} WHERE n < ${bulkRows} ORDER BY n`,
      u: `UPDATE bulk SET ver = ${version}, tx = ${this.#count}, pad = ${pad}`,
      d: 'DELETE FROM bulk',
    }[op];
    return this.#plan('bulk', [statement], changes, draft);
  }

  #alter(): Plan {
    const drops = this.#column !== undefined;
    const statement = drops ? `DROP COLUMN x${this.#column}` : `ADD COLUMN x${this.#columns + 1} INT NULL`;
    return {
      ...this.#plan('alter', [`ALTER TABLE ${WIDE.name} ${statement}`], [], new Draft(this.#model)),
      done: () => {
        this.#column = drops ? undefined : ++this.#columns;
      },
    };
  }

  #truncate(): Plan {
    const change: Change = { table: SCRATCH.name, key: `truncate ${this.#count}`, version: 0, op: 't' };
    return {
      ...this.#plan('truncate', [`TRUNCATE TABLE ${SCRATCH.name}`], [change], new Draft(this.#model)),
      done: () => this.#model.truncate(SCRATCH.name),
    };
  }

  /** XA START to XA PREPARE. Its rows are true from XA COMMIT on, if ever. */
  #pledge(): Plan {
    const { random, client } = this.#options;
    const draft = new Draft(this.#model);
    const changes: Change[] = [];
    const statements: string[] = [];
    const busy = new Set(this.#prepared.flatMap(({ keys }) => keys));
    const keys: number[] = [];
    const commit = random.chance(0.65);
    for (let i = 1 + random.below(3); i > 0; i--) {
      const k = this.#key(PLEDGES);
      if (busy.has(k)) continue;
      keys.push(k);
      this.#writeKey(draft, PLEDGES, k, changes, statements, commit ? 0 : 1);
    }
    if (statements.length === 0 || busy.size > 20) return this.#ordinary(ORDINARY, 2);
    const xid = `'c${client}-${this.#count}'`;
    const rest = random.chance(0.5) ? 1 : random.below(40);
    const pledge: Pledge = { xid, changes, overlay: draft.overlay, keys, commit, rest, from: this.#options.binlog() };
    return {
      name: 'XA PREPARE',
      statements: [`XA START ${xid}`, ...statements, `XA END ${xid}`, `XA PREPARE ${xid}`],
      changes: [],
      overlay: new Map(),
      ends: 'commit',
      done: () => this.#prepared.push(pledge),
    };
  }

  #endPledge(pledge: Pledge): Plan {
    const { xid, commit, changes, overlay } = pledge;
    return {
      name: commit ? 'XA COMMIT' : 'XA ROLLBACK',
      statements: [`XA ${commit ? 'COMMIT' : 'ROLLBACK'} ${xid}`],
      changes: commit ? changes : [],
      overlay: commit ? overlay : new Map(),
      ends: 'commit',
      done: (gtid) => {
        this.#prepared = this.#prepared.filter((other) => other !== pledge);
        this.#ended.push({ ...pledge, endedBy: gtid });
        if (!commit) this.#model.skipVersions(overlay);
      },
    };
  }

  #write(draft: Draft, table: ChaosTable, changes: Change[], statements: string[], ph: 0 | 1): void {
    this.#writeKey(draft, table, this.#key(table), changes, statements, ph);
  }

  /** The next step in the life of a key. */
  #writeKey(draft: Draft, table: ChaosTable, k: number, changes: Change[], statements: string[], ph: 0 | 1): void {
    const { random } = this.#options;
    const { name } = table;
    const change = (key: number, version: number, op: Change['op']): void => {
      if (table !== HIDDEN) changes.push({ table: name, key: keyJson(table, key), version, op });
    };
    if (draft.get(name, k).row === undefined) {
      const version = draft.write(name, k);
      const values = this.#values(table);
      const columns = [...table.keyColumns, 'ver', 'tx', 'ph', ...values.map(([column]) => column)];
      const literals = [...table.keyLiterals(k), version, this.#count, ph, ...values.map(([, literal]) => literal)];
      statements.push(`INSERT INTO ${name} (${columns.join(', ')}) VALUES (${literals.join(', ')})`);
      return change(k, version, 'c');
    }
    if (random.chance(0.22)) {
      statements.push(`DELETE FROM ${name} WHERE ${whereKey(table, k)}`);
      return change(k, draft.remove(name, k), 'd');
    }
    const to = random.chance(0.12) && table !== PLEDGES ? this.#key(table) : k;
    if (to !== k && draft.get(name, to).row === undefined && table.keyed) {
      change(k, draft.remove(name, k), 'd');
      const version = draft.write(name, to);
      const key = table.keyColumns.map((column, i) => `${column} = ${table.keyLiterals(to)[i]}`).join(', ');
      const rest = `ver = ${version}, tx = ${this.#count}, ph = ${ph}`;
      statements.push(`UPDATE ${name} SET ${key}, ${rest} WHERE ${whereKey(table, k)}`);
      return change(to, version, 'c');
    }
    const version = draft.write(name, k);
    const values = this.#values(table).filter(() => random.chance(0.6));
    const sets = [...values.map(([c, v]) => `${c} = ${v}`), `ver = ${version}`, `tx = ${this.#count}`, `ph = ${ph}`];
    statements.push(`UPDATE ${name} SET ${sets.join(', ')} WHERE ${whereKey(table, k)}`);
    change(k, version, 'u');
  }

  #values(table: ChaosTable): [string, string][] {
    const { random, oversize, client } = this.#options;
    const values = table.payload(random);
    if (table === FAT && oversize && random.chance(0.1)) {
      values[0] = ['body', `REPEAT('oversize', ${140_000 + random.below(20_000)})`];
    }
    if (table === WIDE && client === 0 && this.#column !== undefined) {
      values.push([`x${this.#column}`, String(random.below(1e6))]);
    }
    return values;
  }

  #plan(name: string, statements: string[], changes: Change[], draft: Draft): Plan {
    const { random } = this.#options;
    // The session says whether the binlog holds the transaction compressed; nobody else knows beforehand.
    const compression = `SET SESSION binlog_transaction_compression = ${random.chance(0.2) ? 'ON' : 'OFF'}`;
    return {
      name,
      statements: [compression, `USE ${SCHEMA}`, ...statements],
      changes,
      overlay: draft.overlay,
      ends: 'commit',
    };
  }
}
