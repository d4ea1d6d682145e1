import type { ConnectionOptions } from 'mysql2';
import type { SourceConnection } from '../model/source-connection.ts';
import { CdcError } from '../runtime/error.ts';
import { readPasswordFile } from './password-file.ts';
import { tlsOptions } from './tls-files.ts';

/** The options of one attempt to connect. */
export interface Attempt {
  options: ConnectionOptions;
  /** Whether the password was read some time ago: then the server can know a newer one already. */
  isCached: boolean;
}

interface Login {
  user?: string;
  password?: string;
  isCached?: boolean;
  /** Sent as it is, inside TLS: the server checks it elsewhere. */
  enableCleartextPlugin?: true;
}

/**
 * The options of mysql2, which zongji uses too, with the password and the certificates of now. Made for each attempt to
 * connect, because all of them can be rotated.
 * @throws CdcError if one of them cannot be read
 */
export async function connectionAttempt({ section = 'source', ...connection }: SourceConnection): Promise<Attempt> {
  const { password: source, ssl, ...options } = connection;
  const { isCached = false, ...login } = await logIn(connection, source, section);
  return {
    options: { ...options, ...login, ...(ssl !== undefined && { ssl: tlsOptions(ssl, section) }) },
    isCached,
  };
}

/** The options of an attempt whose password needs no second try. */
export const connectionOptions = async (connection: SourceConnection): Promise<ConnectionOptions> =>
  (await connectionAttempt(connection)).options;

/**
 * The server has rejected the password of an attempt: the next one asks for it again. Of no effect where each attempt
 * asks.
 */
export async function forgetPassword(
  { password }: SourceConnection,
  { password: rejected }: ConnectionOptions,
): Promise<void> {
  if (typeof password !== 'object' || !('secret' in password)) return;
  const { secrets } = await import('./secret-cache.ts');
  secrets.forget(password.secret, rejected);
}

async function logIn(
  { host, port, user, ssl }: Pick<SourceConnection, 'host' | 'port' | 'user' | 'ssl'>,
  password: SourceConnection['password'],
  section: string,
): Promise<Login> {
  if (password === undefined) return {};
  if (typeof password === 'string') return { password };
  if ('file' in password) return { password: readPasswordFile(password.file, section) };
  // The AWS SDK is loaded only if it is needed.
  if ('secret' in password) {
    const { secrets } = await import('./secret-cache.ts');
    return secrets.read(password.secret, section);
  }
  // The configuration excludes it. This is the last place before the token would leave in clear text.
  if (ssl === undefined)
    throw new CdcError(`${section}.iam_auth needs TLS`, { exitCode: 2, hint: `set ${section}.tls` });
  const { createToken } = await import('./rds-token.ts');
  return { password: await createToken({ host, port, user }, password.iam, section), enableCleartextPlugin: true };
}
