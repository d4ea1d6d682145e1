import { quoteIdentifier } from '../../model/identifier.ts';
import { CdcError } from '../../runtime/error.ts';
import { currentBinlogPosition } from '../../source/server/server-info.ts';
import type { HighWatermark } from './row-chunk.ts';
import type { ReadSession } from './session.ts';
import type { Visibility } from './visibility.ts';

/** Rows of the heartbeat table: connections share them, so that their number is bounded. */
const HEARTBEAT_ROWS = 64;

/**
 * MySQL without GTIDs. A write that is made now is behind all that was processed in the binlog, and with
 * binlog_order_commits the server commits in the order of the binlog. So when the write has returned, everything that
 * was processed is visible. The end of the binlog after the SELECT is the high watermark.
 */
export class HeartbeatVisibility implements Visibility {
  readonly #table: string;
  readonly #sql: string;
  #view = false;

  /** @param table `schema.table` */
  constructor(table: string) {
    this.#table = table;
    const dot = table.indexOf('.');
    this.#sql = `${quoteIdentifier(table.slice(0, dot))}.${quoteIdentifier(table.slice(dot + 1))}`;
  }

  async prepare(session: ReadSession): Promise<void> {
    const [[ordered] = []] = await session.query('SELECT @@global.binlog_order_commits');
    if (Number(ordered) !== 1) {
      throw new CdcError('rows of this server cannot be ordered against its binlog', {
        exitCode: 3,
        why: 'binlog_order_commits is OFF, so a write that has returned does not prove that earlier ones are visible',
        hint: 'SET GLOBAL binlog_order_commits = ON; or set gtid_mode = ON (MySQL 5.7 or later)',
      });
    }
    await this.#beat(session);
  }

  async open(session: ReadSession, _processed: unknown, view: boolean): Promise<void> {
    await this.#beat(session);
    this.#view = view;
    if (view) await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  }

  async high(session: ReadSession): Promise<HighWatermark> {
    return { coordinates: await currentBinlogPosition(session.connection) };
  }

  async close(session: ReadSession): Promise<void> {
    if (this.#view) await session.query('COMMIT');
  }

  async #beat(session: ReadSession): Promise<void> {
    try {
      await session.query('START TRANSACTION READ WRITE');
      await session.query(
        `INSERT INTO ${this.#sql} (id, beat) VALUES (CONNECTION_ID() MOD ${HEARTBEAT_ROWS}, 1) ON DUPLICATE KEY UPDATE beat = beat + 1`,
      );
      await session.query('COMMIT');
    } catch (error) {
      if ((error as { fatal?: boolean }).fatal) throw error;
      await session.query('ROLLBACK');
      throw new CdcError(`the heartbeat table ${this.#table} cannot be written`, {
        exitCode: 3,
        why: (error as Error).message,
        hint: `CREATE TABLE ${this.#sql} (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL); and GRANT INSERT, UPDATE, SELECT on it`,
        cause: error,
      });
    }
  }
}
