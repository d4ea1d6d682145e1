import type { HighWatermark, Processed } from '../../backfill/read/row-chunk.ts';
import { type Coordinates, fileNumber } from '../../model/coordinates.ts';
import { GtidSet } from '../../model/gtid-set.ts';
import { MariadbGtidPosition } from '../../model/mariadb-gtid-position.ts';
import { formatSeq } from '../../model/seq.ts';
import type { StreamStatus } from '../../model/stream-status.ts';

/** What a pipeline has delivered, as the status of a daemon says it, for a SELECT that is to see it. */
export function processedOf(
  { file, position, gtids }: StreamStatus['delivered'],
  flavor: 'mysql' | 'mariadb',
): Processed {
  const parse = flavor === 'mariadb' ? MariadbGtidPosition.parse : GtidSet.parse;
  return { coordinates: { file, position }, gtids: gtids === null ? undefined : parse(gtids) };
}

/** Every event before the coordinates has a lower seq, and every event behind them one that is not lower. */
export const seqAtCoordinates = (epoch: number, { file, position }: Coordinates): string =>
  formatSeq({ epoch, file: fileNumber(file), position, ordinal: 0 });

export function coordinatesOf(high: HighWatermark): Coordinates {
  if ('coordinates' in high) return high.coordinates;
  throw new Error('the source has a watermark without coordinates');
}
