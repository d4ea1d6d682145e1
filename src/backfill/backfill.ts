import type { Config } from '../config/schema.ts';
import type { Delivery } from '../delivery/delivery.ts';
import { type BackfillProgress, NO_BACKFILL } from '../model/backfill-progress.ts';
import type { TableWatches } from '../model/chunk-window.ts';
import type { Coordinates } from '../model/coordinates.ts';
import type { Coverage } from '../model/coverage.ts';
import { COPY_BEGUN } from '../model/incomplete-tables.ts';
import { compileTableFilter, type TableFilter } from '../model/table-filter.ts';
import { asCdcError, CdcError } from '../runtime/error.ts';
import type { Log } from '../runtime/log.ts';
import type { BackfillControl, BackfillRequest, BackfillStatus, StartedBackfill, TableStatus } from './control.ts';
import { FINISHED_TABLES_MAX, REPLICA_LAG_POLL_MS } from './limits.ts';
import type { MergePoint } from './merge/merge-point.ts';
import type { Ordinals } from './merge/ordinals.ts';
import { ReadingGate } from './merge/reading-gate.ts';
import type { CreateTableOutput } from './merge/table-output.ts';
import type { SnapshotConnection } from './read/snapshot-connection.ts';
import { type RangeJob, TableJob } from './work/table-job.ts';
import { BackfillWorker, type ChunkEnd, type Work, type WorkerContext } from './work/worker.ts';

/** A table to read, and about how many rows it has. */
export interface RequestedTable {
  schema: string;
  table: string;
  estimatedRows: number;
}

export interface BackfillOptions {
  config: Config['backfill'];
  saved: BackfillProgress;
  /** The status of tables that are finished; a pipeline that is started again shows them too. */
  finished: TableStatus[];
  coverage: Coverage;
  delivery: Delivery;
  merge: MergePoint;
  watches: TableWatches;
  ordinals: Ordinals;
  createOutput: CreateTableOutput;
  /** Whether TRUNCATE is an event (`truncate: event`). */
  sendsTruncates: boolean;
  log: Log;
  signal: AbortSignal;
  isCaptured: TableFilter;
  /** How the server compares names. */
  caseSensitive: boolean;
  openConnection(): Promise<SnapshotConnection>;
  /** The end of the binlog when the pipeline began. */
  binlogEnd: Coordinates;
  /** The tables that a request names. @throws CdcError that names every table that cannot be read */
  resolveTables(request: BackfillRequest, ifNone?: 'may be empty'): Promise<RequestedTable[]>;
  pauseStream(): () => void;
  /** The lag of the replica that is read, in seconds; undefined if it cannot be seen, or if the source is read. */
  readReplicaLag?: () => Promise<number | undefined>;
  /** Resolves once a checkpoint is durable that has what is known now. */
  saveCheckpoint(): Promise<void>;
  /** Something that the checkpoint keeps has changed. */
  onProgress(): void;
}

/**
 * The backfill of one pipeline: which tables are read, in which order, by how many workers, and what of them is
 * delivered. Chunks count once they are delivered; what the checkpoint keeps of them is `progress`.
 */
export class Backfill implements BackfillControl {
  readonly #options: BackfillOptions;
  readonly #gate: ReadingGate;
  readonly #context: WorkerContext;
  /** Tables that are queued or being read. */
  #jobs: TableJob[];
  readonly #finished: TableStatus[];
  readonly #workers = new Set<Promise<void>>();
  #parallel: number;
  /** What requests have set instead of the configuration, while there is work. */
  #requested: Pick<BackfillProgress, 'parallel' | 'rate' | 'maxLagMs'>;
  #caughtUp: Promise<void> | undefined;
  #replicaTimer: NodeJS.Timeout | undefined;

