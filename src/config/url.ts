import { isIP } from 'node:net';
import { CdcError } from '../runtime/error.ts';

interface SourceUrl {
  host: string;
  port: number;
  user: string;
  password: string | undefined;
}

/** The TLS options of a source; `tls` left out depends on the host. */
export type TlsMode = (typeof TLS_MODES)[number];
export const TLS_MODES = ['verify-identity', 'verify-ca', 'required', 'disabled'] as const;

const PERCENT =
  'within user and password, percent-encode / ? # @ : % (as %2F %3F %23 %40 %3A %25), or use source.password';

/**
 * The url of each host that a source url names, `mysql://cdc@db1:3306,db2:3306/` as MySQL's own clients write it, in
 * order. Hosts share user and password.
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
 * `mysql://user[:password]@host[:port]`, one host, percent-decoded.
 * @throws CdcError with exit code 2; no message shows any part of the url, for it may hold the password.
 */
export function parseSourceUrl(text: string): SourceUrl {
  if (!/^(mysql|mariadb):\/\//.test(text)) throw bad('does not begin with mysql://', 'write mysql://user@host:3306');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('cannot be read', `write mysql://user@host:3306; ${PERCENT}`);
  }
  if (url.pathname !== '' && url.pathname !== '/') {
    throw bad('has a path after the host', `a database is chosen with \`tables\`; ${PERCENT}`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw bad('has a query or a fragment', `options have keys of their own, such as source.tls; ${PERCENT}`);
  }
  const host = decode(url.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (host === '' || host.includes(',')) throw bad('names no host', 'write mysql://user@host:3306');
  if (url.username === '') throw bad('names no user', 'write mysql://user@host:3306');
  if (url.port === '0') throw bad('has port 0', 'write mysql://user@host:3306');
  return {
    host,
    port: url.port === '' ? 3306 : Number(url.port),
    user: decode(url.username),
    password: url.password === '' ? undefined : decode(url.password),
  };
}

/** What `tls` means where it is left out: full verification, save for this very machine. */
export function tlsMode(source: { url: string; tls?: TlsMode | undefined }): TlsMode {
  return source.tls ?? (isLoopback(parseSourceUrl(source.url).host) ? 'disabled' : 'verify-identity');
}

/** mysql2 gives Node no server name for an address, so Node would compare the certificate with "localhost". */
export const canVerifyIdentity = (url: string): boolean => isIP(parseSourceUrl(url).host) === 0;

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('has a % that is not followed by two hex digits', PERCENT);
  }
}

function bad(what: string, hint: string): CdcError {
  return new CdcError(`the source url ${what}`, { exitCode: 2, hint });
}
