import { isUtf8 } from 'node:buffer';
import type { Config } from '../../config/schema.ts';
import { EventScanner, Op } from '../../lake/event-scanner.ts';
import { spanEquals } from '../../lake/json-scan.ts';
import { ObjectDamage } from '../../lake/object-lines.ts';
import type { LakeObject, LakeStore } from '../../lake/object-store.ts';
import { readAhead } from '../../lake/read-ahead.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { STATE_SCHEMA, type TableNames, tableId } from '../names.ts';
import { type MergeStep, mergeSteps } from '../statements/merge-statements.ts';
import type { LandedTable } from '../tables/landed-table.ts';
import { BatchWriter, tablePrefix } from './batch-writer.ts';
import { BATCH, type MergeTarget } from './merge-target.ts';
import { MergedObjects, type ObjectDamageNote } from './merged-objects.ts';

export interface MergeRunOptions {
  store: LakeStore;
  target: MergeTarget;
  config: Pick<Config, 'name' | 'flat_prefix' | 'values'> & { format: 'debezium' | 'flat' };
  tables: ReadonlyMap<LandedTable, TableNames>;
  /** A transaction has about so many bytes of events. Each one reads the keys of the tables once. */
  batchBytes: number;
  signal: AbortSignal;
  onProgress?: (progress: MergeProgress) => void;
}

export interface MergeProgress {
  /** Of the bytes that were not merged at the start. */
  fraction: number;
  objects: number;
  events: number;
}

export interface MergeResult {
  tables: { name: string; events: number }[];
  objects: number;
  /** All damage of the lake, that of objects which were merged before included. */
  damage: ({ object: string } & ObjectDamageNote)[];
}

const LINE_END = 0x0a;
const DAMAGE_PER_OBJECT_MAX = 100;

/** A table in the events of the lake: one of those that are merged, or one that another run can want. */
interface SeenTable {
  id: string;
  prefix: Buffer | undefined;
  steps: MergeStep[];
  events: number;
  /** Whether the target has columns of its rows that came without the others. */
  hasCells: boolean;
  cells: string;
}

/** What becomes one transaction. */
class MergeBatch {
  readonly tables = new Set<SeenTable>();
  readonly objects: { object: LakeObject; skipped: string[]; damage: ObjectDamageNote[] }[] = [];
  /** Of the lines that the target has. */
  bytes = 0;
  hasTruncate = false;
  hasPartial = false;
}

/** Merges the objects of a lake that the target does not have yet, in transactions of whole objects where they fit. */
export class MergeRun {
  readonly #options: MergeRunOptions;
  readonly #scanner: EventScanner;
  readonly #writer: BatchWriter;
  readonly #merged: MergedObjects;
  readonly #tables = new Map<string, SeenTable>();
  readonly #pipelineName: Buffer;
  /** By the names as they are written, with their quotes. */
  readonly #byNames = new Map<string, SeenTable>();
  /** The names of the last event as they are written, and its table. */
  #schema: Buffer = Buffer.alloc(0);
  #name: Buffer = Buffer.alloc(0);
  #table: SeenTable | undefined;
  #batch = new MergeBatch();
  /** The batch before, whose statements run. */
  #merging: Promise<void> = Promise.resolve();
  #isInTransaction = false;
  #events = 0;