  constructor(options: BackfillOptions) {
    const { config, saved, delivery, merge, signal } = options;
    this.#options = options;
    this.#finished = options.finished;
    this.#requested = saved;
    this.#parallel = saved.parallel ?? config.parallel;
    this.#gate = new ReadingGate(delivery, merge, {
      isPaused: saved.paused,
      maxLagMs: saved.maxLagMs ?? config.max_lag,
      rate: saved.rate ?? config.rate,
      signal,
    });
    this.#jobs = saved.tables.map((progress) => new TableJob(progress, options.sendsTruncates));
    this.#context = {
      ...options,
      gate: this.#gate,
      chunkTimeMs: config.chunk_time,
      caughtUp: () => (this.#caughtUp ??= merge.reached({ coordinates: options.binlogEnd })),
      take: () => this.#take(),
      delivered: (job, generation, range, end) => this.#delivered(job, generation, range, end),
      begins: (job) => this.#begins(job),
      begun: (job, generation) => this.#begun(job, generation),
      failed: (job, error) => this.#finish(job, 'failed', error),
    };
  }

  /** What the checkpoint keeps. */
  get progress(): BackfillProgress {
    const { parallel, rate, maxLagMs } = this.#jobs.length > 0 ? this.#requested : NO_BACKFILL;
    return {
      ...{ paused: this.#gate.isPaused, parallel, rate, maxLagMs },
      ordinals: this.#options.ordinals.reservation,
      tables: this.#jobs.map((job) => job.progress),
    };
  }

  /** Whether nothing is left to read. */
  get isDone(): boolean {
    return this.#jobs.length === 0;
  }

  /** Continues with what the checkpoint says. The stream must be followed from here on. */
  run(): void {
    // Changes of what was read of them are not followed any more, so reading the rest would not make a copy.
    for (const job of this.#jobs) {
      if (!this.#options.isCaptured(job.schema, job.table)) this.#finish(job, 'failed', notCaptured(job));
    }
    if (this.#jobs.length > 0) {
      this.#options.log.info({ tables: this.#jobs.length, paused: this.#gate.isPaused }, 'backfill: continuing');
    }
    this.#startWorkers();
  }

  /** Resolves when all workers have ended, after the signal has aborted. */
  async stopped(): Promise<void> {
    await Promise.all(this.#workers);
  }

  status(): BackfillStatus {
    const { isPaused, heldBackBy, rate } = this.#gate;
    return {
      state: this.#jobs.length === 0 ? 'idle' : isPaused ? 'paused' : 'running',
      waitingFor: this.#jobs.length === 0 ? null : (heldBackBy ?? null),
      parallel: this.#parallel,
      rate: rate ?? null,
      tables: [...this.#finished, ...this.#jobs.map((job) => job.status)],
    };
  }

  /** @param ifNone whether a source without a captured table is no error */
  async start(request: BackfillRequest, ifNone?: 'may be empty'): Promise<StartedBackfill> {
    const { config, log, resolveTables, onProgress, saveCheckpoint } = this.#options;
    const tables = await resolveTables(request, ifNone);
    const id = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
    // What a running backfill was limited to stays, unless this request says otherwise.
    const kept = this.#jobs.length > 0 ? this.#requested : NO_BACKFILL;
    const parallel = request.parallel ?? kept.parallel;
    const rate = request.rate ?? kept.rate;
    const maxLagMs = request.maxLagMs ?? kept.maxLagMs;
    this.#requested = { parallel, rate, maxLagMs };
    this.#parallel = parallel ?? config.parallel;
    this.#gate.rate = rate ?? config.rate;
    this.#gate.maxLagMs = maxLagMs ?? config.max_lag;
    for (const { schema, table, estimatedRows } of tables) {
      const running = this.#jobs.find(
        (job) => job.schema === schema && job.table === table && (job.where ?? '') === (request.where ?? ''),
      );
      // It attaches to a table that is being read.
      if (running !== undefined) running.request += ` ${id}`;
      else {
        const begun = !this.#replaces(schema, table, request.where);
        this.#jobs.push(
          TableJob.of(
            { schema, table, estimatedRows },
            { request: id, where: request.where, begun },
            this.#options.sendsTruncates,
          ),
        );
      }
    }
    log.info({ tables: tables.length, parallel: this.#parallel, rate: this.#gate.rate }, 'backfill: requested');
    onProgress();
    this.#startWorkers();
    // A request that was accepted survives a crash.
    await saveCheckpoint();
    return { request: id, tables: tables.map(({ schema, table }) => ({ schema, table })) };
  }

  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
    this.#startWorkers();
  }

  /** @throws CdcError that names a table that is not in work; nothing is cancelled then */
  cancel(tables?: string[]): void {
    const { caseSensitive } = this.#options;
    const named = tables?.map((name) => {
      const isNamed = compileTableFilter([name], { caseSensitive });
      const jobs = this.#jobs.filter(({ schema, table }) => isNamed(schema, table));
      if (jobs.length === 0) throw notInWork(name);
      return jobs;
    });
    for (const job of named?.flat() ?? [...this.#jobs]) this.#finish(job, 'cancelled');
    if (this.#jobs.length === 0) this.#gate.isPaused = false;
    this.#options.onProgress();
  }

  /** A statement changed rows of the table, or of all tables of the schema, without row events. */
  rewritten(schema: string, table: string): void {
    for (const job of this.#jobs) {
      if (job.schema === schema && (table === '*' || job.table === table)) job.restart();
    }
    // All workers have ended if only the delivery of the last chunk was awaited.
    this.#startWorkers();
  }

  /** An event says that the table has no rows any more, or begins here: later rows are in the stream. */
  emptied(schema: string, table: string): void {
    for (const job of [...this.#jobs]) {
      if (job.schema === schema && job.table === table) this.#finish(job, 'done');
    }
  }

  /**
   * Whether the copy of a table replaces what was sent of it: if rows can be gone from it without an event for them, an
   * event empties it first.
   */
  #replaces(schema: string, table: string, where: string | undefined): boolean {
    const { coverage, sendsTruncates } = this.#options;
    return sendsTruncates && where === undefined && coverage.mayHaveStaleRows(schema, table);
  }

  #setPaused(isPaused: boolean): void {
    if (this.#gate.isPaused === isPaused) return;
    this.#gate.isPaused = isPaused;
    this.#options.log.info(isPaused ? 'backfill: paused' : 'backfill: resumed');
    this.#options.onProgress();
  }

  #startWorkers(): void {
    const { signal } = this.#options;
    if (this.#jobs.length > 0) this.#watchReplica();
    while (this.#workers.size < this.#parallel && !signal.aborted && this.#hasWork()) {
      const worker = new BackfillWorker(this.#context)
        .run()
        // An error here is one of this program; the stream continues without a backfill.
        .catch((error: unknown) => {
          if (!signal.aborted) for (const job of [...this.#jobs]) this.#finish(job, 'failed', asCdcError(error));
        })
        .finally(() => {
          this.#workers.delete(worker);
          // Work can have come while it ended.
          this.#startWorkers();
        });
      this.#workers.add(worker);
    }
  }

  /** Asks for the lag of the replica while there is work. */
  #watchReplica(): void {
    const { readReplicaLag, signal } = this.#options;
    if (readReplicaLag === undefined || this.#replicaTimer !== undefined || signal.aborted) return;
    const ask = async (): Promise<void> => {
      // A replica that does not answer also fails the reads, which report it.
      this.#gate.replicaLag = (await readReplicaLag().catch(() => undefined)) ?? 0;
      if (this.#jobs.length > 0 && !signal.aborted) {
        this.#replicaTimer = setTimeout(ask, REPLICA_LAG_POLL_MS).unref();
      } else this.#replicaTimer = undefined;
    };
    this.#replicaTimer = setTimeout(ask, 0).unref();
  }

  #hasWork(): boolean {
    return this.#findWork() !== undefined;
  }

  #take(): Work | undefined {
    if (this.#workers.size > this.#parallel) return undefined;
    const work = this.#findWork();
    if (work === undefined) return undefined;
    const { job, range, isSplit } = work;
    if (!isSplit) range.isTaken = true;
    job.state = 'reading';
    return work;
  }

  /** A range that nobody reads, of a table in work before one of the next table; else the largest one, to divide. */
  #findWork(): Work | undefined {
    let largest: Work | undefined;
    let largestRows = 0;
    const inWork = new Set<string>();
    for (const job of this.#jobs) {
      // Parts of one table by different conditions are read one after the other.
      if (inWork.has(job.name)) continue;
      inWork.add(job.name);
      const range = job.ranges.find(({ isTaken, isRead }) => !isTaken && !isRead);
      if (range !== undefined) return { job, range, isSplit: false };
      const rest = Math.max(1, job.estimatedRows - job.rowsRead) / job.ranges.length;
      if (!job.isBegun) continue;
      const divisible = job.ranges.find((other) => !other.isRead && other.unsplittableAt !== other.cursor);
      if (divisible !== undefined && rest > largestRows) {
        largest = { job, range: divisible, isSplit: true };
        largestRows = rest;
      }
    }
    return largest;
  }

  /** Whatever happens from here on, the table is not complete before its copy is done. */
  #begins({ schema, table }: TableJob): Promise<void> {
    const { coverage, merge, saveCheckpoint } = this.#options;
    coverage.rewritten({ schema, table, ...merge.coordinates, since: new Date().toISOString(), why: COPY_BEGUN });
    return saveCheckpoint();
  }

  #begun(job: TableJob, generation: number): void {
    if (job.generation !== generation) return;
    job.isBegun = true;
    this.#options.onProgress();
    this.#startWorkers();
  }

  #delivered(job: TableJob, generation: number, range: RangeJob, { count, lastKey, isLast }: ChunkEnd): void {
    if (!job.isOpen || job.generation !== generation) return;
    if (job.delivered(range, count, lastKey, isLast)) {
      if (job.where === undefined) {
        const { schema, table } = job;
        this.#options.coverage.add({ schema, table, since: new Date().toISOString(), why: 'backfilled' });
      }
      this.#finish(job, 'done');
    }
    this.#options.onProgress();
    this.#startWorkers();
  }

  #finish(job: TableJob, state: 'done' | 'failed' | 'cancelled', error?: CdcError): void {
    if (!job.isOpen) return;
    const { watches, log, onProgress } = this.#options;
    job.state = state;
    job.error = error;
    this.#jobs = this.#jobs.filter((other) => other !== job);
    if (this.#finished.length >= FINISHED_TABLES_MAX) this.#finished.shift();
    this.#finished.push(job.status);
    // What was read of it and not merged yet is not wanted any more.
    if (state !== 'done') watches.invalidate(job.schema, job.table, state);
    const line = { table: job.name, rows: job.rows };
    if (error === undefined) log.info(line, `backfill: ${state}`);
    else log.error({ ...line, why: error.why, hint: error.hint }, `backfill: ${error.message}`);
    onProgress();
  }
}

const notCaptured = ({ name }: TableJob): CdcError =>
  new CdcError(`${name} is outside tables of the configuration`, {
    why: 'it was captured when its backfill began',
    hint: `add "${name}" to tables, restart cdc run, then start its backfill again`,
  });

const notInWork = (name: string): CdcError =>
  new CdcError(`no backfill of ${name} is queued or being read`, {
    exitCode: 2,
    hint: 'cdc backfill --status shows the tables in work',
  });
