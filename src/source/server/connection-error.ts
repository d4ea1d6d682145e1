import type { RotatedPassword, SourceConnection } from '../../model/source-connection.ts';
import { CdcError, type ErrorDetails } from '../../runtime/error.ts';
import { START_OVER_HINT } from './recovery-hints.ts';

interface Failure {
  code?: string;
  errno?: number;
  /** Set by mysql2 if the error ended the connection. */
  fatal?: boolean;
  message: string;
}

/** Who connects, and where to. */
interface ConnectionTarget
  extends Partial<Pick<SourceConnection, 'host' | 'port' | 'user' | 'password' | 'ssl' | 'section'>> {
  /** The server id of a dump. With `auto`, the next attempt uses another one. */
  serverId?: number | 'auto';
}

/** What happened, whether it can clear by itself, and what to do. The reason is the server's own message. */
interface Diagnosis extends Pick<ErrorDetails, 'kind' | 'exitCode'> {
  what: string;
  hint: string;
}

/**
 * Classifies connection and server errors for preflight, start and streaming. `retry` can clear by itself; everything
 * else needs an operator.
 */
export function connectionError(error: unknown, target: ConnectionTarget): CdcError {
  if (error instanceof CdcError) return error;
  const failure = error as Failure;
  const { what, hint, kind, exitCode } = diagnose(failure, target);
  return new CdcError(what, {
    ...(kind && { kind }),
    ...(exitCode && { exitCode }),
    why: failure.message || failure.code || 'the error has no message',
    hint,
    cause: error,
  });
}

function diagnose(failure: Failure, target: ConnectionTarget): Diagnosis {
  const { code = '', errno = 0, message } = failure;
  const address = `${target.host}:${target.port}`;
  if (isCertificateAlert(failure)) return refusedCertificate(address, target);
  const rule = RULES.get(code);
  if (rule !== undefined) return rule(address, target, message);
  if (errno === 1236) return diagnoseDump(target, message);
  if (code.startsWith('ER_') || (code === '' && errno !== 0)) {
    return { what: `the server at ${address} rejected a query`, hint: 'see the reason above' };
  }
  // An error without a code that left the connection open comes from cdc itself.
  if (code === '' && failure.fatal !== true) {
    return { what: `the connection to ${address} failed`, hint: 'see the reason above; report it if it is unclear' };
  }
  // Everything else that ends a connection comes from the network, DNS included, or from a server that went down.
  return unreachable(
    address,
    'check host and port in source.url, that the server runs, and that no firewall blocks it',
  );
}

const unreachable = (address: string, hint: string): Diagnosis => ({
  what: `the server at ${address} cannot be reached`,
  kind: 'retry',
  hint,
});

type DiagnosisRule = (address: string, target: ConnectionTarget, message: string) => Diagnosis;

/** Errors that need an operator stop `cdc run` before it starts, as a failed preflight does. */
const rejected = (what: string, hint: string): Diagnosis => ({ what, exitCode: 3, hint });

const endedConnection: DiagnosisRule = (address) => ({
  what: `the server at ${address} ended the connection`,
  kind: 'retry',
  hint: 'check that the server runs and has free resources; cdc run retries by itself',
});

