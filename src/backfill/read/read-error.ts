import type { SourceConnection } from '../../model/source-connection.ts';
import { CdcError } from '../../runtime/error.ts';
import { connectionError } from '../../source/server/connection-error.ts';

/** By error number: MySQL and MariaDB name some of them differently. */
const RETRIES: Readonly<Record<number, string>> = {
  1054: 'a column of the table was dropped or renamed',
  1176: 'the key of the table changed',
  1205: 'the read waited too long for a lock of the table',
  1213: 'the server chose the read as the victim of a deadlock',
  1317: 'the server interrupted the read',
  1412: 'the definition of the table changed while it was read',
  1615: 'the definition of the table changed while it was read',
  1969: 'the read took the server too long',
  3024: 'the read took the server too long',
};

/** MySQL: ER_QUERY_TIMEOUT, and MariaDB: ER_STATEMENT_TIMEOUT. */
export const isStatementTimeout = (error: unknown): boolean =>
  [1969, 3024].includes((error as { errno?: number } | undefined)?.errno ?? 0);

/** ER_NO_SUCH_TABLE and ER_BAD_DB_ERROR: the table was dropped or renamed. */
const GONE: ReadonlySet<number> = new Set([1146, 1049]);
/** ER_DBACCESS_DENIED, ER_TABLEACCESS_DENIED and ER_COLUMNACCESS_DENIED. */
const DENIED_READ: ReadonlySet<number> = new Set([1044, 1142, 1143]);

export interface FailedRead {
  table: string;
  connection: SourceConnection;
}

/** Classifies an error of a read. The server's own message can contain values of rows, so only its code is shown. */
export function readError(error: unknown, { table, connection }: FailedRead): CdcError {
  if (error instanceof CdcError) return error;
  const { code = '', errno = 0, fatal } = error as { code?: string; errno?: number; fatal?: boolean };
  const why = `${code || 'error'}${errno ? ` (${errno})` : ''} of the server`;
  if (GONE.has(errno)) {
    return new CdcError(`the table ${table} does not exist any more`, {
      why,
      hint: 'it was dropped or renamed; cancel a backfill of it, and leave it out',
      cause: error,
    });
  }
  if (DENIED_READ.has(errno)) {
    return new CdcError(`the account may not read the table ${table}`, {
      exitCode: 3,
      why,
      hint: `GRANT SELECT ON ${table} TO '${connection.user}'@'%';`,
      cause: error,
    });
  }
  const retry = RETRIES[errno];
  if (retry !== undefined) {
    const hint = 'the chunk is read again';
    return new CdcError(`cannot read ${table} at the moment`, {
      kind: 'retry',
      why: `${retry}: ${why}`,
      hint,
      cause: error,
    });
  }
  if (fatal !== true && (code.startsWith('ER_') || errno !== 0)) {
    return new CdcError(`the server rejected a read of ${table}`, {
      why,
      hint: 'report it if it is unclear',
      cause: error,
    });
  }
  return connectionError(error, connection);
}
