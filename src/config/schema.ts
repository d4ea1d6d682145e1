import { z } from 'zod';
import { type ColumnRule, parseColumnPattern } from '../model/column-rules.ts';
import { parseCoordinates } from '../model/coordinates.ts';
import { GtidSet } from '../model/gtid-set.ts';
import { MariadbGtidPosition } from '../model/mariadb-gtid-position.ts';
import { parseSeq } from '../model/seq.ts';
import { compileTableFilter, parseTableName, parseTablePattern } from '../model/table-filter.ts';
import { asCdcError } from '../runtime/error.ts';
import { parseDuration, parseSize } from './units.ts';
import { canVerifyIdentity, hostUrls, parseSourceUrl, TLS_MODES, tlsMode } from './url.ts';

/**
 * The only definition of the configuration: keys, types, defaults and descriptions. config/cdc.schema.json is generated
 * from it, and the example is tested against it. The form of strings is checked by refinements, which are not part of
 * the JSON Schema: an editor should accept `${ENV}` instead.
 */

/** A number, or text with a unit, or text from an environment variable. */
const numberWithUnit = (parse: (text: string | number) => number | undefined, rule: Rule) =>
  z.union([z.string(), z.number()], { error: `must be ${rule.what}` }).transform((text, context) => {
    const amount = parse(text);
    if (amount !== undefined && amount >= rule.min && amount <= rule.max) return amount;
    context.addIssue({ code: 'custom', message: `must be ${rule.what}` });
    return z.NEVER;
  });
interface Rule {
  min: number;
  max: number;
  what: string;
}

const parseInteger = (text: string | number) => (/^\d{1,10}$/.test(String(text)) ? Number(text) : undefined);

/** A name that Firehose accepts for a stream, and that is a safe file name. */
const plainName = z
  .string()
  .refine(
    (name) => /^[A-Za-z0-9_.-]{1,64}$/.test(name),
    'must be 1 to 64 letters, digits, dots, dashes or underscores',
  );

/** A string that `parse` accepts. The error that `parse` throws becomes the message. */
const validatedString = (parse: (text: string) => unknown) =>
  z.string().superRefine((text, context) => {
    runCheck(context, () => parse(text));
  });

function runCheck(context: z.RefinementCtx, check: () => unknown, path: PropertyKey[] = []): boolean {
  try {
    check();
    return true;
  } catch (thrown) {
    const { message, why, hint } = asCdcError(thrown);
    context.addIssue({
      code: 'custom',
      path,
      message: `${[message, why].filter(Boolean).join(': ')}${hint ? ` (${hint})` : ''}`,
    });
    return false;
  }
}

/** @throws Error if the text is not a start position */
export function parseStart(text: string): void {
  if (text === 'now' || text === 'earliest' || text === 'start' || parseCoordinates(text)) return;
  if (/^[0-9a-f]{8}-/i.test(text)) GtidSet.parse(text);
  else if (/^\d+-/.test(text)) MariadbGtidPosition.parse(text);
  else
    throw new Error(
      `"${text}" is not a start position: use now, earliest, a GTID set, or file:position such as binlog.000012:4`,
    );
}

const EPOCH_MESSAGE = 'must be a whole number of up to 32 bits, such as 0x6b02e25f';

const source = z
  .strictObject({
    url: validatedString((text) => hostUrls(text).forEach(parseSourceUrl)).describe(
      'The source server: mysql://user[:password]@host[:port][,host[:port]]. With several hosts, cdc uses the first one that can continue from the checkpoint. Special characters in user and password are percent-encoded.',
    ),
    password: z
      .string()
      .optional()
      .describe(
        'The password; it takes precedence over the one in url. An environment variable keeps it out of the file, see the example.',
      ),
    password_file: z.string().optional().describe('A file that contains only the password.'),
    tls: z
      .enum(TLS_MODES)
      .optional()
      .describe(
        'verify-identity checks chain and host name, verify-ca checks the chain, required only encrypts. Default: verify-identity, but disabled for a loopback host.',
      ),
    ca_file: z
      .string()
      .optional()
      .describe('PEM file of the certificate authority, if Node does not trust it by default.'),
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
    start: validatedString(parseStart)
      .default('now')
      .describe('Where to begin if there is no checkpoint: now, earliest, a GTID set, or file:position.'),
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
  .superRefine((value, context) => {
    if (value.password !== undefined && value.password_file !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['password_file'],
        message: 'cannot be combined with source.password',
      });
    }
    const urls = hostUrls(value.url);
    let modes: ReturnType<typeof tlsMode>[];
    try {
      modes = urls.map((url) => tlsMode({ ...value, url }));
    } catch {
      return; // the URL has its own issue
    }
    const [mode = 'disabled'] = modes;
    if (urls.some((url, i) => modes[i] === 'verify-identity' && !canVerifyIdentity(url))) {
      const message =
        'verify-identity needs a host name in source.url, not an IP address; use the name, or tls: verify-ca';
      context.addIssue({ code: 'custom', path: ['tls'], message });
    }
    if (value.ca_file !== undefined && !modes.some((tls) => tls.startsWith('verify-'))) {
      const message = `has no effect with tls: ${mode}; set source.tls to verify-identity or verify-ca`;
      context.addIssue({ code: 'custom', path: ['ca_file'], message });
    }
  });

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
});

export const configSchema = sections.superRefine(({ format, values, firehose }, context) => {
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
});

/** Keys that later versions will have. The error for them says that this version does not. */
export const RESERVED_KEYS: readonly string[] = ['admin'];

/** Values that later versions will have, by key. */
export const RESERVED_VALUES: Readonly<Record<string, string>> = {
  'source.start': 'snapshot',
};

type Parsed = z.output<typeof configSchema>;
/** The configuration as the program uses it: complete, paths absolute, secrets and certificates read. */
export type Config = Parsed & {
  checkpoint: { file: string };
  dead_letter: { directory: string };
  source: { ca?: string };
};
export type ValueOptions = Config['values'];
