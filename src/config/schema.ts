import { z } from 'zod';
import { type ColumnRule, parseColumnPattern } from '../model/column-rules.ts';
import { parseSeq } from '../model/seq.ts';
import { compileTableFilter, parseTableName, parseTablePattern } from '../model/table-filter.ts';
import { backfill } from './backfill-schema.ts';
import { checkConnection } from './connection-schema.ts';
import { parseLakeLocation } from './lake-location.ts';
import { numberWithUnit, parseInteger, plainName, runCheck, validatedString } from './refinements.ts';
import { source } from './source-schema.ts';
import { parseDuration, parseSize } from './units.ts';

/**
 * The only definition of the configuration: keys, types, defaults and descriptions. config/cdc.schema.json is generated
 * from it, and the example is tested against it. The form of strings is checked by refinements, which are not part of
 * the JSON Schema: an editor should accept `${ENV}` instead.
 */

const BOOLEAN_TYPES = ['tinyint1', 'bit1'] as const;

const values = z.strictObject({
  bigint: z
    .enum(['number', 'string'])
    .default('number')
    .describe('string: every BIGINT, and every BIT of more than 53 bits, is a string.'),
  decimal: z.enum(['string', 'number']).default('string').describe('number: the same digits without quotes.'),
  json: z
    .enum(['string', 'nested'])
    .default('string')
    .describe("string: MySQL's own text of the document. nested: the value itself."),
  binary: z.enum(['base64', 'hex']).default('base64').describe('The text form of bytes; hex is lower case.'),
  temporal: z
    .enum(['iso', 'mysql', 'epoch_micros'])
    .default('iso')
    .describe(
      'iso: 2026-01-02T03:04:05, TIMESTAMP in UTC with Z. mysql: a space instead of T, and no Z. epoch_micros: numbers.',
    ),
  // YAML reads null without quotes as no value; here it is the word.
  zero_dates: z
    .enum(['text', 'null'])
    .or(z.null().transform(() => 'null' as const))
    .default('text')
    .describe('null: a date with a zero month or day becomes null.'),
  boolean: z
    .array(z.enum(BOOLEAN_TYPES), { error: `must be a list of ${BOOLEAN_TYPES.join(' and ')}, such as [tinyint1]` })
    .default([])
    .describe(
      'Column types whose 0 and 1 are written as false and true: tinyint1 (TINYINT(1), which BOOLEAN is) and bit1 (BIT(1)). Other values stay numbers.',
    ),
});

const aggregate = z.strictObject({
  max_events: numberWithUnit(parseInteger, { min: 1, max: 100_000, what: 'a whole number from 1 to 100000' })
    .prefault(500)
    .describe('The maximum number of events in one record; dynamic partitioning allows 500.'),
  max_bytes: numberWithUnit(parseSize, {
    min: 1,
    max: 1_024_000,
    what: 'a size such as 512KiB, at most 1,024,000 bytes (1000KiB)',
  })
    .prefault('512KiB')
    .describe('The maximum size of one record; Firehose allows 1,024,000 bytes.'),
});

const routes = z.record(z.string(), plainName).superRefine((byTable, context) => {
  for (const pattern of Object.keys(byTable)) {
    const check = (): void => {
      if (parseTablePattern(pattern).exclude)
        throw new Error('a route needs a pattern of tables, so it cannot begin with !');
    };
    runCheck(context, check, [pattern]);
  }
});

