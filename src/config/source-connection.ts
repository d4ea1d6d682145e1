import type { RotatedPassword, SourceConnection } from '../model/source-connection.ts';
import { hasPassword } from './connection-schema.ts';
import type { Config } from './schema.ts';
import { hostUrls, parseSourceUrl, tlsMode } from './url.ts';

/** One configuration for each host of source.url, each with this host only. */
export const configPerHost = (config: Config): Config[] =>
  hostUrls(config.source.url).map((url) => ({ ...config, source: { ...config.source, url } }));

/**
 * How long a connection is idle before TCP keepalive probes it. Only keepalive ends a paused connection to a dead peer:
 * no read deadline watches a paused connection.
 */
export const KEEPALIVE_DELAY_MS = 30_000;

/** The keys of a section that say how a server is reached, after the paths of files were made absolute. */
export type ConnectionSettings = Pick<Config['source'], 'url'> & Partial<Config['source']>;

/** @param section where `settings` are in the configuration, such as `source` */
export function sourceConnection(settings: ConnectionSettings, section = 'source'): SourceConnection {
  const { host, port, user, password: inUrl } = parseSourceUrl(settings.url);
  const { ca_file: caFile, cert_file: certFile, key_file: keyFile } = settings;
  const password = rotatedPassword(settings) ?? settings.password ?? inUrl;
  const mode = tlsMode(settings);
  return {
    ...{ host, port, user },
    ...(section !== 'source' && { section }),
    keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
    ...(password !== undefined && { password }),
    ...(mode !== 'disabled' && {
      ssl: {
        rejectUnauthorized: mode === 'verify-identity' || mode === 'verify-ca',
        verifyIdentity: mode === 'verify-identity',
        ...(caFile !== undefined && { caFile }),
        ...(certFile !== undefined && { certFile }),
        ...(keyFile !== undefined && { keyFile }),
      },
    }),
  };
}

/** Undefined for a password that stands in the configuration, or none. */
function rotatedPassword(settings: Partial<Config['source']>): RotatedPassword | undefined {
  const { password_file, password_secret, iam_auth } = settings;
  if (password_file !== undefined) return { file: password_file };
  if (password_secret !== undefined) return { secret: password_secret };
  if (iam_auth === undefined) return undefined;
  return { iam: iam_auth === true ? {} : iam_auth };
}

/**
 * How the server is reached that the rows of a backfill are read from: `backfill.url`, with what `source` has where
 * `backfill` says nothing, or the source itself.
 */
export function backfillConnection({ source, backfill }: Config): SourceConnection {
  const { url } = backfill;
  if (url === undefined) return sourceConnection(source);
  const { tls = source.tls, ca_file = source.ca_file } = backfill;
  // A certificate and its key belong together.
  const { cert_file, key_file } = backfill.cert_file === undefined ? source : backfill;
  const settings = { url, tls, ca_file, cert_file, key_file };
  if (hasPassword({ ...backfill, url })) {
    const { password, password_file, password_secret, iam_auth } = backfill;
    return sourceConnection({ ...settings, password, password_file, password_secret, iam_auth }, 'backfill');
  }
  return sourceConnection({ ...settings, ...inheritedPassword(source) });
}

/** The password of the source, for another host. A token is then for that host. */
function inheritedPassword(source: Config['source']): Partial<ConnectionSettings> {
  const { password, password_file, password_secret, iam_auth } = source;
  const inUrl = parseSourceUrl(hostUrls(source.url)[0] as string).password;
  const region = iam_auth === true ? undefined : iam_auth?.region;
  return {
    password: password ?? inUrl,
    ...{ password_file, password_secret },
    ...(iam_auth !== undefined && { iam_auth: region === undefined ? true : { region } }),
  };
}
