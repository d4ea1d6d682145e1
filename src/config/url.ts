import { isIP } from 'node:net';
import { CdcError } from '../runtime/error.ts';

interface SourceUrl {
  host: string;
  port: number;
  user: string;
  password: string | undefined;
}

/** The values of source.tls. Without it, the mode depends on the host. */
export type TlsMode = (typeof TLS_MODES)[number];
export const TLS_MODES = ['verify-identity', 'verify-ca', 'required', 'disabled'] as const;

const PERCENT_ENCODING_HINT =
  'in user and password, percent-encode / ? # @ : % (as %2F %3F %23 %40 %3A %25), or use source.password';

/**
 * The URL of each host in a source URL, in order. Several hosts are written as in MySQL's own clients,
 * `mysql://cdc@db1:3306,db2:3306/`, and share user and password.
 */
export function hostUrls(text: string): string[] {
  const at = text.lastIndexOf('@') + 1;
  if (at === 0) return [text];
  const rest = text.slice(at);
  const end = rest.search(/[/?#]/);
  const hosts = end < 0 ? rest : rest.slice(0, end);
  return hosts.split(',').map((host) => text.slice(0, at) + host.trim() + rest.slice(hosts.length));
}

/**
 * Parses `mysql://user[:password]@host[:port]` with one host, percent-decoded.
 * @throws CdcError with exit code 2; no message contains any part of the URL, because that can be the password
 */
export function parseSourceUrl(text: string): SourceUrl {
  if (namesSocket(text)) {
    throw invalidUrl('names a Unix socket', 'replication needs TCP: use mysql://user@127.0.0.1:3306');
  }
  if (!/^(mysql|mariadb):\/\//.test(text))
    throw invalidUrl('does not begin with mysql://', 'use mysql://user@host:3306');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalidUrl('cannot be parsed', `use mysql://user@host:3306; ${PERCENT_ENCODING_HINT}`);
  }
  if (url.pathname !== '' && url.pathname !== '/') {
    throw invalidUrl('has a path after the host', `choose databases with \`tables\`; ${PERCENT_ENCODING_HINT}`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw invalidUrl(
      'has a query or a fragment',
      `options are separate keys, such as source.tls; ${PERCENT_ENCODING_HINT}`,
    );
  }
  const host = decode(url.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (host === '' || host.includes(',')) throw invalidUrl('has no host', 'use mysql://user@host:3306');
  if (url.username === '') throw invalidUrl('has no user', 'use mysql://user@host:3306');
  if (url.port === '0') throw invalidUrl('has port 0', 'use mysql://user@host:3306');
  return {
    host,
    port: url.port === '' ? 3306 : Number(url.port),
    user: decode(url.username),
    password: url.password === '' ? undefined : decode(url.password),
  };
}

/** Whether a socket file is named as other clients accept it, in the part after user and password. */
function namesSocket(text: string): boolean {
  const [, scheme = '', rest = ''] = /^([\w+]*):\/\/(.*)$/s.exec(text) ?? [];
  if (/(^|\+)(unix|socket)$/.test(scheme)) return true;
  const place = rest.slice(rest.lastIndexOf('@') + 1);
  return /^(\/|%2f)./i.test(place) || /[?&]socket(path)?=/i.test(place) || /\.sock(?=[/:?#]|$)/.test(place);
}

/** The TLS mode. Without `tls` it is full verification, except for this machine, where TLS is disabled. */
export function tlsMode(source: { url: string; tls?: TlsMode | undefined }): TlsMode {
  return source.tls ?? (isLoopback(parseSourceUrl(source.url).host) ? 'disabled' : 'verify-identity');
}

/** mysql2 gives Node no server name for an IP address, so Node would compare the certificate with "localhost". */
export const canVerifyIdentity = (url: string): boolean => isIP(parseSourceUrl(url).host) === 0;

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidUrl('has a % that is not followed by two hex digits', PERCENT_ENCODING_HINT);
  }
}

function invalidUrl(what: string, hint: string): CdcError {
  return new CdcError(`the source URL ${what}`, { exitCode: 2, hint });
}
