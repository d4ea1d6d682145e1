import { setTimeout as sleep } from 'node:timers/promises';
import { GtidSet } from '../../model/gtid-set.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import { CdcError } from '../../runtime/error.ts';
import { readServerInfo, type ServerInfo } from '../../source/server/server-info.ts';
import type { Cell, ReadSession } from './session.ts';
import type { SnapshotConnectionOptions } from './snapshot-options.ts';

/**
 * Checks that the server of the session is a replica with the data of the source: all its transactions are of the
 * source, and the source still has those that it lacks. The state of the source is read after that of the replica, so a
 * replica that is up to date is not ahead.
 *
 * @throws CdcError otherwise
 */
export async function assertSameData(session: ReadSession, options: SnapshotConnectionOptions): Promise<void> {
  const { flavor } = options.server;
  const [[version] = []] = await session.query('SELECT VERSION()');
  if (/mariadb/i.test(String(version)) !== (flavor === 'mariadb')) {
    throw unusable('it is another kind of server than the source', 'name a replica of the source');
  }
  const replica = flavor === 'mysql' ? await mysqlReplica(session) : await mariadbReplica(session);
  const source = options.source === undefined ? options.server : await readServerInfo(options.source);
  if (flavor === 'mysql') compareGtidSets(replica as GtidSet, source);
  else comparePositions(replica as MariadbGtidPosition, source);
}

const ATTEMPTS = 10;
const ATTEMPT_DELAY_MS = 20;

const unusable = (why: string, hint: string): CdcError =>
  new CdcError('a backfill cannot read from the server of backfill.url', {
    exitCode: 3,
    why,
    hint: `${hint}, or remove backfill.url to read from the source`,
  });

const anotherDataSet = (): CdcError =>
  unusable('it has replicated nothing from the source: it is another data set', 'name a replica of the source');
const writtenTo = (transactions: string): CdcError =>
  unusable(
    `it has transactions that the source never had (${transactions}), so its rows can differ`,
    'name a replica that nobody writes to',
  );
const lacksPurged = (transactions: string): CdcError =>
  unusable(
    `it lacks transactions that the source has purged (${transactions}), so it never gets them`,
    'restore the replica from a newer backup',
  );

const text = (cell: Cell | undefined): string => String(cell ?? '');

async function mysqlReplica(session: ReadSession): Promise<GtidSet> {
  const [[mode, executed] = []] = await session.query(
    'SELECT CONVERT(@@global.gtid_mode USING utf8mb4), CONVERT(@@global.gtid_executed USING utf8mb4)',
  );
  if (mode !== 'ON') throw unusable(`its gtid_mode is ${mode}`, 'set gtid_mode = ON on the replica');
  return GtidSet.parse(text(executed));
}

function compareGtidSets(replica: GtidSet, { executed, purged }: ServerInfo): void {
  if (!(executed instanceof GtidSet)) throw unusable('the source has no GTIDs', 'set gtid_mode = ON on both');
  const foreign = replica.subtract(executed);
  if (replica.subtract(foreign).isEmpty && !executed.isEmpty) throw anotherDataSet();
  if (!foreign.isEmpty) throw writtenTo(foreign.toString());
  const lost = purged instanceof GtidSet ? purged.subtract(replica) : new GtidSet();
  if (!lost.isEmpty) throw lacksPurged(lost.toString());
}

async function mariadbReplica(session: ReadSession): Promise<MariadbGtidPosition> {
  const [[log, updates] = []] = await session.query('SELECT @@global.log_bin, @@global.log_slave_updates');
  if (Number(log) !== 1 || Number(updates) !== 1) {
    throw unusable(
      'it does not log what it replicates, so a view of it has no GTID position',
      'set log_bin and log_slave_updates on the replica',
    );
  }
  for (let attempt = 1; ; attempt++) {
    const [[logged, replicated] = []] = await session.query(
      'SELECT CONVERT(@@global.gtid_binlog_pos USING utf8mb4), CONVERT(@@global.gtid_slave_pos USING utf8mb4)',
    );
    if (text(replicated) === '') throw anotherDataSet();
    const position = MariadbGtidPosition.parse(text(logged));
    if (MariadbGtidPosition.parse(text(replicated)).containsAll(position)) return position;
    // A transaction is in the binlog a moment before it counts as replicated. One of the replica itself never does.
    if (attempt === ATTEMPTS) throw writtenTo(text(logged));
    await sleep(ATTEMPT_DELAY_MS);
  }
}

/** MariaDB has no id of a data set. A replica has the same domains, and in none of them is it ahead of the source. */
function comparePositions(replica: MariadbGtidPosition, { executed, purged }: ServerInfo): void {
  if (!(executed instanceof MariadbGtidPosition)) throw unusable('the source has no GTIDs', 'set log_bin on both');
  const domains = (position: MariadbGtidPosition): Map<string, string> =>
    new Map(
      position
        .toString()
        .split(',')
        .filter(Boolean)
        .map((gtid) => [gtid.slice(0, gtid.indexOf('-')), gtid]),
    );
  const theirs = domains(executed);
  const ours = [...domains(replica)];
  if (!executed.isEmpty && !ours.some(([domain]) => theirs.has(domain))) throw anotherDataSet();
  const sequence = (gtid: string | undefined): number => Number(gtid?.split('-')[2] ?? 0);
  const foreign = ours.filter(([domain, gtid]) => {
    const known = theirs.get(domain);
    return sequence(gtid) > sequence(known) || (sequence(gtid) === sequence(known) && gtid !== known);
  });
  if (foreign.length > 0) throw writtenTo(foreign.map(([, gtid]) => gtid).join(','));
  if (purged instanceof MariadbGtidPosition && !replica.containsAll(purged)) throw lacksPurged(purged.toString());
}
