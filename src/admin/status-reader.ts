import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LeaseStatus } from '../model/lease-status.ts';
import { PURGE_UNKNOWN } from '../model/purge.ts';
import type { RunTotals } from '../model/run-totals.ts';
import type { CdcError } from '../runtime/error.ts';
import type { CapturedTableStatus, DaemonStatus, Health, LoggedWarning } from './daemon-status.ts';
import { judgeHealth } from './health.ts';
import type { CoveredTable, PipelineObservation, StatusSource } from './status.ts';

/** What is known of a daemon, whether a pipeline runs or not. */
export interface DaemonFacts {
  name: string;
  version: string;
  startedAt: string;
  maxLagMs: number;
  checkpointLocation: string;
  lease(): LeaseStatus;
  deadLetterDirectory: string;
  totals: RunTotals;
  /** The running pipeline; undefined while there is none, such as between two tries to reach MySQL. */
  pipeline(): StatusSource | undefined;
  /** Why no pipeline runs; undefined before the first one has failed. */
  whyNoPipeline(): CdcError | undefined;
  isStopping(): boolean;
  /** How often the pipeline was started again. */
  reconnects(): number;
  warnings(): LoggedWarning[];
  /** The number of dead letters in the directory. */
  countDeadLetters(): Promise<number>;
  /** What the checkpoint says: for a daemon that has had no pipeline yet. */
  saved(): Promise<SavedState>;
}

const RESOLUTION_MS = 20;
/** How long a server or a store is waited for; then what it said last is shown. */
const ANSWER_TIMEOUT_MS = 1_000;
/** How often the dead letters are counted if this process writes none, and how small a share of the time that takes. */
const COUNT_INTERVAL_MS = 1_000;
const COUNT_SHARE = 50;

/** What a checkpoint says of a pipeline that has not run yet. */
export interface SavedState {
  /** When it was saved, in milliseconds since 1970; undefined if there is none. */
  savedAt: number | undefined;
  position: DaemonStatus['checkpoint']['position'];
  tables: CoveredTable[];
}

/** Makes the status of a daemon. It never waits for the server or for Firehose. */
export class StatusReader {
  readonly #facts: DaemonFacts;
  readonly #eventLoopDelay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #tables: readonly CoveredTable[] | undefined;
  /** What the last pipeline showed last, and when. */
  #last: { at: number; observation: PipelineObservation } | undefined;
  /** What the checkpoint said before the first pipeline, and while another process leads. */
  #saved: SavedState | undefined;
  #saving: Promise<void> | undefined;
  #reading: Promise<DaemonStatus> | undefined;
  #next: Promise<DaemonStatus> | undefined;
  #deadLetters: { until: number; written: number; files: number | null } | undefined;
  #delay = { readAt: 0, seconds: 0 };

  constructor(facts: DaemonFacts) {
    this.#facts = facts;
    this.#eventLoopDelay.enable();
  }

  close(): void {
    this.#eventLoopDelay.disable();
  }

