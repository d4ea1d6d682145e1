import type { Config } from '../config/schema.ts';
import { parseSourceUrl, tlsMode } from '../config/url.ts';
import { error, outage, type Problem } from './problem.ts';

interface ConnectionFailure {
  code?: string;
  message: string;
}

/** Why the source could not be talked to: out of reach, password refused and TLS trouble are told apart. */
export function connectionProblem(failure: ConnectionFailure, source: Config['source']): Problem {
  const { host, port, user } = parseSourceUrl(source.url);
  const at = `${host}:${port}`;
  const why = failure.message || failure.code || 'no reason was given';
  switch (failure.code) {
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
      return error(`the server at ${at} refuses user ${user} or its password`, why, passwordFix(source, user));
    case 'ER_HOST_NOT_PRIVILEGED':
      return error(
        `the server at ${at} lets nobody in from this host`,
        why,
        `CREATE USER '${user}'@'%' IDENTIFIED BY '…'; or one for this host's address`,
      );
    case 'ER_HOST_IS_BLOCKED':
      return error(
        `the server at ${at} has blocked this host`,
        why,
        'TRUNCATE TABLE performance_schema.host_cache; (MariaDB: FLUSH HOSTS;)',
      );
    case 'ER_CON_COUNT_ERROR':
    case 'ER_TOO_MANY_USER_CONNECTIONS':
      return outage(
        `the server at ${at} has no connection to spare`,
        why,
        'raise max_connections, or end idle sessions',
      );
    case 'ER_SECURE_TRANSPORT_REQUIRED':
      return error(
        `the server at ${at} takes TLS connections only`,
        why,
        'source.tls: verify-identity, verify-ca or required',
      );
    case 'HANDSHAKE_NO_SSL_SUPPORT':
      return error(
        `the server at ${at} has no TLS`,
        `source.tls is ${tlsMode(source)}`,
        'give the server a certificate (ssl_cert, ssl_key), or source.tls: disabled where nobody can listen in',
      );
    case 'HANDSHAKE_SSL_ERROR':
      return tlsProblem(why, at, source);
    case 'AUTH_SWITCH_PLUGIN_ERROR':
      return error(
        `user ${user} signs in by a plugin that cdc does not know`,
        why,
        `ALTER USER '${user}'@'%' IDENTIFIED BY '…'; with a password`,
      );
  }
  if (failure.code?.startsWith('ER_'))
    return error(`the server at ${at} refused a question`, why, 'see the reason above');
  return outage(
    `the server at ${at} cannot be reached`,
    why,
    'check host and port in source.url, that the server runs, and that no firewall is between',
  );
}

function passwordFix(source: Config['source'], user: string): string {
  const given = source.password ?? parseSourceUrl(source.url).password;
  return given === undefined
    ? 'no password is given: source.password, source.password_file, or one in source.url'
    : `check user and password of the source, or ALTER USER '${user}'@'%' IDENTIFIED BY '…';`;
}

function tlsProblem(why: string, at: string, source: Config['source']): Problem {
  if (/altnames|does not match/i.test(why)) {
    const fix = "use the certificate's host name in source.url, or source.tls: verify-ca";
    return error(`the certificate of ${at} is not for that host`, why, fix);
  }
  if (/expired|not yet valid/i.test(why))
    return error(`the certificate of ${at} is out of date`, why, 'renew it on the server');
  if (/self[- ]signed|issuer|unable to verify|certificate/i.test(why)) {
    const fix =
      source.ca === undefined
        ? "source.ca_file: the PEM file of the authority that signed it (Amazon RDS: its global-bundle.pem; MySQL's own: ca.pem in its data directory)"
        : 'source.ca_file holds another authority than the one that signed it';
    return error(`the certificate of ${at} is not trusted`, why, fix);
  }
  return error(
    `no TLS connection to ${at}`,
    why,
    "check the TLS versions and certificate of the server (SHOW VARIABLES LIKE '%tls%')",
  );
}
