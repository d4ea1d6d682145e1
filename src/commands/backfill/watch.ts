import { setTimeout as sleep } from 'node:timers/promises';
import { type AdminClient, isUnanswered } from '../../admin/client.ts';
import type { BackfillStatus, StartedBackfill, TableStatus } from '../../backfill/control.ts';
import { shortList } from '../../model/finding.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { asCdcError, CdcError } from '../../runtime/error.ts';
import type { ProgressPrinter } from './printer.ts';
import { isOver, ProgressMeter } from './progress.ts';

/** How often the daemon is asked. The status of many tables is some work for it. */
const POLL_INTERVAL_MS = 500;
const POLL_INTERVAL_OF_MANY_MS = 2_000;
const MANY_TABLES = 500;
/** How long the daemon can be away. One that starts again continues the backfill by itself. */
const AWAY_MAX_MS = 120_000;

/** The tables of a request, as they are at its end. */
export type FinishedTables = TableStatus[];

/**
 * Shows the backfill of the daemon until each of the tables is over.
 * @returns undefined if `signal` aborted; the backfill continues then
 * @throws CdcError if the daemon stays away, or no longer knows a table
 */
export async function watchBackfill(
  client: Pick<AdminClient, 'backfill' | 'socket'>,
  { request, tables: wanted }: StartedBackfill,
  printer: ProgressPrinter,
  signal: AbortSignal,
  awayMaxMs = AWAY_MAX_MS,
): Promise<FinishedTables | undefined> {
  const meter = new ProgressMeter();
  const intervalMs = wanted.length > MANY_TABLES ? POLL_INTERVAL_OF_MANY_MS : POLL_INTERVAL_MS;
  const followed = new Followed(wanted, request);
  let wasForgotten = false;
  let away: { since: number; why: string } | undefined;
  while (!signal.aborted) {
    let status: BackfillStatus | undefined;
    try {
      status = await client.backfill();
      if (away !== undefined) printer.note('the daemon answers again');
      away = undefined;
    } catch (thrown) {
      const error = asCdcError(thrown);
      if (error.kind !== 'retry') throw error;
      const why = [error.message, error.why].filter(Boolean).join(': ');
      if (away?.why !== why) printer.note(`${why}; waiting for it`);
      away = { since: away?.since ?? performance.now(), why };
      // A daemon that answers tries again by itself, without end.
      if (!isUnanswered(error)) away.since = performance.now();
      if (performance.now() - away.since > awayMaxMs) throw daemonGone(error, awayMaxMs);
    }
    if (status !== undefined) {
      const tables = followed.update(status);
      printer.show(meter.add(status, tables, performance.now()));
      if (tables.every(isOver)) return tables;
      const isForgotten: boolean = status.state === 'idle' && followed.missing.length > 0;
      // The first such answer can be older than the request.
      if (isForgotten && wasForgotten) throw forgotten(followed.missing);
      wasForgotten = isForgotten;
    }
    await sleep(intervalMs, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

/** The statuses of the tables of one request among all that the daemon knows. */
export class Followed {
  readonly #last = new Map<string, TableStatus>();
  readonly #known = new Set<string>();
  readonly #request: string | undefined;

  /** @param request only its tables; without it, whatever has these names */
  constructor(wanted: readonly { schema: string; table: string }[], request?: string) {
    this.#request = request;
    for (const { schema, table } of wanted) {
      const unknown = { request: '', rows: 0, estimatedRows: 0, fraction: 0 };
      this.#last.set(formatTableName(schema, table), { schema, table, state: 'queued', ...unknown });
    }
  }

  update(status: BackfillStatus): TableStatus[] {
    this.#known.clear();
    for (const table of status.tables) {
      const name = formatTableName(table.schema, table.table);
      if (!this.#last.has(name)) continue;
      if (this.#request !== undefined && !table.request.split(' ').includes(this.#request)) continue;
      this.#known.add(name);
      this.#last.set(name, table);
    }
    return [...this.#last.values()];
  }

  /** The tables that are not over and that the last status did not have. */
  get missing(): string[] {
    return [...this.#last].filter(([name, table]) => !this.#known.has(name) && !isOver(table)).map(([name]) => name);
  }
}

const forgotten = (names: readonly string[]): CdcError =>
  new CdcError(`the daemon does not know the backfill of ${shortList(names)} any more`, {
    why: 'it was started again with another checkpoint, or with other tables',
    hint: 'start the backfill again',
  });

const daemonGone = (error: CdcError, ms: number): CdcError =>
  new CdcError(`the daemon has been away for ${Math.round(ms / 1000)} s`, {
    ...(error.why && { why: error.why }),
    hint: 'start cdc run: it continues the backfill by itself, and cdc backfill --status shows it',
    cause: error,
  });