/** By error code of the server (mysqld_error.h), or of mysql2 where the code does not begin with ER_. */
const RULES_BY_CODES: readonly (readonly [codes: readonly string[], rule: DiagnosisRule])[] = [
  [
    ['ER_ACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR', 'ER_DBACCESS_DENIED_ERROR'],
    (address, target) =>
      rejected(`the server at ${address} rejects user ${target.user} or its password`, accessHint(target)),
  ],
  [
    ['ER_ACCOUNT_HAS_BEEN_LOCKED', 'ER_MUST_CHANGE_PASSWORD', 'ER_MUST_CHANGE_PASSWORD_LOGIN'],
    (address, { user }) =>
      rejected(
        `the server at ${address} has locked user ${user} or its password has expired`,
        `ALTER USER '${user}'@'%' ACCOUNT UNLOCK; or set a new password`,
      ),
  ],
  [
    ['ER_SPECIFIC_ACCESS_DENIED_ERROR', 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR'],
    (_, { user }) => rejected(`user ${user} lacks a privilege`, 'run cdc check, which prints the GRANT statement'),
  ],
  [
    ['ER_HOST_NOT_PRIVILEGED'],
    (address, { user }) =>
      rejected(
        `the server at ${address} accepts no user from this host`,
        `CREATE USER '${user}'@'%' IDENTIFIED BY '…'; or one for the address of this host`,
      ),
  ],
  [
    ['ER_HOST_IS_BLOCKED'],
    (address) =>
      rejected(
        `the server at ${address} has blocked this host`,
        'TRUNCATE TABLE performance_schema.host_cache; (MariaDB: FLUSH HOSTS;)',
      ),
  ],
  [
    ['ER_CON_COUNT_ERROR'],
    (address) => ({
      what: `the server at ${address} has no free connection`,
      kind: 'retry',
      hint: 'raise max_connections, or end idle sessions',
    }),
  ],
  [['ER_TOO_MANY_USER_CONNECTIONS', 'ER_USER_LIMIT_REACHED'], diagnoseUserLimit],
  [['PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE'], diagnoseClosed],
  [
    ['ER_SECURE_TRANSPORT_REQUIRED'],
    (address, { section = 'source' }) =>
      rejected(
        `the server at ${address} accepts only TLS connections`,
        `set ${section}.tls to verify-identity, verify-ca or required`,
      ),
  ],
  [
    ['HANDSHAKE_NO_SSL_SUPPORT'],
    (address, { section = 'source' }) =>
      rejected(
        `the server at ${address} has no TLS`,
        `give the server a certificate (ssl_cert, ssl_key), or set ${section}.tls: disabled if nobody can read the network`,
      ),
  ],
  [['HANDSHAKE_SSL_ERROR'], diagnoseTls],
  [
    ['AUTH_SWITCH_PLUGIN_ERROR', 'ER_NOT_SUPPORTED_AUTH_MODE'],
    (_, { user }) =>
      rejected(
        `user ${user} has an authentication plugin that cdc does not support`,
        `ALTER USER '${user}'@'%' IDENTIFIED BY '…'; with a password`,
      ),
  ],
  [['ER_MASTER_FATAL_ERROR_READING_BINLOG'], (_, target, message) => diagnoseDump(target, message)],
  // The server is overloaded or shutting down, or someone ended the session.
  [
    [
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
    ],
    endedConnection,
  ],
];
const RULES: ReadonlyMap<string, DiagnosisRule> = new Map(
  RULES_BY_CODES.flatMap(([codes, rule]) => codes.map((code) => [code, rule] as const)),
);

/** The connection stood, so neither its address nor a firewall is the cause. */
function diagnoseClosed(address: string, { serverId }: ConnectionTarget): Diagnosis {
  const hint =
    'the server restarted, someone ended the session (KILL), or a proxy or time limit did; cdc run connects again by itself';
  if (serverId === undefined) return unreachable(address, hint);
  return { what: `the binlog connection to ${address} was closed`, kind: 'retry', hint };
}

/** The server gives one answer for every reason. */
function accessHint({ user, password, ssl, section = 'source' }: ConnectionTarget): string {
  const create = `if there is no such user: CREATE USER '${user}'@'%' IDENTIFIED BY '…'; then cdc check prints its GRANT`;
  const tls =
    ssl === undefined
      ? `; a user with REQUIRE SSL needs ${section}.tls: required or verify-identity`
      : ssl.certFile === undefined
        ? `; a user with REQUIRE X509 needs ${section}.cert_file and key_file`
        : '; a user with REQUIRE SUBJECT or ISSUER needs a client certificate with that subject or issuer';
  if (typeof password === 'object') return `${rotatedPasswordHint(user, password, section)}${tls}`;
  if (password === undefined) {
    const where = `use ${section}.password, password_file, password_secret or iam_auth, or the one in ${section}.url`;
    return `no password is set: ${where}; ${create}${tls}`;
  }
  if (password === '') {
    return `the password is empty: check the environment variable or the file that it comes from; ${create}${tls}`;
  }
  return `check user and password of the source, or ALTER USER '${user}'@'%' IDENTIFIED BY '…'; ${create}${tls}`;
}

function rotatedPasswordHint(user: string | undefined, password: RotatedPassword, section: string): string {
  if ('file' in password) return `check user and password, which is in ${password.file} (is it empty?)`;
  if ('secret' in password) {
    const { id, key } = password.secret;
    return `check the user in ${section}.url and the password in the secret ${id} (its key ${key}, if it is JSON)`;
  }
  return (
    `allow {"Effect":"Allow","Action":"rds-db:connect","Resource":"arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE_ID/${user}"}, ` +
    `and CREATE USER '${user}'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'; ` +
    `the token is for the host in ${section}.url (or iam_auth.host) and its region, and a wrong clock invalidates it`
  );
}

/** Limits that MySQL's messages name otherwise than ALTER USER does. MariaDB's have the names of ALTER USER. */
const USER_LIMITS: Readonly<Record<string, string>> = {
  max_questions: 'MAX_QUERIES_PER_HOUR',
  max_updates: 'MAX_UPDATES_PER_HOUR',
};

function diagnoseUserLimit(address: string, { user }: ConnectionTarget, message: string): Diagnosis {
  const limit = /'(max_\w+)'/.exec(message)?.[1] ?? 'max_user_connections';
  const orGlobal =
    limit === 'max_user_connections' ? ' or, if it is the default of the server: raise the variable' : '';
  return {
    what: `user ${user} has reached its ${limit} on the server at ${address}`,
    kind: 'retry',
    hint: `ALTER USER '${user}'@'%' WITH ${USER_LIMITS[limit] ?? limit.toUpperCase()} 0;${orGlobal}`,
  };
}

function diagnoseTls(address: string, { ssl, section = 'source' }: ConnectionTarget, message: string): Diagnosis {
  // The server went down during the handshake.
  if (/disconnected before secure|ECONNRESET|EPIPE|ETIMEDOUT|socket hang up/i.test(message)) {
    return unreachable(address, 'check that the server runs and can be reached; cdc run retries by itself');
  }
  if (/altnames|does not match/i.test(message)) {
    return rejected(
      `the certificate of ${address} is for another host name`,
      `use the certificate's host name in ${section}.url, or set ${section}.tls: verify-ca`,
    );
  }
  if (/expired|not yet valid/i.test(message)) {
    return rejected(`the certificate of ${address} has expired or is not yet valid`, 'renew it on the server');
  }
  if (/self[- ]signed|issuer|unable to verify|certificate/i.test(message)) {
    return rejected(
      `the certificate of ${address} is not trusted`,
      ssl?.caFile !== undefined
        ? `${section}.ca_file has another authority than the one that signed the certificate`
        : `set ${section}.ca_file to the PEM file of the authority that signed it (Amazon RDS: its global-bundle.pem; MySQL's own: ca.pem in its data directory)`,
    );
  }
  return rejected(
    `no TLS connection to ${address}`,
    "check the TLS versions and the certificate of the server (SHOW VARIABLES LIKE '%tls%')",
  );
}

/** A server sends a transaction only if its gtid_mode of now allows what the transaction has: a GTID, or none. */
function diagnoseGtidMode(message: string): Diagnosis | undefined {
  if (/cannot start in AUTO_POSITION mode|anonymous transaction when AUTO_POSITION/i.test(message)) {
    return {
      what: 'gtid_mode of the server is not ON any more',
      kind: 'retry',
      hint: 'cdc continues at its binlog position; set gtid_mode to ON again to be able to change the server',
    };
  }
  const refused = (which: string, until: string, then: string): Diagnosis => ({
    what: `the server does not send the transactions after the checkpoint, ${which}`,
    exitCode: 4,
    hint: `SET GLOBAL gtid_mode = ${until}; and start cdc again: nothing is lost while their binlogs are there. When cdc has read them, set it to ${then} again`,
  });
  if (/anonymous transaction when @@GLOBAL.GTID_MODE = ON/i.test(message)) {
    return refused('which have no GTID', 'ON_PERMISSIVE', 'ON');
  }
  if (/GTID-transaction when @@GLOBAL.GTID_MODE = OFF/i.test(message)) {
    return refused('which have GTIDs', 'OFF_PERMISSIVE', 'OFF');
  }
  return undefined;
}

/**
 * An alert of TLS that the server sends about the certificate of its client. With TLS 1.3 it comes after the handshake
 * of the client has ended.
 */
const isCertificateAlert = ({ message }: Failure): boolean =>
  /:SSL routines:.*\balert (unknown ca|decrypt error|.*certificate)/i.test(message);

function refusedCertificate(address: string, { ssl, section = 'source' }: ConnectionTarget): Diagnosis {
  return rejected(
    `the server at ${address} refuses the client certificate`,
    ssl?.certFile === undefined
      ? `set ${section}.cert_file and key_file, which the server asks for`
      : `renew ${ssl.certFile}, from an authority in the ssl_ca of the server`,
  );
}

/** Whether the server refuses the client certificate, for this reason or an error below it. */
export function isCertificateRefused(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (isCertificateAlert(at)) return true;
  return false;
}

/** Error 1236 ends a binlog dump for many reasons, which differ only in their text. */
function diagnoseDump({ serverId }: ConnectionTarget, message: string): Diagnosis {
  const startOver = `${START_OVER_HINT}; the checkpoint has not moved`;
  if (/same server_(uuid\/server_)?id|server_id.*already|identical/i.test(message)) {
    return {
      ...(serverId === 'auto' && { kind: 'retry' }),
      what: 'another replica with the same server id has connected',
      hint: 'set source.server_id to an unused number, or leave it at auto',
    };
  }
  // Through a proxy or a DNS name, another server than before can answer. The next start compares again, and stops
  // if the server really lacks these transactions.
  const ofMode = diagnoseGtidMode(message);
  if (ofMode !== undefined) return ofMode;
  if (/more GTIDs than|has more GTIDs/i.test(message)) {
    return {
      what: 'the checkpoint is ahead of the server',
      kind: 'retry',
      hint: 'connect to the server that has these transactions',
    };
  }
  if (/not in the (master|source|primary)'?s? ?binlog|diverged/i.test(message)) {
    return {
      what: 'the server never had the last transaction of the checkpoint',
      exitCode: 4,
      hint: `connect to the server that has it; or ${startOver}`,
    };
  }
  if (/purged|could not find (first log|GTID state)|missing|not find.*log/i.test(message)) {
    return { what: 'the server no longer has the binlog that the checkpoint needs', exitCode: 4, hint: startOver };
  }
  if (/position > file size|impossible position/i.test(message)) {
    return {
      what: 'the binlog of the server ends before the checkpoint',
      exitCode: 4,
      hint: `the binlog was reset, or a crash truncated it: ${startOver}`,
    };
  }
  return {
    what: 'the server ended the binlog dump',
    hint: 'if the reason mentions a position or max_allowed_packet, the start position is not an event boundary: check source.start, or the checkpoint if the binlogs were reset',
  };
}
