import type { SourceConnection } from '../../model/source-connection.ts';
import { CdcError } from '../../runtime/error.ts';
import { isPasswordRejected } from '../../secrets/open-connection.ts';
import { isCertificateRefused } from './connection-error.ts';

/**
 * A password or certificate that the preflight could use is being rotated if the server rejects it later: the server
 * knows the new one before its file or its secret has it, or the other way round. It is read again for each connection,
 * so such an error is retried.
 * @param connections those that the error can come from
 */
export function retriedDuringRotation(error: CdcError, connections: readonly SourceConnection[]): CdcError {
  if (error.kind === 'retry' || !(isPasswordRejected(error) || isCertificateRefused(error))) return error;
  const [hint] = connections.flatMap(rotationHint);
  if (hint === undefined) return error;
  return new CdcError(error.message, { kind: 'retry', ...(error.why && { why: error.why }), hint, cause: error });
}

function rotationHint({ password, user, ssl }: SourceConnection): string[] {
  if (typeof password !== 'object') {
    return ssl?.certFile === undefined ? [] : [`renew ${ssl.certFile} and its key; cdc reads them for each attempt`];
  }
  if ('file' in password) {
    const { file } = password;
    return [`write the new password into ${file}, or set that one on the server; cdc reads the file for each attempt`];
  }
  if ('secret' in password) {
    const { id } = password.secret;
    return [
      `put the new password into the secret ${id}, or set that one on the server; cdc asks for it at each attempt`,
    ];
  }
  return [
    `check that the credentials still allow rds-db:connect for ${user}, and the clock; each attempt has a new token`,
  ];
}
