import { z } from 'zod';
import { parseCoordinates } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import { checkConnection, connectionKeys, sourceUrl } from './connection-schema.ts';
import { parseInteger, validatedString } from './refinements.ts';

/** @throws Error if the text is not a start position */
export function parseStart(text: string, words = 'now, earliest'): void {
  if (text === 'now' || text === 'earliest' || text === 'start' || parseCoordinates(text)) return;
  if (/^[0-9a-f]{8}-/i.test(text)) GtidSet.parse(text);
  else if (/^\d+-/.test(text)) MariadbGtidPosition.parse(text);
  else
    throw new Error(
      `"${text}" is not a start position: use ${words}, a GTID set, or file:position such as binlog.000012:4`,
    );
}

const EPOCH_MESSAGE = 'must be a whole number of up to 32 bits, such as 0x6b02e25f';

export const source = z
  .strictObject({
    url: sourceUrl.describe(
      'The source server: mysql://user[:password]@host[:port][,host[:port]]. With several hosts, cdc uses the first one that can continue from the checkpoint. Special characters in user and password are percent-encoded.',
    ),
    ...connectionKeys,
    server_id: z
      .union([z.string(), z.number()], { error: 'must be auto or a whole number from 1 to 4294967295' })
      .default('auto')
      .transform((text, context): 'auto' | number => {
        const id = parseInteger(text) ?? 0;
        if (text === 'auto' || (id >= 1 && id <= 4294967295)) return text === 'auto' ? text : id;
        context.addIssue({ code: 'custom', message: 'must be auto or a whole number from 1 to 4294967295' });
        return z.NEVER;
      })
      .describe('The replication server id, unique among the replicas of the source. auto chooses a random one.'),
    start: validatedString((text) => {
      if (text !== 'snapshot') parseStart(text, 'now, snapshot, earliest');
    })
      .default('now')
      .describe(
        'Where to begin if there is no checkpoint: now, snapshot (now, and every captured table is backfilled), earliest, a GTID set, or file:position.',
      ),
    epoch: z
      .union([z.string(), z.number()], { error: EPOCH_MESSAGE })
      .transform((text, context): number => {
        const epoch = /^0x[0-9a-f]{1,8}$/i.test(String(text)) ? Number(text) : (parseInteger(text) ?? Number.NaN);
        if (epoch <= 0xffffffff) return epoch;
        context.addIssue({ code: 'custom', message: EPOCH_MESSAGE });
        return z.NEVER;
      })
      .optional()
      .describe(
        'The lowest epoch of seq: a number above the first 8 hex digits of the highest seq in the lake, such as 0x6b02e25f. ' +
          'Only needed if seq would go backwards, see docs/EVENTS.md.',
      ),
  })
  .superRefine((value, context) => checkConnection('source', value, context));
