import type { Coordinates } from './coordinates.ts';

/** The server that a pipeline follows, and how far. */
export interface StreamStatus {
  server: {
    flavor: 'mysql' | 'mariadb';
    /** MySQL: its server_uuid; MariaDB: `mariadb-` and its server id. */
    identity: string;
    /** `host:port`; null if the position is from a checkpoint and no server was asked. */
    host: string | null;
  };
  /** The first part of `seq`. */
  epoch: number;
  /** Everything before this is acknowledged; the checkpoint follows. `gtids` is null if the server has none. */
  delivered: Coordinates & { gtids: string | null };
}
