import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import { error, type Finding, transientError } from '../model/finding.ts';
import { connectionError } from '../source/server/connection-error.ts';

/** A failed connection to the source as a finding. */
export function connectionFinding(failure: unknown, source: Config['source']): Finding {
  const { message, kind, why = '', hint = '' } = connectionError(failure, sourceConnection(source));
  return (kind === 'retry' ? transientError : error)(message, why, hint);
}
