import { isBefore } from '../../model/coordinates.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import { CdcError } from '../../runtime/error.ts';
import { WINDOW_TIMEOUT_MS } from '../limits.ts';
import type { HighWatermark, Processed } from '../read/row-chunk.ts';
import type { MergePoint } from './merge-point.ts';

/** Resolves once the stream has processed everything that the rows were read with. */
export async function reachWatermark(
  { merge, signal }: { merge: MergePoint; signal: AbortSignal },
  high: HighWatermark,
): Promise<void> {
  const timeout = AbortSignal.timeout(WINDOW_TIMEOUT_MS);
  try {
    await merge.reached(high, AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error;
    throw new CdcError('the stream has not reached the rows that were read', {
      kind: 'retry',
      why: `it did not get there in ${WINDOW_TIMEOUT_MS / 1000} s`,
    });
  }
}

/** The end of the binlog after a SELECT is behind all that the stream has had, unless the binlogs were reset. */
export function assertSameBinlog(high: HighWatermark, { coordinates, gtids }: Processed): void {
  // The view of MariaDB can be at the end of the file before.
  if (gtids instanceof MariadbGtidPosition) return;
  if (!('coordinates' in high) || !isBefore(high.coordinates, coordinates)) return;
  throw new CdcError('the binlogs of the server were reset', {
    why: `the stream is at ${coordinates.file}:${coordinates.position}, and the binlog ends at ${high.coordinates.file}:${high.coordinates.position}`,
    hint: 'restart cdc run; it says how to continue after a reset',
  });
}