const quota = z.strictObject({
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

const firehose = z.strictObject({
  region: z
    .string()
    .refine((text) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(text), 'must look like eu-west-1')
    .optional()
    .describe('Default: AWS_REGION, or the shared AWS configuration.'),
  stream: plainName.describe('The delivery stream that receives the events.'),
  routes: routes
    .default({})
    .describe('Other streams for some tables, by table pattern. The first matching pattern applies.'),
  endpoint: z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must look like http://127.0.0.1:4573')
    .optional()
    .describe('Only for a local Firehose or a VPC endpoint.'),
  aggregate: aggregate
    .or(z.literal('off'))
    .prefault({})
    .describe('How many events share one Firehose record. off: one event per record.'),
  compression: z
    .enum(['none', 'gzip'])
    .default('none')
    .describe('gzip: each record is compressed; only for streams that deliver records to S3 unchanged.'),
  quota: quota
    .or(z.literal('off'))
    .prefault({})
    .describe(
      "The quota of each stream. Default: the quota that AWS gives a stream of the region. off: no limit except the stream's own throttling, as for a local Firehose.",
    ),
  linger: numberWithUnit(parseDuration, {
    min: 0,
    max: 60_000,
    what: 'a duration such as 100ms, at most 60s',
  })
    .prefault('100ms')
    .describe('How long an event can wait for others before it is sent.'),
  timeout: numberWithUnit(parseDuration, {
    min: 100,
    max: 300_000,
    what: 'a duration such as 30s, from 100ms to 300s',
  })
    .prefault('30s')
    .describe('How long a request can stay unanswered before it is sent again.'),
});

const tables = z.array(z.string()).superRefine((patterns, context) => {
  const sound = patterns.map((text, i) => runCheck(context, () => parseTablePattern(text), [i]));
  if (sound.every(Boolean)) runCheck(context, () => compileTableFilter(patterns, { caseSensitive: true }));
});

const keys = z.record(z.string(), z.array(z.string().min(1)).min(1)).superRefine((byTable, context) => {
  for (const [table, columns] of Object.entries(byTable)) {
    runCheck(context, () => parseTableName(table), [table]);
    if (new Set(columns).size < columns.length) {
      context.addIssue({ code: 'custom', path: [table], message: 'names a column twice' });
    }
  }
});

const columnRule = z
  .union(
    [
      z.literal('drop'),
      z.strictObject({
        hash: z.literal('sha256'),
        secret: z
          .string()
          .min(1)
          .optional()
          .describe('The key of the HMAC. An environment variable keeps it out of the file, see the example.'),
        secret_file: z.string().optional().describe('A file that contains only the secret.'),
      }),
      z.strictObject({ mask: z.int().min(0).describe('How many characters at the end stay readable.') }),
    ],
    // The message does not contain the value, because it can be the secret.
    { error: () => 'must be drop, { hash: sha256, secret: … } or { mask: 4 }, without other keys' },
  )
  .transform((rule, context): ColumnRule => {
    if (rule === 'drop') return { kind: 'drop' };
    if ('mask' in rule) return { kind: 'mask', keep: rule.mask };
    if (rule.secret !== undefined) return { kind: 'hash', secret: rule.secret };
    context.addIssue({ code: 'custom', path: ['secret'], message: 'is missing; set secret or secret_file' });
    return z.NEVER;
  });

const columns = z.record(z.string(), columnRule).superRefine((byColumn, context) => {
  for (const column of Object.keys(byColumn)) runCheck(context, () => parseColumnPattern(column), [column]);
});

const deadLetter = z.strictObject({
  directory: z.string().min(1).optional().describe('Default: dead-letter, beside the checkpoint file.'),
  max_bytes: numberWithUnit(parseSize, {
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    what: 'a size such as 1GiB, at least 1 byte',
  })
    .prefault('1GiB')
    .describe('The maximum size of the dead letters of this pipeline on disk; the daemon stops before they exceed it.'),
  events: z
    .array(
      z
        .string()
        .refine((text) => parseSeq(text) !== undefined, 'must be the seq of an event: 36 hex digits, lower case'),
    )
    .default([])
    .describe('Events, by their seq, that are moved to the dead letters instead of Firehose.'),
});

const admin = z.strictObject({
  socket: z
    .string()
    .min(1)
    .optional()
    .describe('The Unix socket of the daemon. Default: <checkpoint file without .json>.sock.'),
});

const sections = z.strictObject({
  name: plainName
    .default('cdc')
    .describe('The name of the pipeline: it names the checkpoint, and is source.name in every event.'),
  source: source.describe('The MySQL or MariaDB server.'),
  tables: tables
    .default(['*.*'])
    .describe(
      'Patterns schema.table. * matches within either part, ! excludes and takes precedence, backticks quote dots and stars. ' +
        "The server's own schemas (mysql, sys, …) are captured only if a pattern names them.",
    ),
  columns: columns
    .default({})
    .describe(
      'Column rules by schema.table.column, with the stars and backticks of table patterns: drop, ' +
        'hash (HMAC-SHA256 of the text, in hex) or mask (the last characters stay readable). The strictest rule applies.',
    ),
  keys: keys.default({}).describe('Key columns for tables without a primary key.'),
  format: z
    .enum(['debezium', 'flat', 'maxwell'])
    .default('debezium')
    .describe('The format of events, see docs/EVENTS.md.'),
  truncate: z
    .enum(['event', 'skip'])
    .default('event')
    .describe(
      'event: a TRUNCATE of a captured table is an event. skip: it is left out, and a line of the log names it.',
    ),
  flat_prefix: z
    .string()
    .refine((prefix) => /^[A-Za-z_]+$/.test(prefix), 'must be letters and underscores')
    .default('_')
    .describe('The prefix of the metadata fields in format flat.'),
  values: values.prefault({}).describe('The form of values, see docs/EVENTS.md.'),
  firehose: firehose.describe('Where the events are sent.'),
  checkpoint: z
    .strictObject({ file: z.string().min(1).optional().describe('Default: state/<name>.json.') })
    .prefault({})
    .describe('Where the delivered position is saved.'),
  dead_letter: deadLetter
    .prefault({})
    .describe('Where events are stored that Firehose rejects, see docs/DEAD-LETTERS.md.'),
  backfill: backfill.prefault({}).describe('How cdc reads the rows that were there before, see docs/BACKFILL.md.'),
  lake: validatedString(parseLakeLocation)
    .optional()
    .describe(
      'Where Firehose writes the objects, for the commands that read them: a folder, or s3://bucket/prefix. No default.',
    ),
  admin: admin.prefault({}).describe('Where the daemon takes commands.'),
});

export const configSchema = sections.superRefine(({ format, values, firehose, source, backfill }, context) => {
  if (format === 'maxwell' && values.temporal === 'epoch_micros') {
    const message =
      'epoch_micros cannot be used with format: maxwell, whose dates are text; remove it, or choose another format';
    context.addIssue({ code: 'custom', path: ['values', 'temporal'], message });
  }
  if (firehose.aggregate === 'off' && firehose.compression === 'gzip') {
    const message =
      'gzip cannot be used with aggregate: off, because it compresses records of many events; remove one of the two';
    context.addIssue({ code: 'custom', path: ['firehose', 'compression'], message });
  }
  if (backfill.url !== undefined) {
    const replica = { ...backfill, url: backfill.url, tls: backfill.tls ?? source.tls };
    checkConnection('backfill', replica, context, ['backfill']);
  }
});

/** Keys that later versions will have. The error for them says that this version does not. */
export const RESERVED_KEYS: readonly string[] = ['admin.listen', 'admin.token', 'admin.max_lag'];

type Parsed = z.output<typeof configSchema>;
/** The configuration as the program uses it: complete, paths absolute, secrets and certificates read. */
export type Config = Parsed & {
  checkpoint: { file: string };
  dead_letter: { directory: string };
  source: { ca?: string };
  backfill: { ca?: string };
  admin: { socket: string };
};
export type ValueOptions = Config['values'];
