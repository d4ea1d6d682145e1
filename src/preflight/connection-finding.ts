import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import { error, type Finding, transientError } from '../model/finding.ts';
import { CdcError } from '../runtime/error.ts';
import { connectionError } from '../source/server/connection-error.ts';

/** A failed connection to the source as a finding. */
export function connectionFinding(failure: unknown, source: Config['source']): Finding {
  // The connection was not even tried if its password_file cannot be read.
  const diagnosed = failure instanceof CdcError ? failure : connectionError(failure, sourceConnection(source));
  const { message, kind, why = '', hint = '' } = diagnosed;
  return (kind === 'retry' ? transientError : error)(message, why, hint);
}
