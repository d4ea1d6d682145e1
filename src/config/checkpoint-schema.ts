import { z } from 'zod';
import { formatTableName, parseTableName } from '../model/table-filter.ts';
import { checkConnection, connectionKeys } from './connection-schema.ts';
import { runCheck, validatedString } from './refinements.ts';
import { hostUrls, parseSourceUrl } from './url.ts';

/** The schema of a checkpoint table, where neither url nor table names one. */
const DEFAULT_SCHEMA = 'cdc';

const mysql = z
  .strictObject({
    url: validatedString((text) => {
      const { server } = splitUrl(text);
      if (hostUrls(server).length > 1) throw new Error('must name one host: two servers would give two leases');
      parseSourceUrl(server);
    }).describe(
      'The server of the table, as in source.url, with the schema behind it: mysql://cdc@host:3306/ops. Without a schema it is in cdc.',
    ),
    table: z
      .string()
      .default('cdc_checkpoint')
      .superRefine((text, context) => {
        if (text.includes('.')) runCheck(context, () => parseTableName(text));
      })
      .describe('The table, which cdc creates if it is missing: table, or schema.table.'),
    ...connectionKeys,
  })
  .superRefine((value, context) =>
    checkConnection('checkpoint.mysql', { ...value, url: splitUrl(value.url).server }, context),
  );

const dynamodb = z.strictObject({
  table: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{3,255}$/, 'must be 3 to 255 letters, digits, dots, dashes or underscores')
    .describe('The table, which cdc creates if it is missing, with the string key name.'),
  region: z
    .string()
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must look like eu-west-1')
    .optional()
    .describe('Default: AWS_REGION, or the shared AWS configuration.'),
  endpoint: z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must look like http://127.0.0.1:8000')
    .optional()
    .describe('Only for a local DynamoDB or a VPC endpoint.'),
});

export const checkpoint = z
  .strictObject({
    file: z.string().min(1).optional().describe('A file of this host. Default: state/<name>.json.'),
    mysql: mysql.optional().describe('A row of a table in MySQL or MariaDB, for a standby on another host.'),
    dynamodb: dynamodb.optional().describe('An item of a DynamoDB table, for a standby on another host.'),
  })
  .superRefine((value, context) => {
    const [first, second] = Object.keys(value).filter((key) => value[key as keyof typeof value] !== undefined);
    if (second !== undefined) {
      context.addIssue({ code: 'custom', path: [second], message: `cannot be combined with checkpoint.${first}` });
    }
  });

type CheckpointKeys = z.output<typeof checkpoint>;

/** Where the checkpoint is: exactly one of the three, complete. */
export type CheckpointLocation =
  | { file: string; mysql?: undefined; dynamodb?: undefined }
  | { mysql: MysqlCheckpoint; file?: undefined; dynamodb?: undefined }
  | { dynamodb: NonNullable<CheckpointKeys['dynamodb']>; file?: undefined; mysql?: undefined };

/** `url` without the schema. */
export type MysqlCheckpoint = NonNullable<CheckpointKeys['mysql']> & { schema: string };

/** @param files the absolute paths of the files that it names */
export function mysqlCheckpoint(
  parsed: NonNullable<CheckpointKeys['mysql']>,
  files: Partial<MysqlCheckpoint>,
): MysqlCheckpoint {
  const { server, schema = DEFAULT_SCHEMA } = splitUrl(parsed.url);
  const named = parsed.table.includes('.') ? parseTableName(parsed.table) : { schema, table: parsed.table };
  return { ...parsed, ...files, url: server, ...named };
}

/** The pattern that `loadConfig` adds to `tables`; undefined where the checkpoint is in no table. */
export const checkpointTablePattern = ({ mysql }: CheckpointLocation): string | undefined =>
  mysql && `!${formatTableName(mysql.schema, mysql.table)}`;

/** The URL of the server, and the schema behind it. */
function splitUrl(text: string): { server: string; schema?: string } {
  const match = /^([a-z]+:\/\/[^/?#]*)\/([^/?#]+)\/?$/i.exec(text);
  if (match === null) return { server: text };
  try {
    return { server: match[1] as string, schema: decodeURIComponent(match[2] as string) };
  } catch {
    return { server: text };
  }
}
