import { z } from 'zod';
import { parseTableName } from '../model/table-filter.ts';
import { connectionKeys } from './connection-schema.ts';
import { numberWithUnit, parseInteger, validatedString } from './refinements.ts';
import { parseDuration } from './units.ts';
import { parseSourceUrl } from './url.ts';

export const PARALLEL_MAX = 64;
export const RATE_MAX = 1_000_000_000;
/** No statement of a backfill takes more than a few seconds. */
const CHUNK_TIME_MAX_MS = 5_000;
export const MAX_LAG_MIN_MS = 1_000;
export const MAX_LAG_MAX_MS = 24 * 3_600_000;

/** The rules of the keys that the flags of `cdc backfill` set too. */
export const parallel = numberWithUnit(parseInteger, {
  min: 1,
  max: PARALLEL_MAX,
  what: `a whole number from 1 to ${PARALLEL_MAX}`,
});
export const rate = numberWithUnit(parseInteger, { min: 1, max: RATE_MAX, what: 'a whole number of rows, at least 1' });
export const maxLag = numberWithUnit(parseDuration, {
  min: MAX_LAG_MIN_MS,
  max: MAX_LAG_MAX_MS,
  what: 'a duration such as 60s, from 1s to 24h',
});

export const backfill = z
  .strictObject({
    parallel: parallel.prefault(4).describe('How many connections read at the same time.'),
    rate: rate.optional().describe('Rows per second, all connections together. Default: no limit.'),
    chunk_time: numberWithUnit(parseDuration, {
      min: 10,
      max: CHUNK_TIME_MAX_MS,
      what: 'a duration such as 500ms, from 10ms to 5s',
    })
      .prefault('500ms')
      .describe('How long one SELECT should take; the number of its rows follows from it.'),
    max_lag: maxLag
      .prefault('60s')
      .describe('Reading pauses while the stream, or a replica of the source, is behind by more than this.'),
    url: validatedString(parseSourceUrl)
      .optional()
      .describe('A replica of the source that the rows are read from, as mysql://user@host:port. Default: the source.'),
    ...connectionKeys,
    heartbeat_table: validatedString(parseTableName)
      .optional()
      .describe('A table, as schema.table, that cdc writes to on a server without GTIDs, see docs/BACKFILL.md.'),
  })
  .superRefine(({ url, ...keys }, context) => {
    if (url !== undefined) return;
    for (const key of Object.keys(connectionKeys) as (keyof typeof connectionKeys)[]) {
      if (keys[key] === undefined) continue;
      const message = 'has no effect without backfill.url; the rows are read from the source';
      context.addIssue({ code: 'custom', path: [key], message });
    }
  });
