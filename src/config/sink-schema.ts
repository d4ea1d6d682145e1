import { z } from 'zod';
import { parseTablePattern } from '../model/table-filter.ts';
import { numberWithUnit, parseInteger, plainName, runCheck } from './refinements.ts';
import { parseDuration, parseSize } from './units.ts';

/** What the sections of several transports have in common. */

/** A value for some tables, by table pattern. The first matching pattern applies. */
export const byTable = <T extends z.ZodType>(value: T) =>
  z.record(z.string(), value).superRefine((entries, context) => {
    for (const pattern of Object.keys(entries)) {
      const check = (): void => {
        if (parseTablePattern(pattern).exclude)
          throw new Error('a route needs a pattern of tables, so it cannot begin with !');
      };
      runCheck(context, check, [pattern]);
    }
  });

export const streamRoutes = byTable(plainName)
  .default({})
  .describe('Other streams for some tables, by table pattern. The first matching pattern applies.');

export const region = z
  .string()
  .refine((text) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(text), 'must look like eu-west-1')
  .optional()
  .describe('Default: AWS_REGION, or the shared AWS configuration.');

export const endpoint = (description: string) =>
  z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must look like http://127.0.0.1:4573')
    .optional()
    .describe(description);

export const quota = z.strictObject({
  bytes: numberWithUnit(parseSize, { min: 1024, max: 2 ** 40, what: 'a size such as 5MiB, at least 1KiB' })
    .optional()
    .describe('Bytes per second.'),
  requests: numberWithUnit(parseInteger, { min: 1, max: 1e9, what: 'a whole number, at least 1' })
    .optional()
    .describe('Requests per second.'),
  records: numberWithUnit(parseInteger, { min: 1, max: 1e9, what: 'a whole number, at least 1' })
    .optional()
    .describe('Records per second.'),
});

export const linger = numberWithUnit(parseDuration, {
  min: 0,
  max: 60_000,
  what: 'a duration such as 100ms, at most 60s',
})
  .prefault('100ms')
  .describe('How long an event can wait for others before it is sent.');

export const timeout = numberWithUnit(parseDuration, {
  min: 100,
  max: 300_000,
  what: 'a duration such as 30s, from 100ms to 300s',
})
  .prefault('30s')
  .describe('How long a request can stay unanswered before it is sent again.');
