import { setTimeout as sleep } from 'node:timers/promises';
import { type Coordinates, isBefore } from '../../model/coordinates.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import { CdcError } from '../../runtime/error.ts';
import { notVisibleError } from './gtid-visibility.ts';
import { VISIBILITY_TIMEOUT_MS } from './limits.ts';
import type { HighWatermark, Processed } from './row-chunk.ts';
import type { ReadSession } from './session.ts';
import type { Visibility } from './visibility.ts';

/** The waits between two snapshots, of which the last one repeats. */
const WAITS_MS = [1, 2, 5, 10, 20, 50];

/**
 * MariaDB. START TRANSACTION WITH CONSISTENT SNAPSHOT makes a view at exactly one binlog position, which it reports
 * (binlog_snapshot_file, binlog_snapshot_position). The view is taken again until it has all that was processed. Its
 * position is the high watermark too; on a replica as a GTID position, since the binlog of a replica has other
 * coordinates.
 */
export class MariadbVisibility implements Visibility {
  readonly #isReplica: boolean;
  #view: Coordinates = { file: '', position: 0 };
  #gtids: MariadbGtidPosition | undefined;

  constructor(isReplica: boolean) {
    this.#isReplica = isReplica;
  }

  async prepare(session: ReadSession): Promise<void> {
    await this.#startView(session);
    await this.close(session);
  }

  async open(session: ReadSession, processed: Processed, _view: boolean): Promise<void> {
    const deadline = performance.now() + VISIBILITY_TIMEOUT_MS;
    for (let attempt = 0; ; attempt++) {
      this.#view = await this.#startView(session);
      this.#gtids = undefined;
      if (await this.#contains(session, processed)) return;
      await this.close(session);
      if (performance.now() > deadline) throw notVisibleError(this.#isReplica);
      await sleep(WAITS_MS[Math.min(attempt, WAITS_MS.length - 1)]);
    }
  }

  async high(): Promise<HighWatermark> {
    return this.#isReplica && this.#gtids !== undefined ? { gtids: this.#gtids } : { coordinates: this.#view };
  }

  async close(session: ReadSession): Promise<void> {
    await session.query('COMMIT');
  }

  async #startView(session: ReadSession): Promise<Coordinates> {
    await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    const rows = await session.query("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'");
    const status = new Map(rows.map(([name, value]) => [String(name).toLowerCase(), String(value)]));
    const file = status.get('binlog_snapshot_file') ?? '';
    if (file === '') {
      throw new CdcError('the server does not report the binlog position of a view', {
        exitCode: 3,
        why: this.#isReplica ? 'the replica writes no binlog' : 'it has no binlog, or a MariaDB without the variable',
        hint: this.#isReplica
          ? 'set log_bin and log_slave_updates on the replica, or remove backfill.url to read from the source'
          : 'set log_bin on the server',
      });
    }
    return { file, position: Number(status.get('binlog_snapshot_position')) };
  }

  async #contains(session: ReadSession, { coordinates, gtids }: Processed): Promise<boolean> {
    if (!this.#isReplica) {
      if (!isBefore(this.#view, coordinates)) return true;
      if (this.#view.file === coordinates.file) return false;
    }
    // After a rotation without a commit, the view is at the end of the file before. Its GTIDs are the same.
    if (!(gtids instanceof MariadbGtidPosition)) return false;
    const { file, position } = this.#view;
    const [[text] = []] = await session.query('SELECT CONVERT(BINLOG_GTID_POS(?, ?) USING utf8mb4)', [file, position]);
    if (text == null) return false;
    this.#gtids = MariadbGtidPosition.parse(String(text));
    return this.#gtids.containsAll(gtids);
  }
}
