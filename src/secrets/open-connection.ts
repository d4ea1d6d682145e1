import type { ConnectionOptions } from 'mysql2';
import type { SourceConnection } from '../model/source-connection.ts';
import { connectionAttempt, forgetPassword } from './connection-options.ts';

/**
 * Opens a connection with the password and the certificates of now. If the server rejects a password that was read some
 * time ago, it is read again, and the connection is tried once more: its rotation then costs nothing.
 * @throws CdcError if password or certificates cannot be read; else what `open` throws
 */
export async function openConnection<T>(
  connection: SourceConnection,
  open: (options: ConnectionOptions) => Promise<T>,
): Promise<T> {
  const { options, isCached } = await connectionAttempt(connection);
  try {
    return await open(options);
  } catch (error) {
    if (!isPasswordRejected(error)) throw error;
    await forgetPassword(connection, options);
    if (!isCached) throw error;
  }
  const { options: renewed } = await connectionAttempt(connection);
  return await open(renewed);
}

/** Whether the server rejects user or password, for this reason or an error below it. */
export function isPasswordRejected(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code = '' } = at as { code?: string };
    if (code === 'ER_ACCESS_DENIED_ERROR' || code === 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR') return true;
  }
  return false;
}
