import type { Change } from './expected-changes.ts';
import type { RowsWithoutEvents } from './incomplete-marks.ts';
import type { KeyModel } from './key-model.ts';
import { harmlessDdl, spelledTable, spelledTruncate, statementDml } from './odd-spelling.ts';
import { type Plan, planned, type Session } from './plan.ts';
import type { PlannerOptions } from './planner.ts';
import {
  type ChaosTable,
  createTable,
  keyJson,
  NAMED_IN_DDL,
  NOTES,
  PARTITIONS,
  PARTS,
  PRIVATE,
  partitionDefinition,
  partitionOf,
  REBORN,
  rebornAgain,
  SCHEMA,
  SPARE,
  WIDE,
} from './tables.ts';
import type { TransactionDraft } from './transaction-draft.ts';

/** Statements that are more than their row events: DDL in many spellings, and DML that is logged as it was written. */
export class StatementPlans {
  readonly #options: PlannerOptions;
  readonly #model: KeyModel;
  readonly #draft: () => TransactionDraft;
  /** A partition of PARTS that was dropped and is not there again. */
  #droppedPartition: number | undefined;
  #isReborn = true;
  #isSpareEmpty = true;
  #hasIndex = false;

  constructor(options: PlannerOptions, model: KeyModel, draft: () => TransactionDraft) {
    this.#options = options;
    this.#model = model;
    this.#draft = draft;
  }

  /** The plan that brings back what a former one has dropped. */
  due(): Plan | undefined {
    const { random } = this.#options;
    const dropped = this.#droppedPartition;
    if (dropped !== undefined) {
      const add = `ALTER TABLE ${this.#table(PARTS, false)} ADD PARTITION (${partitionDefinition(dropped)})`;
      const done = (): void => {
        this.#droppedPartition = undefined;
      };
      return { ...this.#plan('add partition', [add], { ansiQuotes: false }), done };
    }
    if (this.#isReborn) return undefined;
    const done = (): void => {
      this.#isReborn = true;
    };
    return { ...this.#plan('create again', [createTable(REBORN.name, rebornAgain(random))]), done };
  }

  truncate(table: ChaosTable): Plan {
    const { random } = this.#options;
    const ansiQuotes = random.chance(0.5);
    return this.#emptying(table, 'truncate', spelledTruncate(table.name, random, ansiQuotes), { ansiQuotes });
  }

  dropTable(): Plan {
    const { random } = this.#options;
    const ansiQuotes = random.chance(0.5);
    const words = random.pick(['DROP TABLE', 'DROP TABLE IF EXISTS', 'drop /* c */ table', '/*!50000 DROP TABLE */']);
    const plan = this.#emptying(REBORN, 'drop table', `${words} ${this.#table(REBORN, ansiQuotes)}`, { ansiQuotes });
    const done = (gtid: string): void => {
      plan.done?.(gtid);
      this.#isReborn = false;
    };
    return { ...plan, done };
  }

  /** The rows of a partition go without an event. */
  changePartition(): Plan {
    const { random } = this.#options;
    const n = random.below(PARTITIONS);
    const ansiQuotes = random.chance(0.5);
    const alter = `ALTER TABLE ${this.#table(PARTS, ansiQuotes)}`;
    const kind = random.pick(['truncate', 'drop', 'exchange'] as const);
    if (kind === 'exchange' && !this.#isSpareEmpty) {
      const done = (): void => {
        this.#isSpareEmpty = true;
      };
      return { ...this.#plan('empty the spare table', [`TRUNCATE TABLE ${SPARE}`]), done };
    }
    const statement = {
      truncate: `${alter} TRUNCATE /* c */ PARTITION p${n}`,
      drop: `${alter} drop partition \`p${n}\``,
      exchange: `${alter} EXCHANGE PARTITION p${n} WITH TABLE ${SPARE}`,
    }[kind];
    const isOfPartition = (k: number): boolean => partitionOf(k) === n;
    return {
      ...this.#plan(`${kind} partition`, [statement], { ansiQuotes }),
      rowsWithoutEvents: this.#gone(PARTS, isOfPartition),
      done: () => {
        this.#model.lose(PARTS.name, isOfPartition);
        if (kind === 'drop') this.#droppedPartition = n;
        if (kind === 'exchange') this.#isSpareEmpty = false;
      },
    };
  }

  /** DML of tables that are not captured, logged as statements. */
  statementDml(): Plan {
    const { random, client, minimalMetadata } = this.#options;
    const dml = statementDml(random, minimalMetadata ? NOTES.lookedUp : NOTES.shownByEvent, client);
    const body = dml.length > 1 || random.chance(0.5) ? ['BEGIN', ...dml, 'COMMIT'] : dml;
    const format = `SET SESSION binlog_format = STATEMENT, transaction_isolation = 'REPEATABLE-READ'`;
    const reset = `SET SESSION binlog_format = ROW, transaction_isolation = 'READ-COMMITTED'`;
    return this.#plan('statement DML', [format, ...body, reset, `USE ${SCHEMA}`], { schema: PRIVATE });
  }

  harmlessDdl(): Plan {
    const { random, client, minimalMetadata } = this.#options;
    const { name } = random.pick(NAMED_IN_DDL);
    // Nothing proves for DML before it that a view was not another one.
    const withViews = !minimalMetadata;
    return this.#plan('harmless DDL', [harmlessDdl(random, name, client, withViews)]);
  }

  /** ALTER TABLE that changes neither columns nor keys. */
  alterIndex(): Plan {
    const change = this.#hasIndex ? 'DROP INDEX by_label' : 'ADD INDEX by_label (label)';
    const done = (): void => {
      this.#hasIndex = !this.#hasIndex;
    };
    return { ...this.#plan('alter index', [`ALTER TABLE ${WIDE.name} ${change}`]), done };
  }

  #emptying({ name }: ChaosTable, plan: string, statement: string, session: Session): Plan {
    const change: Change = { table: name, key: `${plan} ${name}`, version: 0, op: 't' };
    return {
      ...this.#plan(plan, [statement], session),
      changes: [change],
      rowsWithoutEvents: { table: name, effect: 'emptied', gone: [] },
      done: () => this.#model.lose(name),
    };
  }

  #gone(table: ChaosTable, isGone: (k: number) => boolean): RowsWithoutEvents {
    const gone = this.#model
      .rows(table.name)
      .filter(({ k }) => isGone(k))
      .map(({ k, version }) => ({ key: keyJson(table, k), version }));
    return { table: table.name, effect: 'rewritten', gone };
  }

  #table({ name }: ChaosTable, ansiQuotes: boolean): string {
    return spelledTable(name, this.#options.random, ansiQuotes);
  }

  #plan(name: string, statements: string[], session: Session = {}): Plan {
    return planned(this.#options.random, name, statements, this.#draft(), session);
  }
}
