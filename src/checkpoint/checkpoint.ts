import type { BackfillProgress } from '../model/backfill-progress.ts';
import type { BinlogFingerprint } from '../model/binlog-fingerprint.ts';
import type { SavedCoverage } from '../model/coverage.ts';
import type { IncompleteTable } from '../model/incomplete-tables.ts';
import type { ResolvedTableSchema } from '../model/table-schema.ts';

/** The state between two runs: up to which position events are delivered, and on which server. */
export interface Checkpoint {
  /** The name of the pipeline that wrote it; that of another pipeline is rejected. */
  name: string;
  server: { flavor: 'mysql' | 'mariadb'; identity: string };
  /** Grows when coordinates restart, so that `seq` keeps growing. */
  epoch: number;
  /** The delivered GTID set (on MariaDB: position); null if the server has no GTIDs. */
  gtids: string | null;
  file: string;
  position: number;
  /** Resolved columns of tables whose columns the binlog does not name, with the binlog range they are valid for. */
  tables: ResolvedTableSchema[];
  /** Tables that need another copy. */
  incomplete: IncompleteTable[];
  /** The binlog before the position; undefined if it is not known yet, or if 0.1.0 wrote the file. */
  binlog?: BinlogFingerprint | undefined;
  /**
   * Tables that the lake holds completely, what `cdc verify` has found in them, and since when the stream was followed;
   * undefined if it is not known.
   */
  coverage?: Omit<SavedCoverage, 'incomplete'>;
  /** What is left to read of a backfill; undefined if there was none yet. */
  backfill?: BackfillProgress;
}
