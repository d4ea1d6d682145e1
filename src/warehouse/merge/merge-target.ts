import type { Dialect } from '../dialect.ts';

/** Where a merge writes to: one connection that runs its statements. */
export interface MergeTarget {
  readonly dialect: Dialect;
  /** A column of `BATCH` that finds its event again, where the engine joins by it well. */
  readonly position?: string;
  /** Whether a batch can be filled while the statements of the one before run. */
  readonly isFilledApart: boolean;
  /** For messages; without a password. */
  readonly location: string;
  /**
   * The rows of a query, as the driver gives them; none for other statements.
   * @throws CdcError with the message of the engine
   */
  query(sql: string): Promise<unknown[][]>;
  /** Begins a batch: in a transaction that was begun, or, if it is filled apart, at any time. */
  openBatch(): Promise<void>;
  /**
   * Adds lines that `BatchWriter` has written.
   * @param lines is not used once the promise is settled
   */
  append(lines: Buffer): Promise<void>;
  /**
   * All lines of the batch are there. The result makes the table `BATCH` of them, in the transaction that was begun, so
   * that the statements of the merge can read them.
   */
  closeBatch(): Promise<() => Promise<void>>;
  /** Takes what a merge needs for itself. @throws CdcError if another merge has it */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

/** The table of events, for the time of a transaction. */
export const BATCH = 'cdc_batch';
/** Its columns. */
export const batchColumns = ({ textType, booleanType }: Dialect): string =>
  `schema_name ${textType}, table_name ${textType}, op ${textType}, seq ${textType}, is_partial ${booleanType}, row_json json`;