  /** Calls that come while a status is read share the next one, so that none is older than its call. */
  read(): Promise<DaemonStatus> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
      });
      return this.#reading;
    }
    this.#next ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.read();
      });
    return this.#next;
  }

  async #read(): Promise<DaemonStatus> {
    const [tables, files] = await Promise.all([this.#readTables(), this.#countDeadLetters()]);
    return this.#assemble(tables, files);
  }

  /** Whether the daemon is well, without the lists that have to be read. */
  health(): Health {
    return this.#assemble([], this.#deadLetters?.files ?? null).health;
  }

  /** What the history keeps. */
  vitals(): { lagSeconds: number | null; bufferedBytes: number } {
    const { lag, delivery } = this.#assemble([], null);
    return { lagSeconds: lag.seconds, bufferedBytes: delivery?.bufferedBytes ?? 0 };
  }

  #assemble(tables: readonly CoveredTable[], files: number | null): DaemonStatus {
    const facts = this.#facts;
    const now = Date.now();
    const pipeline = facts.pipeline();
    const seen = pipeline?.observe();
    if (seen !== undefined) this.#last = { at: now, observation: seen };
    const last = this.#standsBy ? undefined : this.#last?.observation;
    const why = seen === undefined ? facts.whyNoPipeline() : seen.failure;
    const saved = last === undefined ? this.#saved : undefined;
    const savedAt = last === undefined ? saved?.savedAt : last.checkpointSavedAt;
    const status: Omit<DaemonStatus, 'health'> = {
      name: facts.name,
      version: facts.version,
      pid: process.pid,
      startedAt: facts.startedAt,
      at: new Date(now).toISOString(),
      state: this.#state(seen),
      stream: seen?.stream ?? null,
      lag: this.#lag(seen, now),
      purge: last?.purge ?? PURGE_UNKNOWN,
      checkpoint: {
        location: facts.checkpointLocation,
        savedAt: savedAt === undefined ? null : new Date(savedAt).toISOString(),
        position: last === undefined ? (saved?.position ?? null) : { ...last.stream.delivered },
      },
      lease: facts.lease(),
      delivery: seen?.delivery ?? null,
      totals: this.#totals(seen),
      deadLetters: { directory: facts.deadLetterDirectory, files, recent: [...facts.totals.deadLetters] },
      backfill: pipeline?.backfill.status() ?? null,
      tables: tables.map((table) => this.#withActivity(table)),
      reconnects: facts.reconnects(),
      warnings: facts.warnings(),
      process: this.#process(),
    };
    const waitsFor = { why: why?.why ? `${why.message}: ${why.why}` : (why?.message ?? null), hint: why?.hint ?? null };
    return { ...status, health: judgeHealth({ status, silentSeconds: seen?.silentSeconds ?? 0, waitsFor }) };
  }

  #state(seen: PipelineObservation | undefined): DaemonStatus['state'] {
    if (this.#facts.isStopping()) return 'stopping';
    if (this.#standsBy) return 'standby';
    if (seen !== undefined && seen.failure === undefined) return 'streaming';
    if (seen?.failure !== undefined) return seen.failure.kind === 'retry' ? 'waiting' : 'stopping';
    return this.#facts.whyNoPipeline() === undefined ? 'starting' : 'waiting';
  }

  get #standsBy(): boolean {
    const { leads, holder } = this.#facts.lease();
    return !leads && holder !== null;
  }

  /** Without a pipeline nothing is delivered, so that the lag grows with the time. Who stands by does not know it. */
  #lag(seen: PipelineObservation | undefined, now: number): DaemonStatus['lag'] {
    const maxSeconds = this.#facts.maxLagMs / 1000;
    if (this.#standsBy) return { seconds: null, bytes: null, maxSeconds };
    if (seen !== undefined) return { ...seen.lag, maxSeconds };
    const last = this.#last;
    if (last === undefined || last.observation.lag.seconds === null) {
      const savedAt = this.#saved?.savedAt;
      return { seconds: savedAt === undefined ? null : Math.max(0, now - savedAt) / 1000, bytes: null, maxSeconds };
    }
    return { seconds: last.observation.lag.seconds + (now - last.at) / 1000, bytes: null, maxSeconds };
  }

  #withActivity(table: CoveredTable): CapturedTableStatus {
    const activity = this.#facts.totals.tables.find(table.schema, table.table);
    return {
      ...table,
      events: activity === undefined ? { c: 0, u: 0, d: 0, r: 0, t: 0 } : { ...activity.events },
      bytes: activity?.bytes ?? 0,
      lastChangeAt: activity?.lastChangeAt ? new Date(activity.lastChangeAt).toISOString() : null,
    };
  }

  async #readTables(): Promise<readonly CoveredTable[]> {
    const pipeline = this.#facts.pipeline();
    if (pipeline === undefined) {
      const saved = await this.#readSaved();
      return (this.#standsBy ? undefined : this.#tables) ?? saved?.tables ?? [];
    }
    const reading = pipeline.tables().then((tables) => {
      this.#tables = tables;
    });
    reading.catch(() => {});
    await inTime(reading);
    return this.#tables ?? [];
  }

  async #readSaved(): Promise<SavedState | undefined> {
    if (this.#last !== undefined && !this.#standsBy) return this.#saved;
    this.#saving ??= this.#facts
      .saved()
      .then((saved) => {
        this.#saved = saved;
      })
      .catch(() => {})
      .finally(() => {
        this.#saving = undefined;
      });
    await inTime(this.#saving);
    return this.#saved;
  }

  /** Counted over all pipelines, so that it does not vanish while one is started again. */
  #totals(seen: PipelineObservation | undefined): DaemonStatus['totals'] {
    const { counters, backpressureMs, streams } = this.#facts.totals.delivery;
    return {
      ...{ counters: { ...counters } },
      backpressureSeconds: seen?.delivery.backpressureSeconds ?? backpressureMs / 1000,
      streams: [...streams].map(([stream, { outcomes, requests, requestSeconds }]) => ({
        ...{ stream, outcomes: { ...outcomes }, requests, requestSeconds },
      })),
    };
  }

  async #countDeadLetters(): Promise<number | null> {
    const written = this.#facts.totals.delivery.counters.deadLetters;
    const known = this.#deadLetters;
    const now = performance.now();
    if (known !== undefined && known.written === written && now < known.until) return known.files;
    const files = await this.#facts.countDeadLetters().catch(() => null);
    const countedAt = performance.now();
    const interval = Math.max(COUNT_INTERVAL_MS, (countedAt - now) * COUNT_SHARE);
    this.#deadLetters = { until: countedAt + interval, written, files };
    return files;
  }

  #process(): DaemonStatus['process'] {
    const now = performance.now();
    // The percentile is of the time since it was read last, and of some seconds at least.
    if (now - this.#delay.readAt > 2_000) {
      // The histogram has the whole time between two timers.
      const nanoseconds = Math.max(0, this.#eventLoopDelay.percentile(99) - RESOLUTION_MS * 1e6);
      this.#delay = { readAt: now, seconds: Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0 };
      this.#eventLoopDelay.reset();
    }
    const { user, system } = process.cpuUsage();
    return {
      rssBytes: process.memoryUsage.rss(),
      eventLoopDelaySeconds: this.#delay.seconds,
      cpuSeconds: (user + system) / 1e6,
    };
  }
}

/** Waits for it, but not for long, and not for its success. */
async function inTime(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ANSWER_TIMEOUT_MS);
  });
  await Promise.race([work, timeout]).catch(() => {});
  clearTimeout(timer);
}
