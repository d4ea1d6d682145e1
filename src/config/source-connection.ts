import type { ConnectionOptions } from 'mysql2';
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

/** The connection options of mysql2, which zongji uses too. */
export function sourceConnection(source: Config['source']): ConnectionOptions {
  const { host, port, user, password } = parseSourceUrl(source.url);
  const secret = source.password ?? password;
  const mode = tlsMode(source);
  return {
    host,
    port,
    user,
    keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
    ...(secret !== undefined && { password: secret }),
    ...(mode !== 'disabled' && {
      ssl: {
        rejectUnauthorized: mode !== 'required',
        verifyIdentity: mode === 'verify-identity',
        ...(source.ca !== undefined && { ca: source.ca }),
      },
    }),
  };
}
