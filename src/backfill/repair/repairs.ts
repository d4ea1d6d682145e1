import { ByteWriter } from '../../codec/bytes/byte-writer.ts';
import type { ChunkWindow, TableWatches } from '../../model/chunk-window.ts';
import type { Coordinates } from '../../model/coordinates.ts';
import { formatTableName, type TableFilter } from '../../model/table-filter.ts';
import { abortable, sleepUnlessAborted } from '../../runtime/abort.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import type { Log } from '../../runtime/log.ts';
import type { RepairRequest, RepairResult } from '../control.ts';
import {
  GATE_POLL_MS,
  REPAIR_KEYS_MAX_BYTES,
  REPAIR_KEYS_PER_PAUSE,
  REPAIR_ROWS_MAX_BYTES,
  REPAIR_TRIES,
  WAITING_BYTES_MAX,
} from '../limits.ts';
import { assertSameBinlog, reachWatermark } from '../merge/reach-watermark.ts';
import type { CreateTableOutput, TableOutput } from '../merge/table-output.ts';
import type { FoundRows, KeyLookup } from '../read/key-lookup.ts';
import { type KeyValues, keyPredicate, whyNoPredicate } from '../read/key-predicate.ts';
import type { Processed } from '../read/row-chunk.ts';
import type { SnapshotConnection } from '../read/snapshot-connection.ts';
import { type KeyMergeTools, type MergedKeys, mergeKeys, ordinalsOf } from './merge-keys.ts';

/** The wait after a read that failed for the first time. */
const RETRY_MS = 100;

export interface RepairsOptions extends KeyMergeTools {
  watches: TableWatches;
  createOutput: CreateTableOutput;
  /** How the values of keys are written. */
  values: KeyValues;
  isHashed(schema: string, table: string, column: string): boolean;
  isCaptured: TableFilter;
  openConnection(): Promise<SnapshotConnection>;
  /** The end of the binlog when the pipeline began. */
  binlogEnd: Coordinates;
  /** Stops the stream between two events. Returns the function that lets it go on. */
  pauseStream(): () => void;
  /** Saves the checkpoint soon, which reserves ordinals. */
  onProgress(): void;
  log: Log;
  signal: AbortSignal;
}

/** The table of a repair as it is now. */
interface RepairTable {
  lookup: KeyLookup;
  output: TableOutput;
}

/** A point between two transactions: its window is open, and the stream is paused there if `resume` is set. */
interface Opened {
  window: ChunkWindow;
  processed: Processed;
  resume: (() => void) | undefined;
}

/**
 * Sends rows again whose keys differ in the lake. It merges them as a backfill merges a chunk: a window, a SELECT that
 * sees what the stream had processed, and a watermark that the stream reaches before the rows are written. A key whose
 * row the SELECT does not find, and the window has not recorded, has no row at that point, so a `d` says so.
 *
 * One repair runs at a time. The checkpoint keeps nothing of it: after a crash, its events are true where they are.
 */
export class Repairs {
  readonly #options: RepairsOptions;
  readonly #out = new ByteWriter();
  /** Settles with the last repair that was asked for. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: RepairsOptions) {
    this.#options = options;
  }

  /**
   * Resolves once everything that was sent is delivered.
   * @throws CdcError: with exit code 2 if the table has no such keys; no key is in it
   */
  repair(request: RepairRequest): Promise<RepairResult> {
    const run = this.#last.then(() => this.#run(request));
    this.#last = run.catch(() => {});
    return run;
  }

  /** Resolves when no repair runs any more, after the signal has aborted. */
  async stopped(): Promise<void> {
    await this.#last;
  }

