import { GtidSet } from '../../model/gtid-set.ts';
import { CdcError } from '../../runtime/error.ts';
import { currentBinlogPosition } from '../../source/server/server-info.ts';
import { VISIBILITY_TIMEOUT_MS } from './limits.ts';
import type { HighWatermark, Processed } from './row-chunk.ts';
import type { ReadSession } from './session.ts';
import type { Visibility } from './visibility.ts';

/**
 * MySQL with GTIDs. A transaction enters gtid_executed after its commit in the engine, so what is in the set is
 * visible (MySQL 5.7 and later; 5.6 adds it before the commit). A transaction that is visible was written to the binlog
 * before, so the end of the binlog after the SELECT is not before it.
 *
 * On a replica the end of its binlog means nothing for the stream. There the high watermark is the set of transactions
 * that are owned or executed: a visible transaction is owned until the moment that it enters gtid_executed, so it is in
 * one of the two if gtid_owned is read first. Appliers that commit out of order (several of them, without
 * replica_preserve_commit_order) make a set with gaps, and nothing here needs a set without: the set that is waited for
 * has exactly the transactions that the stream has processed, and the high watermark those that a row can be of.
 */
export class GtidVisibility implements Visibility {
  readonly #isReplica: boolean;
  /** Transactions that are known to be visible. They stay so. */
  #visible = new GtidSet();
  /** The transactions that the replica itself had written when it was checked. */
  #ownWrites: GtidSet | undefined;
  #uuid = '';
  #view = false;

  constructor(isReplica: boolean) {
    this.#isReplica = isReplica;
  }

  async prepare(session: ReadSession): Promise<void> {
    this.#visible = new GtidSet();
    if (!this.#isReplica) return;
    const [[uuid, executed] = []] = await session.query(
      'SELECT CONVERT(@@global.server_uuid USING utf8mb4), CONVERT(@@global.gtid_executed USING utf8mb4)',
    );
    this.#uuid = String(uuid).toLowerCase();
    this.#ownWrites = this.#writesOf(String(executed));
  }

  async open(session: ReadSession, { gtids }: Processed, view: boolean): Promise<void> {
    if (!(gtids instanceof GtidSet)) throw new Error('a position without GTIDs on a server that has GTIDs');
    const unseen = gtids.subtract(this.#visible);
    if (!unseen.isEmpty) await this.#waitFor(session, unseen);
    this.#view = view;
    if (view) await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  }

  async #waitFor(session: ReadSession, unseen: GtidSet): Promise<void> {
    const [[timedOut] = []] = await session.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)', [
      unseen.toString(),
      VISIBILITY_TIMEOUT_MS / 1000,
    ]);
    if (Number(timedOut) !== 0) throw notVisibleError(this.#isReplica);
    this.#visible.addAll(unseen);
  }

  async high(session: ReadSession): Promise<HighWatermark> {
    if (!this.#isReplica) return { coordinates: await currentBinlogPosition(session.connection) };
    // Two statements: one SELECT does not promise the order of its columns.
    const [[owned] = []] = await session.query('SELECT CONVERT(@@global.gtid_owned USING utf8mb4)');
    const [[executed] = []] = await session.query('SELECT CONVERT(@@global.gtid_executed USING utf8mb4)');
    const gtids = GtidSet.parse(String(executed));
    gtids.addAll(parseOwnedGtids(String(owned)));
    const written = this.#writesOf(gtids.toString());
    if (!(this.#ownWrites as GtidSet).containsAll(written)) throw ownWritesError(written);
    return { gtids };
  }

  async close(session: ReadSession): Promise<void> {
    if (this.#view) await session.query('COMMIT');
  }

  #writesOf(set: string): GtidSet {
    const entries = set.split(',').filter((entry) => entry.trim().toLowerCase().startsWith(this.#uuid));
    return GtidSet.parse(entries.join(','));
  }
}

/** `uuid:23#5:24#6,uuid:7#8`: each transaction with the thread that owns it. */
export function parseOwnedGtids(text: string): GtidSet {
  const entries = text.split(',').filter((entry) => /^\s*[0-9a-f]{8}-/i.test(entry));
  return GtidSet.parse(entries.map((entry) => entry.replace(/#\d+/g, '')).join(','));
}

export function notVisibleError(isReplica: boolean): CdcError {
  const why = `${VISIBILITY_TIMEOUT_MS / 1000} s later, SELECT does not see transactions that the stream has processed`;
  return isReplica
    ? new CdcError('the replica is behind', {
        kind: 'retry',
        why,
        hint: 'check the replication of the replica; remove backfill.url to read from the source',
      })
    : new CdcError('the server does not show its latest transactions', {
        kind: 'retry',
        why,
        hint: 'check for a commit that hangs (SHOW PROCESSLIST)',
      });
}

const ownWritesError = (written: GtidSet): CdcError =>
  new CdcError('the replica was written to', {
    why: `it has transactions of its own (${written}), so it is no copy of the source any more`,
    hint: 'use another replica, or remove backfill.url to read from the source; set super_read_only on replicas',
  });
