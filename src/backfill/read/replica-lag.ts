import type { RowDataPacket } from 'mysql2/promise';
import type { SourceConnection } from '../../model/source-connection.ts';
import { connect } from '../../source/server/server-info.ts';

/** The statement, and its column with the seconds, by version of the server. */
const STATUS: readonly (readonly [sql: string, column: string])[] = [
  ['SHOW REPLICA STATUS', 'Seconds_Behind_Source'],
  ['SHOW SLAVE STATUS', 'Seconds_Behind_Master'],
];

/**
 * How many seconds a replica is behind its source. Undefined if the account may not see it (REPLICATION CLIENT), or if
 * the server replicates nothing now.
 */
export async function readReplicaLag(options: SourceConnection): Promise<number | undefined> {
  const connection = await connect(options);
  try {
    for (const [sql, column] of STATUS) {
      const answer = await connection.query<RowDataPacket[]>({ sql, rowsAsArray: false }).catch(() => undefined);
      const seconds = answer?.[0][0]?.[column] as number | string | null | undefined;
      if (seconds !== undefined && seconds !== null) return Number(seconds);
    }
    return undefined;
  } finally {
    connection.destroy();
  }
}
