import type { LakeObject } from '../../lake/object-store.ts';
import { STATE_SCHEMA } from '../names.ts';
import type { MergeTarget } from './merge-target.ts';

/** A part of an object that could not be read as events. */
export interface ObjectDamageNote {
  /** The first line, from 1. */
  line: number;
  lines: number;
  why: string;
}

/** What the target knows of an object that was merged. */
interface MergedObject {
  version: string;
  /** Ids of tables whose events in it were not merged. */
  skipped: string[];
  damage: ObjectDamageNote[];
}

const OBJECTS = `${STATE_SCHEMA}.objects`;
const NAMES_PER_STATEMENT = 500;

/**
 * Which objects of the lake were merged, in the target itself: an entry is committed together with the events of its
 * object. Nothing is concluded from names or times, because an object can land after one with a later name.
 */
export class MergedObjects {
  readonly #target: MergeTarget;
  /** As a literal. */
  readonly #lake: string;
  readonly #known: Map<string, MergedObject>;

  private constructor(target: MergeTarget, lake: string, known: Map<string, MergedObject>) {
    this.#target = target;
    this.#lake = target.dialect.literal(lake);
    this.#known = known;
  }

  /** @param lake of which pipeline, and where: several can be merged into one target */
  static async read(target: MergeTarget, lake: string): Promise<MergedObjects> {
    const { textType, literal } = target.dialect;
    await target.query(`CREATE TABLE IF NOT EXISTS ${OBJECTS} (
      lake ${textType} NOT NULL, name ${textType} NOT NULL, version ${textType} NOT NULL, skipped ${textType} NOT NULL, damage ${textType} NOT NULL)`);
    const rows = await target.query(
      `SELECT name, version, skipped, damage FROM ${OBJECTS} WHERE lake = ${literal(lake)}`,
    );
    const known = rows.map(([name, version, skipped, damage]): [string, MergedObject] => [
      String(name),
      { version: String(version), skipped: JSON.parse(String(skipped)), damage: JSON.parse(String(damage)) },
    ]);
    return new MergedObjects(target, lake, new Map(known));
  }

  /** Those of the listed objects that have events to merge: new ones, changed ones, and some of other tables. */
  pending<T extends LakeObject>(listed: readonly T[], wanted: ReadonlySet<string>): T[] {
    return listed.filter(({ name, version }) => {
      const known = this.#known.get(name);
      return known?.version !== version || known.skipped.some((id) => wanted.has(id));
    });
  }

  /**
   * Notes merged objects, in the transaction that merges them. An object that was read again for other tables has those
   * of the first time still.
   */
  async add(read: readonly { object: LakeObject; skipped: string[]; damage: ObjectDamageNote[] }[]): Promise<void> {
    const { literal } = this.#target.dialect;
    const merged = read.map(({ object, skipped, damage }) => {
      const known = this.#known.get(object.name);
      const isSame = known?.version === object.version;
      return { object, skipped: isSame ? skipped.filter((id) => known.skipped.includes(id)) : skipped, damage };
    });
    for (let from = 0; from < merged.length; from += NAMES_PER_STATEMENT) {
      const some = merged.slice(from, from + NAMES_PER_STATEMENT);
      await this.#remove(some.map(({ object }) => object.name));
      const values = some.map(({ object, skipped, damage }) => {
        const fields = [object.name, object.version, JSON.stringify(skipped), JSON.stringify(damage)];
        return `(${this.#lake}, ${fields.map(literal).join(', ')})`;
      });
      await this.#target.query(
        `INSERT INTO ${OBJECTS} (lake, name, version, skipped, damage) VALUES ${values.join(', ')}`,
      );
    }
    for (const { object, ...rest } of merged) this.#known.set(object.name, { version: object.version, ...rest });
  }

  /** Forgets objects that the lake no longer has. */
  async prune(listed: readonly LakeObject[]): Promise<void> {
    const names = new Set(listed.map(({ name }) => name));
    const gone = [...this.#known.keys()].filter((name) => !names.has(name));
    for (let from = 0; from < gone.length; from += NAMES_PER_STATEMENT) {
      await this.#remove(gone.slice(from, from + NAMES_PER_STATEMENT));
    }
    for (const name of gone) this.#known.delete(name);
  }

  /** The damage in the objects that the lake has now. */
  damage(): ({ object: string } & ObjectDamageNote)[] {
    return [...this.#known].flatMap(([object, { damage }]) => damage.map((note) => ({ object, ...note })));
  }

  async #remove(names: readonly string[]): Promise<void> {
    const list = names.map(this.#target.dialect.literal).join(', ');
    await this.#target.query(`DELETE FROM ${OBJECTS} WHERE lake = ${this.#lake} AND name IN (${list})`);
  }
}
