import type { Config } from '../config/schema.ts';
import type { Coordinates } from '../model/coordinates.ts';
import { nextTurn } from '../runtime/abort.ts';
import { CdcError } from '../runtime/error.ts';
import { comparePartition } from './compare/compare-partition.ts';
import type { Suspect } from './compare/suspects.ts';
import type { Follower } from './follower.ts';
import { sourceRecord } from './lake/lake-record.ts';
import type { LakeScan } from './lake/lake-scan.ts';
import { PARTITIONS, type Partitions } from './lake/partitions.ts';
import { hashText, isSampled } from './lake/row-key.ts';
import type { Landing } from './landing.ts';
import { Settlement } from './settlement.ts';
import { seqAtCoordinates } from './source/positions.ts';
import { Reread } from './source/reread.ts';
import { type ComparedTable, keyTextOf, membersOf, type ReadRow, type SourceReader } from './source/source-reader.ts';
import { emptyResult, type TableResult } from './table-result.ts';
import type { Progress, VerifyOptions } from './verify-options.ts';

export interface VerifyContext {
  config: Config;
  tables: readonly ComparedTable[];
  reader: SourceReader;
  scan: LakeScan;
  /** The records of the lake, which `scan` writes. */
  lake: Partitions;
  source: Partitions;
  landing: Landing;
  follower: Follower;
  /** Whether the events of a table go to another stream than that of the lake. */
  isElsewhere: (table: ComparedTable) => boolean;
  binlogEnd: () => Promise<Coordinates>;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

/** Keys that are looked at again together, and about how many bytes their rows may have. They are in memory. */
const SUSPECTS_MAX = 200_000;
const SUSPECT_BYTES_MAX = 128 * 2 ** 20;

/**
 * Compares the tables of the source with the lake, key by key, while both change.
 *
 * 1. What the lake has is read, then the source. A key that is equal in both is done.
 * 2. Each other key is only a suspect: it changed meanwhile, or it differs. Its row is read again between two points of
 *    the stream, `from` and `to`: the SELECT sees everything before the first one, and nothing behind the second.
 * 3. Once everything before `to` is in the lake, the row has to equal what the lake had of the key at some point
 *    between the two: the source had one of these states. If it equals none, it differs.
 */
export class Verification {
  readonly #context: VerifyContext;
  readonly #options: VerifyOptions;
  readonly #results: TableResult[];
  readonly #reread: Reread;
  readonly #settlement: Settlement;

  constructor(context: VerifyContext, options: VerifyOptions) {
    const { tables, reader, landing, onProgress } = context;
    this.#context = context;
    this.#options = options;
    this.#results = tables.map(({ schema, table }) => emptyResult(schema, table));
    this.#reread = new Reread(tables, reader, landing, onProgress);
    this.#settlement = new Settlement({ ...context, results: this.#results, reread: this.#reread }, options);
  }

  /** @returns what was found of each table, in their order */
  async run(): Promise<TableResult[]> {
    const { scan, landing, binlogEnd, signal, onProgress } = this.#context;
    const firstObjects = await scan.update();
    const endSeq = seqAtCoordinates(landing.epoch, await binlogEnd());
    this.#assertOwnLake();
    if (this.#options.since === undefined) await this.#readSource();
    const sides = { ...this.#context, results: this.#results, endSeq, firstObjects };
    const suspects = new Map<string, Suspect>();
    let bytes = 0;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      onProgress({ phase: 'compare', fraction: partition / PARTITIONS });
      bytes += comparePartition(partition, sides, this.#options, suspects);
      // A signal has its turn.
      await nextTurn();
      signal.throwIfAborted();
      const isLast = partition === PARTITIONS - 1;
      if (!isLast && suspects.size < SUSPECTS_MAX && bytes < SUSPECT_BYTES_MAX) continue;
      await this.#settlement.settle(suspects);
      suspects.clear();
      bytes = 0;
    }
    await scan.nameDamage();
    for (const { addedLater } of this.#results) addedLater.sort();
    return this.#results;
  }

  /**
   * Tables that go to another stream, and of which the lake has nothing, are left out.
   * @throws CdcError if nothing in the lake can be read; with exit code 2 if nothing in it is of this pipeline
   */
  #assertOwnLake(): void {
    const { scan, tables, isElsewhere } = this.#context;
    const { foreign, capturedEvents, eventsOf, damage, events } = scan;
    const [first] = damage;
    if (events === 0 && first !== undefined) {
      throw new CdcError('nothing in the lake can be read as events', {
        why: `${first.object}, line ${first.line}: ${first.why}`,
        hint: 'verify reads lines of JSON, plain or gzip; check lake: and the format of the stream',
      });
    }
    const ownEvents = capturedEvents + eventsOf.reduce((sum, events) => sum + events, 0);
    if (ownEvents === 0 && foreign !== undefined) {
      throw new CdcError('the lake is that of another pipeline', {
        exitCode: 2,
        why: `all its events are of others, such as ${foreign}`,
        hint: 'check lake: in the configuration; it names the folder or the prefix of the stream',
      });
    }
    for (const [number, table] of tables.entries()) {
      (this.#results[number] as TableResult).isElsewhere = eventsOf[number] === 0 && isElsewhere(table);
    }
  }

  async #readSource(): Promise<void> {
    const { tables, reader, source, onProgress } = this.#context;
    const { where, sample } = this.#options;
    for (const [number, table] of tables.entries()) {
      const result = this.#results[number] as TableResult;
      if (result.isElsewhere) continue;
      const onRow = ({ key, texts }: ReadRow): void => {
        if (!isSampled(key, sample)) return;
        result.rows++;
        const members = membersOf(table, texts);
        result.rowCharacters += members.length;
        const keyText = Buffer.from(keyTextOf(table, texts));
        source.add(key.charCodeAt(0), sourceRecord(number, key, hashText(members), keyText), keyText);
      };
      const { processed } = this.#reread;
      await reader.scan(table, { where, processed }, onRow, (_rows, _interval, fraction) => {
        const { rows } = result;
        onProgress({ phase: 'source', table: table.name, rows, ...(fraction !== undefined && { fraction }) });
      });
    }
  }
}
