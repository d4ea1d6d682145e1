import { constraintViolation, invalidArgument } from '../aws-error.ts';
import type { CopyTarget } from './copy.ts';
import { type CopyOptions, parseCopyOptions } from './copy-options.ts';
import { parseDataTableColumns, parseDataTableName } from './names.ts';

/** A table that the objects of a stream are copied into. */
export interface RedshiftOptions {
  /** `jdbc:redshift://HOST:PORT/DATABASE`, or `jdbc:postgresql://…` */
  jdbcUrl: string;
  user: string;
  password: string;
  /** DataTableName of the API. */
  table: string;
  /** DataTableColumns of the API: the columns to fill, with commas. Default: all. */
  columns?: string | undefined;
  /** CopyOptions of the API; the local Firehose needs `JSON 'auto'` in them. */
  copyOptions: string;
  /** How long a COPY that fails is tried again, 0 to 7200 seconds. Default: 3600. */
  retrySeconds?: number | undefined;
  /** RedshiftDestinationConfiguration without its password, for DescribeDeliveryStream. */
  given?: Readonly<Record<string, unknown>> | undefined;
}

/** Checked and parsed options. */
export interface RedshiftSettings {
  target: CopyTarget;
  retrySeconds: number;
  options: RedshiftOptions;
}

export const REDSHIFT_FIELD = 'redshiftDestinationConfiguration';
const RETRY_SECONDS_MAX = 7200;
const RETRY_SECONDS_DEFAULT = 3600;
/** As on AWS, but for the host, which must be one of Redshift there. The port of Redshift is 5439. */
const JDBC_URL = /^jdbc:(?:redshift|postgresql):\/\/(\[[\da-fA-F:]+\]|[A-Za-z\d._-]+):(\d{1,5})\/([\w$-]+)$/;
const JDBC_URL_RULE = 'jdbc:(redshift|postgresql)://HOST:PORT/DATABASE';
/** Hosts that are Redshift's on AWS. */
const REDSHIFT_HOST = /\.redshift(?:-serverless)?\.amazonaws\.com(?:\.cn)?$/;

/** The constraint violations of the texts and numbers. */
export function redshiftProblems({
  jdbcUrl,
  user,
  password,
  table,
  columns,
  copyOptions,
  retrySeconds,
}: RedshiftOptions) {
  const at = (name: string): string => `${REDSHIFT_FIELD}.${name}`;
  const problems = [
    ...lengthProblems(jdbcUrl, at('clusterJDBCURL'), 1, 512),
    ...lengthProblems(user, at('username'), 1, 512),
    ...lengthProblems(password, at('password'), 6, 512, true),
    ...lengthProblems(table, at('copyCommand.dataTableName'), 1, 512),
    ...lengthProblems(columns ?? '', at('copyCommand.dataTableColumns'), 0, 204_800),
    ...lengthProblems(copyOptions, at('copyCommand.copyOptions'), 0, 204_800),
  ];
  if (!JDBC_URL.test(jdbcUrl) || Number(JDBC_URL.exec(jdbcUrl)?.[2]) > 65_535) {
    const rule = `Member must satisfy regular expression pattern: ${JDBC_URL_RULE}`;
    problems.push(constraintViolation(jdbcUrl, at('clusterJDBCURL'), rule));
  }
  const seconds = retrySeconds ?? RETRY_SECONDS_DEFAULT;
  const limit = seconds < 0 ? 'greater than or equal to 0' : `less than or equal to ${RETRY_SECONDS_MAX}`;
  if (!(seconds >= 0 && seconds <= RETRY_SECONDS_MAX)) {
    const rule = `Member must have value ${limit}`;
    problems.push(constraintViolation(String(seconds), at('retryOptions.durationInSeconds'), rule));
  }
  return problems;
}

function lengthProblems(text: string, field: string, min: number, max: number, secret = false): string[] {
  if (text.length >= min && text.length <= max) return [];
  const limit = text.length < min ? `greater than or equal to ${min}` : `less than or equal to ${max}`;
  return [constraintViolation(secret ? undefined : text, field, `Member must have length ${limit}`)];
}

/** Options without constraint violations. @throws AwsError for a table or COPY options that are invalid */
export function validateRedshift(options: RedshiftOptions, gzip: boolean): RedshiftSettings {
  const [, host = '', port, database = ''] = JDBC_URL.exec(options.jdbcUrl) ?? [];
  const copyOptions = parseCopyOptions(options.copyOptions);
  checkCompression(copyOptions, gzip);
  return {
    target: {
      host: host.replace(/^\[|\]$/g, ''),
      port: Number(port),
      database,
      user: options.user,
      password: options.password,
      table: parseDataTableName(options.table),
      columns: parseDataTableColumns(options.columns),
      options: copyOptions,
    },
    retrySeconds: options.retrySeconds ?? RETRY_SECONDS_DEFAULT,
    options,
  };
}

/** Redshift fails at each COPY, where the stream can still be created. */
function checkCompression(options: CopyOptions, gzip: boolean): void {
  if (options.gzip === gzip) return;
  throw invalidArgument(
    gzip
      ? 'CopyOptions must contain GZIP when CompressionFormat is GZIP'
      : 'CopyOptions cannot contain GZIP when CompressionFormat is UNCOMPRESSED',
  );
}

/** A cluster or a workgroup on AWS. */
export const isRedshiftHost = (host: string): boolean => REDSHIFT_HOST.test(host);
