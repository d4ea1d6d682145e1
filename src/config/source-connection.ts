import type { ConnectionOptions } from 'mysql2';
import type { Config } from './schema.ts';
import { hostUrls, parseSourceUrl, tlsMode } from './url.ts';

/** The configuration as it is for each of its hosts: whoever holds one of them knows of no other. */
export const configPerHost = (config: Config): Config[] =>
  hostUrls(config.source.url).map((url) => ({ ...config, source: { ...config.source, url } }));

/** How mysql2, and zongji through it, connects to the source. */
export function sourceConnection(source: Config['source']): ConnectionOptions {
  const { host, port, user, password } = parseSourceUrl(source.url);
  const secret = source.password ?? password;
  const mode = tlsMode(source);
  return {
    host,
    port,
    user,
    // What a dead peer does not acknowledge ends the connection, a paused one too, which no read deadline watches.
    keepAliveInitialDelay: 30_000,
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
