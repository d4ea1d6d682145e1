import { z } from 'zod';
import { type ColumnRule, parseColumnPattern } from '../model/column-rules.ts';
import { parseSeq } from '../model/seq.ts';
import { compileTableFilter, parseTableName, parseTablePattern } from '../model/table-filter.ts';
import { admin, type ListenAddress } from './admin-schema.ts';
import { backfill } from './backfill-schema.ts';
import { type CheckpointLocation, checkpoint } from './checkpoint-schema.ts';
import { checkConnection, hasPassword } from './connection-schema.ts';
import { parseLakeLocation } from './lake-location.ts';
import { numberWithUnit, plainName, runCheck, validatedString } from './refinements.ts';
import { schemasConflict } from './schemas-conflict.ts';
import { source } from './source-schema.ts';
import { checkTransports, transportSections } from './transport-schema.ts';
import { parseSize } from './units.ts';

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
          .describe('The key of the HMAC. An environment variable keeps it out of the file.'),
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
  directory: z.string().min(1).optional().describe('Default: dead-letter, beside the checkpoint file, or in state.'),
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
    .describe('Events, by their seq, that are moved to the dead letters instead of being sent.'),
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
  ...transportSections,
  checkpoint: checkpoint
    .prefault({})
    .describe('Where the delivered position is saved: one of file, mysql and dynamodb. It also decides who leads.'),
  dead_letter: deadLetter
    .prefault({})
    .describe('Where events are stored that the sink rejects, see docs/DEAD-LETTERS.md.'),
  backfill: backfill.prefault({}).describe('How cdc reads the rows that were there before, see docs/BACKFILL.md.'),
  lake: validatedString(parseLakeLocation)
    .optional()
    .describe(
      'Where Firehose writes the objects, for the commands that read them: a folder, or s3://bucket/prefix. No default.',
    ),
  admin: admin.prefault({}).describe('Where the daemon takes commands, and where it shows how it is.'),
});

export const configSchema = sections.superRefine(({ format, values, source, backfill, ...transports }, context) => {
  if (format === 'maxwell' && values.temporal === 'epoch_micros') {
    const message =
      'epoch_micros cannot be used with format: maxwell, whose dates are text; remove it, or choose another format';
    context.addIssue({ code: 'custom', path: ['values', 'temporal'], message });
  }
  checkTransports(transports, context);
  const conflict = transports.kafka?.schemas ? schemasConflict({ format, values }) : undefined;
  if (conflict !== undefined) context.addIssue({ code: 'custom', ...conflict });
  if (backfill.url !== undefined) {
    const { url, tls = source.tls } = backfill;
    // Without a password of its own it has that of the source.
    const inherited = source.iam_auth !== undefined && !hasPassword({ ...backfill, url });
    const replica = { ...backfill, url, tls, ...(inherited && { iam_auth: true as const }) };
    checkConnection('backfill', replica, context, ['backfill']);
  }
});

type Parsed = z.output<typeof configSchema>;
/** The configuration as the program uses it: complete, paths absolute, secrets read that nothing can rotate. */
export type Config = Omit<Parsed, 'checkpoint'> & {
  checkpoint: CheckpointLocation;
  dead_letter: { directory: string };
  admin: { socket: string; address?: ListenAddress };
};
export type ValueOptions = Config['values'];
