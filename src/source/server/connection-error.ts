import type { ConnectionOptions } from 'mysql2';
import { CdcError, type ErrorDetails } from '../../runtime/error.ts';

interface Failure {
  code?: string;
  errno?: number;
  /** mysql2 marks so what has ended the connection. */
  fatal?: boolean;
  message: string;
}

/** Who connects, and where to. */
interface ConnectionTarget extends Pick<ConnectionOptions, 'host' | 'port' | 'user' | 'password' | 'ssl'> {
  /** Of a dump; with `auto` the next one draws another. */
  serverId?: number | 'auto';
}

/** What happened, and whether and how it heals. */
interface Diagnosis extends Pick<ErrorDetails, 'kind' | 'exitCode'> {
  what: string;
  hint: string;
}

/**
 * The one table of what goes wrong between us and the server, for the checks, the start and the stream alike: `retry`
 * is what may heal while we wait, all else needs a hand. It is read as what / why (the server's own words) / what to do.
 */
export function connectionError(error: unknown, source: ConnectionTarget): CdcError {
  if (error instanceof CdcError) return error;
  const failure = error as Failure;
  const { what, hint, kind, exitCode } = diagnose(failure, source);
  return new CdcError(what, {
    ...(kind && { kind }),
    ...(exitCode && { exitCode }),
    why: failure.message || failure.code || 'no reason was given',
    hint,
    cause: error,
  });
}

/** Server errors that pass: it is full, it is going down, or someone has ended the session. */
const TRANSIENT_ERRORS: ReadonlySet<string> = new Set([
  'ER_SERVER_SHUTDOWN',
  'ER_NORMAL_SHUTDOWN',
  'ER_SHUTDOWN_COMPLETE',
  'ER_SERVER_OFFLINE_MODE',
  'ER_FORCING_CLOSE',
  'ER_NEW_ABORTING_CONNECTION',
  'ER_ABORTING_CONNECTION',
  'ER_CONNECTION_KILLED',
  'ER_QUERY_INTERRUPTED',
  'ER_QUERY_TIMEOUT',
  'ER_CLIENT_INTERACTION_TIMEOUT',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_OUT_OF_RESOURCES',
  'ER_OUTOFMEMORY',
  'ER_CANT_CREATE_THREAD',
  'ER_DISK_FULL',
  'ER_NET_PACKETS_OUT_OF_ORDER',
  'ER_NET_READ_ERROR',
  'ER_NET_READ_INTERRUPTED',
  'ER_NET_ERROR_ON_WRITE',
  'ER_NET_WRITE_INTERRUPTED',
]);

function diagnose(failure: Failure, source: ConnectionTarget): Diagnosis {
  const { code = '', errno = 0, message } = failure;
  const { user } = source;
  const at = `${source.host}:${source.port}`;
  switch (code) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
      // It is read once, when the process starts: a password that has been changed comes with the next start.
      return {
        what: `the server at ${at} refuses user ${user} or its password`,
        exitCode: 3,
        hint:
          source.password === undefined
            ? 'no password is given: source.password, source.password_file, or one in source.url'
            : `check user and password of the source, or ALTER USER '${user}'@'%' IDENTIFIED BY '…';`,
      };
    case 'ER_ACCOUNT_HAS_BEEN_LOCKED':
    case 'ER_MUST_CHANGE_PASSWORD':
    case 'ER_MUST_CHANGE_PASSWORD_LOGIN':
      return {
        what: `the server at ${at} does not let user ${user} in`,
        exitCode: 3,
        hint: `ALTER USER '${user}'@'%' ACCOUNT UNLOCK; or give it a new password`,
      };
    case 'ER_SPECIFIC_ACCESS_DENIED_ERROR':
    case 'ER_TABLEACCESS_DENIED_ERROR':
    case 'ER_COLUMNACCESS_DENIED_ERROR':
      return { what: `user ${user} lacks a privilege`, exitCode: 3, hint: 'cdc check prints the GRANT statement' };
    case 'ER_HOST_NOT_PRIVILEGED':
      return {
        what: `the server at ${at} lets nobody in from this host`,
        exitCode: 3,
        hint: `CREATE USER '${user}'@'%' IDENTIFIED BY '…'; or one for this host's address`,
      };
    case 'ER_HOST_IS_BLOCKED':
      return {
        what: `the server at ${at} has blocked this host`,
        exitCode: 3,
        hint: 'TRUNCATE TABLE performance_schema.host_cache; (MariaDB: FLUSH HOSTS;)',
      };
    case 'ER_CON_COUNT_ERROR':
    case 'ER_TOO_MANY_USER_CONNECTIONS':
    case 'ER_USER_LIMIT_REACHED':
      return {
        what: `the server at ${at} has no connection to spare`,
        kind: 'retry',
        hint: 'raise max_connections, or end idle sessions',
      };
    case 'ER_SECURE_TRANSPORT_REQUIRED':
      return {
        what: `the server at ${at} takes TLS connections only`,
        exitCode: 3,
        hint: 'source.tls: verify-identity, verify-ca or required',
      };
    case 'HANDSHAKE_NO_SSL_SUPPORT':
      return {
        what: `the server at ${at} has no TLS`,
        exitCode: 3,
        hint: 'give the server a certificate (ssl_cert, ssl_key), or source.tls: disabled where nobody can listen in',
      };
    case 'HANDSHAKE_SSL_ERROR':
      return diagnoseTls(message, at, source);
    case 'AUTH_SWITCH_PLUGIN_ERROR':
    case 'ER_NOT_SUPPORTED_AUTH_MODE':
      return {
        what: `user ${user} signs in by a plugin that cdc does not know`,
        exitCode: 3,
        hint: `ALTER USER '${user}'@'%' IDENTIFIED BY '…'; with a password`,
      };
  }
  if (errno === 1236 || code === 'ER_MASTER_FATAL_ERROR_READING_BINLOG') return diagnoseDump(message, source);
  if (TRANSIENT_ERRORS.has(code)) {
    return {
      what: `the server at ${at} has ended the connection`,
      kind: 'retry',
      hint: 'see that the server runs and has room; cdc run tries again by itself',
    };
  }
  if (code.startsWith('ER_') || (code === '' && errno !== 0)) {
    return { what: `the server at ${at} refused a question`, hint: 'see the reason above' };
  }
  // Without a code and with the connection whole, it is an error of ours.
  if (code === '' && failure.fatal !== true) {
    return { what: `the connection to ${at} failed`, hint: 'see the reason above; report it if it is not clear' };
  }
  // What else ends a connection is the network, DNS included, or a server that went: it is tried again.
  return {
    what: `the server at ${at} cannot be reached`,
    kind: 'retry',
    hint: 'check host and port in source.url, that the server runs, and that no firewall is between',
  };
}

