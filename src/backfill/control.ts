/**
 * How a backfill is started, watched and stopped: what the admin server and `cdc backfill` know of it. Plain data, sent
 * as JSON. No row and no key value is in it.
 */
export interface BackfillControl {
  status(): BackfillStatus;
  /**
   * Queues the tables. A table that is being read or queued already is attached to, and not read twice.
   * @throws CdcError with exit code 2 that names every table that cannot be read
   */
  start(request: BackfillRequest): Promise<StartedBackfill>;
  pause(): void;
  resume(): void;
  /** @param tables as `schema.table`; all of them if it is left out */
  cancel(tables?: string[]): void;
}

export interface BackfillRequest {
  /** Names or patterns, as in `tables` of the configuration. Empty: every captured table. */
  tables: string[];
  /** A condition of SQL that selects a part of the one table. */
  where?: string;
  /** These replace the values of the configuration. */
  parallel?: number;
  rate?: number;
  maxLagMs?: number;
}

export interface StartedBackfill {
  /** The id of the request, which `TableStatus.request` repeats. */
  request: string;
  tables: { schema: string; table: string }[];
}

export type BackfillState = 'idle' | 'running' | 'paused';

export interface BackfillStatus {
  state: BackfillState;
  /** What reading waits for while it is held back: lag, replica lag, delivery pressure, rate, ... */
  waitingFor: string | null;
  parallel: number;
  rate: number | null;
  tables: TableStatus[];
}

export interface TableStatus {
  schema: string;
  table: string;
  state: 'queued' | 'reading' | 'done' | 'failed' | 'cancelled';
  /** The ids of the requests that the table belongs to, with a space between them. */
  request: string;
  /** Rows delivered. */
  rows: number;
  estimatedRows: number;
  /** How much of the table is done, from 0 to 1. */
  fraction: number;
  error?: { message: string; why?: string; hint?: string };
}

/** Keys of a table whose rows are read again, because the lake has something else than the source. */
export interface RepairRequest {
  schema: string;
  table: string;
  /** The JSON text of the key of an event each, exactly as it is in the lake, such as `{"id":1}`. */
  keys: string[];
}

/** What became of the keys of a repair, once it is delivered. The three add up to the keys, each counted once. */
export interface RepairResult {
  /** Keys whose row was sent as `r`. */
  sent: number;
  /** Keys without a row, sent as `d`. */
  deleted: number;
  /** Keys whose rows changed meanwhile, so that nothing was sent: look at them again. */
  left: number;
}

export const REPAIR_KEYS_MAX = 500;
/** Characters of a key. No index has longer ones. */
export const REPAIR_KEY_MAX_CHARACTERS = 65_536;
