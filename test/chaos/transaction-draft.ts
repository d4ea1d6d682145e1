import type { Random } from '../../src/local/demo/random.ts';
import type { Change } from './expected-changes.ts';
import { Draft, type KeyModel } from './key-model.ts';
import { type ChaosTable, FAT, HIDDEN, keyJson, WIDE, whereKey, XA_ROWS } from './tables.ts';

/** A client that writes. It owns the keys whose number modulo `clients` is its own. */
export interface Writer {
  client: number;
  clients: number;
  random: Random;
  /** The share of the rows of 100 KB whose events exceed a Firehose record. */
  oversize: number;
  model: KeyModel;
  /** The number of the column that exists in WIDE now because of ALTER TABLE. */
  column: number | undefined;
}

/** A transaction under construction: its statements, the changes that they make, and the keys after them. */
export class TransactionDraft {
  readonly keys: Draft;
  readonly statements: string[] = [];
  readonly changes: Change[] = [];
  readonly #writer: Writer;
  readonly #number: number;

  constructor(writer: Writer, number: number) {
    this.#writer = writer;
    this.#number = number;
    this.keys = new Draft(writer.model);
  }

  key(table: ChaosTable): number {
    const { client, clients, random } = this.#writer;
    return client + clients * random.below(table.keysPerClient);
  }

  /** @param phantom whether the change will be rolled back; the mark of its row shows in any event of it */
  write(table: ChaosTable, phantom = false): void {
    this.writeKey(table, this.key(table), phantom);
  }

  /** Inserts the row of a key, or updates, deletes or re-keys it if it exists. */
  writeKey(table: ChaosTable, k: number, phantom: boolean): void {
    const { random } = this.#writer;
    const { name } = table;
    const ph = phantom ? 1 : 0;
    const change = (key: number, version: number, op: Change['op']): void => {
      if (!phantom && table !== HIDDEN) this.#change(table, key, version, op);
    };
    if (this.keys.get(name, k).row === undefined) {
      const version = this.keys.write(name, k);
      const values = this.#values(table);
      const columns = [...table.keyColumns, 'ver', 'tx', 'ph', ...values.map(([column]) => column)];
      const literals = [...table.keyLiterals(k), version, this.#number, ph, ...values.map(([, literal]) => literal)];
      this.statements.push(`INSERT INTO ${name} (${columns.join(', ')}) VALUES (${literals.join(', ')})`);
      return change(k, version, 'c');
    }
    if (random.chance(0.22)) {
      this.statements.push(`DELETE FROM ${name} WHERE ${whereKey(table, k)}`);
      return change(k, this.keys.remove(name, k), 'd');
    }
    const to = random.chance(0.12) && table !== XA_ROWS ? this.key(table) : k;
    if (to !== k && this.keys.get(name, to).row === undefined && table.keyed) {
      change(k, this.keys.remove(name, k), 'd');
      const version = this.keys.write(name, to);
      const key = table.keyColumns.map((column, i) => `${column} = ${table.keyLiterals(to)[i]}`).join(', ');
      const rest = `ver = ${version}, tx = ${this.#number}, ph = ${ph}`;
      this.statements.push(`UPDATE ${name} SET ${key}, ${rest} WHERE ${whereKey(table, k)}`);
      return change(to, version, 'c');
    }
    const version = this.keys.write(name, k);
    const values = this.#values(table).filter(() => random.chance(0.6));
    const sets = [...values.map(([c, v]) => `${c} = ${v}`), `ver = ${version}`, `tx = ${this.#number}`, `ph = ${ph}`];
    this.statements.push(`UPDATE ${name} SET ${sets.join(', ')} WHERE ${whereKey(table, k)}`);
    change(k, version, 'u');
  }

  /** Writes several rows: one statement inserts the absent ones, another changes the present ones. */
  writeRows(table: ChaosTable, ks: readonly number[]): void {
    const present = ks.filter((k) => this.keys.get(table.name, k).row !== undefined);
    const absent = ks.filter((k) => this.keys.get(table.name, k).row === undefined);
    if (absent.length > 0) this.#insertRows(table, absent);
    if (present.length > 0) this.#changeRows(table, present);
  }

  /** Enters the change of a key by a statement that does not name it. Returns the new version. */
  expect(table: ChaosTable, k: number, op: 'c' | 'u' | 'd'): number {
    const version = op === 'd' ? this.keys.remove(table.name, k) : this.keys.write(table.name, k);
    this.#change(table, k, version, op);
    return version;
  }

  #insertRows(table: ChaosTable, ks: readonly number[]): void {
    const rows = ks.map((k) => ({
      k,
      version: this.expect(table, k, 'c'),
      values: table.payload(this.#writer.random),
    }));
    const names = [...table.keyColumns, 'ver', 'tx', 'ph', ...(rows[0]?.values ?? []).map(([name]) => name)];
    const tuples = rows.map(
      ({ version, k, values }) =>
        `(${[...table.keyLiterals(k), version, this.#number, 0, ...values.map(([, literal]) => literal)].join(', ')})`,
    );
    this.statements.push(`INSERT INTO ${table.name} (${names.join(', ')}) VALUES ${tuples.join(', ')}`);
  }

  #changeRows(table: ChaosTable, ks: readonly number[]): void {
    const where = ks.map((k) => `(${whereKey(table, k)})`).join(' OR ');
    const op = this.#writer.random.chance(0.3) ? 'd' : 'u';
    const cases = ks.map((k) => `WHEN ${whereKey(table, k)} THEN ${this.expect(table, k, op)}`);
    this.statements.push(
      op === 'd'
        ? `DELETE FROM ${table.name} WHERE ${where}`
        : `UPDATE ${table.name} SET tx = ${this.#number}, ver = CASE ${cases.join(' ')} END WHERE ${where}`,
    );
  }

  #change(table: ChaosTable, k: number, version: number, op: Change['op']): void {
    this.changes.push({ table: table.name, key: keyJson(table, k), version, op });
  }

  #values(table: ChaosTable): [string, string][] {
    const { random, oversize, client, column } = this.#writer;
    const values = table.payload(random);
    if (table === FAT && oversize > 0 && random.chance(oversize)) {
      values[0] = ['body', `REPEAT('oversize', ${140_000 + random.below(20_000)})`];
    }
    if (table === WIDE && client === 0 && column !== undefined) {
      values.push([`x${column}`, String(random.below(1e6))]);
    }
    return values;
  }
}
