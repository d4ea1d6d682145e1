import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'mysql2';
import { CdcError } from '../runtime/error.ts';
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

type ConnectionSettings = Pick<Config['source'], 'url'> & Partial<Config['source']>;

/**
 * The connection options of mysql2, which zongji uses too. Made for each connection, because they hold the
 * password that is in `password_file` now.
 */
export function sourceConnection(source: ConnectionSettings, section = 'source'): ConnectionOptions {
  const { host, port, user, password } = parseSourceUrl(source.url);
  const secret =
    source.password_file === undefined
      ? (source.password ?? password)
      : readPasswordFile(source.password_file, section);
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

/**
 * The connection options for reading the rows of a backfill: to `backfill.url`, with what `source` has where `backfill`
 * says nothing, or to the source itself.
 */
export function backfillConnection({ source, backfill }: Config): ConnectionOptions {
  const { url, tls = source.tls, ca = source.ca } = backfill;
  if (url === undefined) return sourceConnection(source);
  const hasPassword =
    backfill.password !== undefined ||
    backfill.password_file !== undefined ||
    parseSourceUrl(url).password !== undefined;
  const settings = { url, tls, ...(ca !== undefined && { ca }) };
  if (hasPassword) {
    return sourceConnection(
      { ...settings, password: backfill.password, password_file: backfill.password_file },
      'backfill',
    );
  }
  const inUrl = parseSourceUrl(hostUrls(source.url)[0] as string).password;
  return sourceConnection({
    ...settings,
    password: source.password ?? inUrl,
    password_file: source.password_file,
  });
}

/** The password in the file, without a line end after it. @throws CdcError; a rotation can be replacing the file */
export function readPasswordFile(file: string, section = 'source'): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new CdcError(`cannot read ${section}.password_file ${file}`, {
      kind: 'retry',
      why: (error as Error).message,
      hint: 'restore the file; cdc reads it for each connection',
      cause: error,
    });
  }
}