  async #run(request: RepairRequest): Promise<RepairResult> {
    const { signal, isCaptured, log } = this.#options;
    const name = formatTableName(request.schema, request.table);
    if (!isCaptured(request.schema, request.table)) throw notCaptured(name);
    try {
      signal.throwIfAborted();
      const result = await this.#repair(request, name);
      log.info({ table: name, ...result }, 'repair: rows were sent again');
      return result;
    } catch (error) {
      if (signal.aborted) throw stoppedError();
      throw error;
    }
  }

  async #repair(request: RepairRequest, name: string): Promise<RepairResult> {
    const { merge, delivery, binlogEnd, openConnection, signal } = this.#options;
    // A `t` of an earlier run must not lie behind what a window records, as for a chunk of a backfill.
    await merge.reached({ coordinates: binlogEnd });
    const total = { sent: 0, deleted: 0 };
    const all = [...new Set(request.keys)];
    let keys = all;
    const connection = await openConnection();
    try {
      for (let tries = 1; tries <= REPAIR_TRIES && keys.length > 0; tries++) {
        keys = await this.#try(connection, { ...request, keys }, tries, total);
      }
    } finally {
      await connection.close();
    }
    const delivered = new Promise<void>((resolve, reject) => {
      merge.atBoundary(() => delivery.commitSnapshot(resolve)).catch(reject);
    });
    await abortable(delivered, signal);
    if (keys.length > 0) this.#options.log.warn({ table: name, left: keys.length }, 'repair: rows change all the time');
    return { ...total, left: all.length - total.sent - total.deleted };
  }

  /** Reads and merges all keys once, part by part. Returns those that have to be read again. */
  async #try(
    connection: SnapshotConnection,
    request: RepairRequest,
    tries: number,
    total: { sent: number; deleted: number },
  ): Promise<string[]> {
    const isLast = tries === REPAIR_TRIES;
    const again: string[] = [];
    let rest = request.keys;
    let size = isLast ? REPAIR_KEYS_PER_PAUSE : rest.length;
    while (rest.length > 0) {
      const keys = firstKeys(rest, size);
      const startedAt = performance.now();
      const merged = await this.#mergePart(connection, { ...request, keys }, isLast).catch(async (cause) => {
        const error = asCdcError(cause);
        if (error.kind !== 'retry' || isLast) throw error;
        this.#options.log.info({ why: error.why }, `repair: ${error.message}`);
        await sleepUnlessAborted(tries * RETRY_MS, this.#options.signal);
        return { sent: 0, deleted: 0, again: keys };
      });
      if (merged === 'too large') {
        size = Math.max(1, keys.length >> 1);
        continue;
      }
      total.sent += merged.sent;
      total.deleted += merged.deleted;
      again.push(...merged.again);
      rest = rest.slice(keys.length);
      // A paused stream has its turn for as long.
      if (isLast) await sleepUnlessAborted(Math.ceil(performance.now() - startedAt), this.#options.signal);
    }
    return again;
  }

  async #mergePart(
    connection: SnapshotConnection,
    { schema, table, keys }: RepairRequest,
    isPaused: boolean,
  ): Promise<MergedKeys | 'too large'> {
    const { merge, watches, pauseStream, signal } = this.#options;
    await this.#hasRoom(2 * keys.length);
    const watch = watches.of(schema, table);
    const { window, processed, resume } = await merge.atBoundary(
      (): Opened => ({
        window: watch.open(),
        processed: merge.processed(),
        resume: isPaused ? pauseStream() : undefined,
      }),
    );
    try {
      // A statement is in the binlog before it is visible: what the stream has had of it is waited for.
      await connection.waitUntilVisible(processed);
      const { lookup, output } = await this.#open(connection, schema, table);
      const { sql } = predicateOf(lookup, keys, this.#options.values);
      const found = await lookup.read(sql, processed, REPAIR_ROWS_MAX_BYTES);
      if (found === undefined && keys.length === 1) throw sharedKey(formatTableName(schema, table));
      if (found === undefined) return 'too large';
      const read = { found, readAt: Date.now(), window };
      assertSameBinlog(found.high, processed);
      if (isPaused) {
        // What is read has everything that the stream has processed. What it has beyond that follows in the stream.
        await this.#isUnchanged(connection, lookup);
        signal.throwIfAborted();
      } else await reachWatermark(this.#options, found.high);
      return await this.#mergeAtBoundary(output, keys, read);
    } finally {
      watch.close(window);
      resume?.();
    }
  }

  async #mergeAtBoundary(
    output: TableOutput,
    keys: string[],
    read: { found: FoundRows; readAt: number; window: ChunkWindow },
  ): Promise<MergedKeys> {
    const { merge, ordinals } = this.#options;
    const needed = ordinalsOf(keys, read.found);
    for (;;) {
      await this.#hasRoom(needed);
      const merged = await merge.atBoundary(() => {
        // A table that was emptied need not be empty in the lake: `truncate: skip`.
        if (read.window.invalid !== undefined || read.window.isEmptied) return { sent: 0, deleted: 0, again: keys };
        return ordinals.available < needed ? undefined : mergeKeys(this.#options, output, keys, read);
      });
      if (merged !== undefined) return merged;
    }
  }

  async #hasRoom(events: number): Promise<void> {
    const { ordinals, delivery, onProgress, signal } = this.#options;
    while (ordinals.available < events || delivery.bufferedBytes > WAITING_BYTES_MAX) {
      if (ordinals.available < events) onProgress();
      await sleepUnlessAborted(GATE_POLL_MS, signal);
    }
  }

  /** @throws CdcError if its rows cannot be looked up by the keys of its events */
  async #open(connection: SnapshotConnection, schema: string, table: string): Promise<RepairTable> {
    const { createOutput, isHashed, values } = this.#options;
    const name = formatTableName(schema, table);
    const declared = await connection.describe(schema, table);
    if (declared === undefined) throw missingTable(name);
    const hasRule = (column: string): boolean => isHashed(schema, table, column);
    // A view has no columns here, and is refused.
    const output = declared.kind === 'table' ? createOutput(declared, this.#out) : undefined;
    const lookup = await connection.lookUp(declared, output?.writer.table.key ?? [], hasRule);
    if (output === undefined || lookup.key.length === 0) throw keylessTable(name);
    const why = whyNoPredicate(lookup.key, values);
    if (why !== undefined) throw noLookup(name, why);
    return { lookup, output };
  }

  /** While the stream is paused, no window hears of a statement that has changed the columns. */
  async #isUnchanged(connection: SnapshotConnection, { table }: KeyLookup): Promise<void> {
    const now = await connection.describe(table.schema, table.name);
    if (now?.signature === table.signature) return;
    throw new CdcError(`${formatTableName(table.schema, table.name)} was altered while its rows were read`, {
      kind: 'retry',
      hint: 'send the keys again',
    });
  }
}