function diagnoseTls(message: string, at: string, { ssl }: ConnectionTarget): Diagnosis {
  // A server that goes down in the middle of the handshake.
  if (/disconnected before secure|ECONNRESET|EPIPE|ETIMEDOUT|socket hang up/i.test(message)) {
    return {
      what: `the server at ${at} cannot be reached`,
      kind: 'retry',
      hint: 'see that the server runs and is reachable; cdc run tries again by itself',
    };
  }
  const refuse = (what: string, hint: string): Diagnosis => ({ what, hint, exitCode: 3 });
  if (/altnames|does not match/i.test(message))
    return refuse(
      `the certificate of ${at} is not for that host`,
      "use the certificate's host name in source.url, or source.tls: verify-ca",
    );
  if (/expired|not yet valid/i.test(message))
    return refuse(`the certificate of ${at} is out of date`, 'renew it on the server');
  if (/self[- ]signed|issuer|unable to verify|certificate/i.test(message)) {
    const given = typeof ssl === 'object' && ssl.ca !== undefined;
    return refuse(
      `the certificate of ${at} is not trusted`,
      given
        ? 'source.ca_file holds another authority than the one that signed it'
        : "source.ca_file: the PEM file of the authority that signed it (Amazon RDS: its global-bundle.pem; MySQL's own: ca.pem in its data directory)",
    );
  }
  return refuse(
    `no TLS connection to ${at}`,
    "check the TLS versions and certificate of the server (SHOW VARIABLES LIKE '%tls%')",
  );
}

const REMEDY =
  'move the checkpoint file away, start again (source.start says where), and copy the tables anew; the checkpoint has not moved';

/** Error 1236, with which the server ends a binlog dump for many reasons that only its text tells apart. */
function diagnoseDump(message: string, { serverId }: ConnectionTarget): Diagnosis {
  if (/same server_(uuid\/server_)?id|server_id.*already|identical/i.test(message)) {
    return {
      ...(serverId === 'auto' && { kind: 'retry' }),
      what: 'another replica with the same server id has connected',
      hint: 'set source.server_id to a number of its own, or leave it at auto',
    };
  }
  // Behind a proxy or a DNS name it may be another server than the one that was asked a moment ago. The next start
  // asks again, and stops if it is so.
  if (/more GTIDs than|has more GTIDs/i.test(message)) {
    return {
      what: 'the checkpoint is ahead of the server',
      kind: 'retry',
      hint: 'connect to the server that has these transactions',
    };
  }
  if (/not in the (master|source|primary)'?s? ?binlog|diverged/i.test(message)) {
    return {
      what: 'the server has never had what the checkpoint ends with',
      exitCode: 4,
      hint: `connect to the server that has it; or ${REMEDY}`,
    };
  }
  if (/purged|could not find (first log|GTID state)|missing|not find.*log/i.test(message)) {
    return { what: 'the server no longer has the binlog that the checkpoint needs', exitCode: 4, hint: REMEDY };
  }
  if (/position > file size|impossible position/i.test(message)) {
    return {
      what: 'the binlog of the server ends before the checkpoint',
      exitCode: 4,
      hint: `it was reset, or a crash has cut it: ${REMEDY}`,
    };
  }
  return {
    what: 'the server ended the binlog dump',
    hint: 'if it speaks of a position or of max_allowed_packet, the place to begin is not where an event begins: see source.start, or the checkpoint if the binlogs were reset',
  };
}