  private constructor(options: MergeRunOptions, merged: MergedObjects) {
    const { config, tables, target } = options;
    this.#options = options;
    this.#merged = merged;
    this.#scanner = new EventScanner(config.format, config.flat_prefix);
    this.#writer = new BatchWriter(config.format);
    this.#pipelineName = Buffer.from(JSON.stringify(config.name));
    for (const [table, names] of tables) {
      const { dialect, position } = target;
      const source = {
        dialect,
        format: config.format,
        values: config.values,
        batch: BATCH,
        ...(position && { position }),
      };
      this.#tables.set(tableId(table), {
        id: tableId(table),
        prefix: tablePrefix(table.schema, table.table),
        steps: mergeSteps(table, names, source),
        events: 0,
        hasCells: false,
        cells: `${STATE_SCHEMA}.${target.dialect.quote(names.cells)}`,
      });
    }
  }

  /** @throws CdcError if the lake or the target fails; what was committed before stays, and a later run continues */
  static async run(options: MergeRunOptions): Promise<MergeResult> {
    const { config, store, target } = options;
    const merged = await MergedObjects.read(target, `${config.name} ${store.location}`);
    return await new MergeRun(options, merged).#run();
  }

  async #run(): Promise<MergeResult> {
    const { store, target, tables, batchBytes, signal, onProgress } = this.#options;
    for (const table of this.#tables.values()) {
      table.hasCells = (await target.query(`SELECT 1 FROM ${table.cells} LIMIT 1`)).length > 0;
    }
    const listed = await store.list(signal);
    const pending = this.#merged.pending(listed, new Set([...tables.keys()].map(tableId)));
    const total = pending.reduce((sum, { bytes }) => sum + bytes, 0);
    let bytes = 0;
    let objects = 0;
    try {
      for await (const { object, lines } of readAhead(store, pending, signal)) {
        signal.throwIfAborted();
        await this.#readObject(object, lines);
        bytes += object.bytes;
        onProgress?.({ fraction: total === 0 ? 1 : bytes / total, objects: ++objects, events: this.#events });
        if (this.#batch.bytes >= batchBytes) await this.#endBatch();
      }
      await this.#endBatch();
      await this.#merging;
    } catch (error) {
      await this.#merging.catch(() => {});
      if (this.#isInTransaction) await target.query('ROLLBACK').catch(() => {});
      throw error;
    }
    await this.#merged.prune(listed);
    const counted = [...tables.keys()].map((table) => ({
      name: formatTableName(table.schema, table.table),
      events: this.#tables.get(tableId(table))?.events ?? 0,
    }));
    return { tables: counted, objects, damage: this.#merged.damage() };
  }

  async #readObject(object: LakeObject, lines: AsyncIterable<{ bytes: Buffer; firstLine: number }>): Promise<void> {
    const skipped = new Set<string>();
    const damage: ObjectDamageNote[] = [];
    const note = (line: number, why: string): void => {
      const known = damage.find((one) => one.why === why);
      if (known !== undefined) known.lines++;
      else if (damage.length < DAMAGE_PER_OBJECT_MAX) damage.push({ line, lines: 1, why });
    };
    try {
      for await (const { bytes, firstLine } of lines) {
        const isText = isUtf8(bytes);
        let line = firstLine;
        for (let from = 0; from < bytes.length; line++) {
          const end = bytes.indexOf(LINE_END, from);
          const to = end < 0 ? bytes.length : end;
          const why =
            isText || isUtf8(bytes.subarray(from, to)) ? this.#addLine(bytes, from, to, skipped) : 'it is not UTF-8';
          if (why !== undefined) note(line, why);
          from = to + 1;
          if (this.#writer.isFull) await this.#flush();
        }
        // An object that is larger than a batch is merged in several; it counts with the last one.
        if (this.#batch.bytes >= 2 * this.#options.batchBytes) await this.#endBatch();
      }
    } catch (error) {
      if (!(error instanceof ObjectDamage)) throw error;
      // It is not the object that was listed: the next run reads what is there then.
      if (error.kind !== 'damaged') return;
      note(error.line, error.why);
    }
    this.#batch.objects.push({ object, skipped: [...skipped], damage });
  }

  /** Returns why the line is no event of this lake; undefined if it is one. */
  #addLine(bytes: Buffer, from: number, to: number, skipped: Set<string>): string | undefined {
    const scanner = this.#scanner;
    const why = scanner.scan(bytes, from, to);
    if (why !== undefined) return why;
    const { pipelineFrom, pipelineTo } = scanner;
    if (pipelineTo > 0 && !spanEquals(bytes, pipelineFrom, pipelineTo, this.#pipelineName)) {
      return 'it is an event of another pipeline';
    }
    const table = this.#tableOf(bytes);
    if (table.prefix === undefined) {
      skipped.add(table.id);
      return undefined;
    }
    if (scanner.op === Op.gone && scanner.keyTo === 0) return 'it deletes a row and has no key';
    this.#writer.add(table.prefix, bytes, from, to, scanner);
    table.events++;
    this.#batch.tables.add(table);
    this.#events++;
    if (scanner.op === Op.emptied) this.#batch.hasTruncate = true;
    if (scanner.partial && scanner.isUpdate) this.#batch.hasPartial = true;
    return undefined;
  }

  /** The table of the event, merged or not: another run can want it. */
  #tableOf(bytes: Buffer): SeenTable {
    const { schemaFrom, schemaTo, tableFrom, tableTo } = this.#scanner;
    if (spanEquals(bytes, schemaFrom, schemaTo, this.#schema) && spanEquals(bytes, tableFrom, tableTo, this.#name)) {
      return this.#table as SeenTable;
    }
    this.#schema = Buffer.from(bytes.subarray(schemaFrom, schemaTo));
    this.#name = Buffer.from(bytes.subarray(tableFrom, tableTo));
    const [schema, table] = [this.#schema.toString(), this.#name.toString()];
    const names = `${schema}${table}`;
    const found = this.#byNames.get(names) ?? this.#find(JSON.parse(schema), JSON.parse(table));
    this.#byNames.set(names, found);
    this.#table = found;
    return found;
  }

  #find(schema: string, table: string): SeenTable {
    const id = tableId({ schema, table });
    if (!this.#tables.has(id)) {
      this.#tables.set(id, { id, prefix: undefined, steps: [], events: 0, hasCells: false, cells: '' });
    }
    return this.#tables.get(id) as SeenTable;
  }

  async #flush(): Promise<void> {
    const lines = this.#writer.take();
    if (lines.length === 0) return;
    const { target } = this.#options;
    if (this.#batch.bytes === 0) {
      if (!target.isFilledApart) {
        await this.#merging;
        await this.#begin();
      }
      await target.openBatch();
    }
    this.#batch.bytes += lines.length;
    await target.append(lines);
  }

  /** Merges the batch while the next one is read, if the target can fill that meanwhile. */
  async #endBatch(): Promise<void> {
    await this.#flush();
    const batch = this.#batch;
    if (batch.bytes === 0 && batch.objects.length === 0) return;
    const load = batch.bytes === 0 ? undefined : await this.#options.target.closeBatch();
    await this.#merging;
    this.#batch = new MergeBatch();
    this.#merging = this.#merge(batch, load);
    // It can fail before anybody waits for it.
    this.#merging.catch(() => {});
  }

  async #merge(batch: MergeBatch, load: (() => Promise<void>) | undefined): Promise<void> {
    const { target, signal } = this.#options;
    if (!this.#isInTransaction) await this.#begin();
    await load?.();
    for (const table of batch.tables) {
      table.hasCells ||= batch.hasPartial;
      for (const step of table.steps) {
        signal.throwIfAborted();
        if (isNeeded(step, table, batch)) for (const sql of step.sql) await target.query(sql);
      }
    }
    await this.#merged.add(batch.objects);
    await target.query('COMMIT');
    this.#isInTransaction = false;
  }

  async #begin(): Promise<void> {
    await this.#options.target.query('BEGIN');
    this.#isInTransaction = true;
  }
}

/** Kept columns must be put into a row again whenever the row is replaced. */
function isNeeded({ onlyFor }: MergeStep, { hasCells }: SeenTable, { hasPartial, hasTruncate }: MergeBatch): boolean {
  if (onlyFor === 'truncate') return hasTruncate;
  return onlyFor === undefined || hasPartial || hasCells;
}
