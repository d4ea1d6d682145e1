import { readFileSync, writeFileSync } from 'node:fs';
import type { Connection } from 'mysql2/promise';
import { listObjects } from '../../../src/lake/objects.ts';
import type { Random } from '../../../src/local/demo/random.ts';
import type { SceneTable } from '../backfill/scene.ts';

/** A fault of the copy that verify has to find. */
export interface Plant {
  table: string;
  how: string;
  kind: 'missing' | 'extra' | 'different';
  /** A value of the row that no other row has: its event can be found by it, and the fault in a report by its key. */
  mark: number;
}

/** How the source or the lake is changed behind the back of the stream. */
const WAYS = ['flipped', 'lost event', 'unlogged insert', 'unlogged delete', 'unlogged update'] as const;

/** Rows of the source that writers leave alone: they never sort to the top by `v`. */
export class Plants {
  readonly #connection: Connection;
  readonly #lake: string;
  readonly #random: Random;
  readonly #tables: readonly SceneTable[];
  #next: number;

  /** @param firstKey the number of the first row that is not there, and that no writer makes */
  constructor(connection: Connection, lake: string, random: Random, tables: readonly SceneTable[], firstKey: number) {
    this.#connection = connection;
    this.#lake = lake;
    this.#random = random;
    this.#tables = tables;
    this.#next = firstKey;
  }

  /** Makes the rows that the next plants need, logged. The caller waits until they are in the lake. */
  async prepare(count: number): Promise<(() => Promise<Plant>)[]> {
    const plants: (() => Promise<Plant>)[] = [];
    for (let i = 0; i < count; i++) {
      const table = this.#random.pick(this.#tables);
      const way = this.#random.pick(WAYS);
      const n = this.#next++;
      const mark = -1_000_000 - n;
      if (way !== 'unlogged insert') {
        await this.#connection.query(`INSERT INTO ${table.name} VALUES ${table.row(n, mark + 500_000)}`);
        await this.#connection.query(`UPDATE ${table.name} SET v = ${mark} WHERE ${table.where(n)}`);
      }
      plants.push(() => this.#plant(table, way, n, mark));
    }
    return plants;
  }

  async #plant(table: SceneTable, way: (typeof WAYS)[number], n: number, mark: number): Promise<Plant> {
    const plant = (kind: Plant['kind']): Plant => ({ table: table.name, how: way, kind, mark });
    switch (way) {
      case 'flipped':
        await this.#edit(table.name, mark, (line) => line.replace(`"v":${mark}`, `"v":${mark - 1}`));
        return plant('different');
      case 'lost event':
        await this.#edit(table.name, mark, () => undefined);
        return plant('different');
      case 'unlogged insert':
        await this.#unlogged(`INSERT INTO ${table.name} VALUES ${table.row(n, mark)}`);
        return plant('missing');
      case 'unlogged delete':
        await this.#unlogged(`DELETE FROM ${table.name} WHERE ${table.where(n)}`);
        return plant('extra');
      case 'unlogged update':
        await this.#unlogged(`UPDATE ${table.name} SET v = v - 7 WHERE ${table.where(n)}`);
        return plant('different');
    }
  }

  /** A change that no event reports. */
  async #unlogged(sql: string): Promise<void> {
    await this.#connection.query('SET SESSION sql_log_bin = 0');
    await this.#connection.query(sql);
    await this.#connection.query('SET SESSION sql_log_bin = 1');
  }

  async #edit(table: string, mark: number, change: (line: string) => string | undefined): Promise<void> {
    let edited = 0;
    for (const { path } of await listObjects(this.#lake, '')) {
      const lines = readFileSync(path, 'utf8').split('\n');
      const changed = lines.flatMap((line) => {
        if (
          !new RegExp(`"v":${mark}\\b`).test(afterOf(line)) ||
          !line.includes(`"table":"${table}"`.replace('"table"', line.includes('"_table"') ? '"_table"' : '"table"'))
        )
          return [line];
        edited++;
        return change(line) ?? [];
      });
      if (changed.join('\n') !== lines.join('\n')) writeFileSync(path, changed.join('\n'));
    }
    if (edited === 0) throw new Error(`no event of ${table} has v = ${mark}`);
  }
}

/** The line without the row before the change. */
const afterOf = (line: string): string =>
  line.replace(/"before":\{.*?\},"after"/, '"after"').replace(/"old":\{.*?\}/, '');
