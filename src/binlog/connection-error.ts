import { CdcError, type ErrorDetails } from '../error.ts';

interface MysqlError {
  code?: string;
  errno?: number;
  message: string;
}

/** What mysql2, or the server through it, reports, as an error that says whether it may heal and what to do. */
export function connectionError(error: unknown, where: string): CdcError {
  if (error instanceof CdcError) return error;
  const { code = '', errno = 0, message } = error as MysqlError;
  const make = (what: string, details: ErrorDetails): CdcError =>
    new CdcError(what, { why: message, cause: error, ...details });
  switch (code) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
      return make(`MySQL at ${where} refuses the user or the password`, {
        exitCode: 3,
        hint: 'check source.url and source.password',
      });
    case 'ER_SPECIFIC_ACCESS_DENIED_ERROR':
    case 'ER_TABLEACCESS_DENIED_ERROR':
      return make('the MySQL user lacks a privilege', { exitCode: 3, hint: 'cdc check prints the GRANT statement' });
    case 'HANDSHAKE_NO_SSL_SUPPORT':
      return make(`MySQL at ${where} offers no TLS`, { hint: 'enable TLS on the server, or set source.tls: disabled' });
    case 'ENOTFOUND':
      return make(`the host of ${where} is not known`, { kind: 'retry', hint: 'check source.url' });
    case 'ECONNREFUSED':
      return make(`nothing listens at ${where}`, { kind: 'retry', hint: 'check source.url, and that the server runs' });
    case 'ER_NOT_SUPPORTED_AUTH_MODE':
    case 'AUTH_SWITCH_PLUGIN_ERROR':
      return make(`MySQL at ${where} wants an authentication that is not supported`, {
        hint: 'ALTER USER … IDENTIFIED WITH caching_sha2_password BY …',
      });
    default:
      break;
  }
  if (/certificate|self[- ]signed|altname|SSL|TLS/i.test(message)) {
    return make(`the TLS connection to MySQL at ${where} failed`, {
      hint: 'set source.ca_file to the authority of the server, or choose another source.tls',
    });
  }
  if (errno === 1236 || code === 'ER_MASTER_FATAL_ERROR_READING_BINLOG') return dumpError(message, error);
  // Whatever else ends a connection may be the network or a restart: it is tried again.
  return make(`the connection to MySQL at ${where} failed`, {
    kind: 'retry',
    hint: 'see that the server runs and is reachable; cdc run tries again by itself',
  });
}

/** Error 1236, with which the server ends a binlog dump for many reasons that only its text tells apart. */
function dumpError(message: string, cause: unknown): CdcError {
  if (/same server_uuid\/server_id|server_id.*already|identical/i.test(message)) {
    return new CdcError('another replica with the same server id has connected', {
      why: message,
      hint: 'set source.server_id to a number of its own, or leave it at auto',
      cause,
    });
  }
  if (/purged|could not find (first log|GTID state)|missing|not find.*log/i.test(message)) {
    return new CdcError('the server no longer has the binlog that the checkpoint needs', {
      exitCode: 4,
      why: message,
      hint: 'the changes in between are gone from the binlog: move the checkpoint file away, start again, and copy the tables anew',
      cause,
    });
  }
  return new CdcError('the server ended the binlog dump', {
    why: message,
    hint: 'if it speaks of a position or of max_allowed_packet, the place to begin is not where an event begins: see source.start, or the checkpoint if the binlogs were reset',
    cause,
  });
}