/** As many keys as one condition can have. */
function firstKeys(keys: readonly string[], count: number): string[] {
  const first: string[] = [];
  let bytes = 0;
  for (const key of keys.slice(0, count)) {
    bytes += Buffer.byteLength(key);
    if (first.length > 0 && bytes > REPAIR_KEYS_MAX_BYTES) break;
    first.push(key);
  }
  return first;
}

function predicateOf({ table, key }: KeyLookup, keys: readonly string[], values: KeyValues): { sql: string } {
  const predicate = keyPredicate(key, keys, values);
  if (predicate !== undefined) return predicate;
  const name = formatTableName(table.schema, table.name);
  const wrong = keys.filter((one) => keyPredicate(key, [one], values) === undefined).length;
  throw new CdcError(`${wrong} of ${keys.length} keys cannot be looked up in ${name}`, {
    exitCode: 2,
    why: `an event of the table has no such key of ${key.map((column) => column.name).join(', ')} now`,
    hint: `send each key as it is in the lake; copy the table again (cdc backfill ${name}) if its key or the options in \`values\` are others now`,
  });
}

const notCaptured = (name: string): CdcError =>
  new CdcError(`${name} is outside tables of the configuration`, {
    exitCode: 2,
    hint: `add "${name}" to tables, and restart cdc run`,
  });

const missingTable = (name: string): CdcError =>
  new CdcError(`${name} does not exist`, {
    exitCode: 2,
    why: 'it was dropped or renamed, or the account cannot see it',
    hint: 'a DROP TABLE is an event of its own; GRANT SELECT on the table if it is there',
  });

const keylessTable = (name: string): CdcError =>
  new CdcError(`the events of ${name} have no key`, {
    exitCode: 2,
    why: 'the table has no primary key and no unique key of NOT NULL columns, and `keys` does not name it',
    hint: `copy the table again (cdc backfill ${name})`,
  });

const noLookup = (name: string, why: string): CdcError =>
  new CdcError(`rows of ${name} cannot be looked up by the keys of their events`, {
    exitCode: 2,
    why,
    hint: `copy the table again (cdc backfill ${name})`,
  });

const sharedKey = (name: string): CdcError =>
  new CdcError(`many rows of ${name} have one key`, {
    exitCode: 2,
    why: 'the columns that `keys` names for it do not identify a row',
    hint: 'name columns in `keys` that do',
  });

const stoppedError = (): CdcError =>
  new CdcError('the pipeline ended before the repair did', {
    kind: 'retry',
    hint: 'send the keys again: what was sent of them is right where it is',
  });
