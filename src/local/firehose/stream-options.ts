import { CdcError } from '../../runtime/error.ts';
import { constraintViolation, invalidArgument, rangeProblems, validationError } from './aws-error.ts';
import { type PartitionQuery, parsePartitionQuery } from './partition.ts';
import {
  compilePrefix,
  evaluatePrefix,
  hasExpressions,
  type PrefixTemplate,
  partitionKeys,
  withDefaultTimestamp,
} from './prefix.ts';
import {
  REDSHIFT_FIELD,
  type RedshiftOptions,
  type RedshiftSettings,
  redshiftProblems,
  validateRedshift,
} from './redshift/destination.ts';
import type { RowFormat } from './row-format.ts';

/** The options of a delivery stream. */
export interface StreamOptions extends ObjectOptions {
  name: string;
  /** Dynamic partitioning: a JQ-like object of paths, `{db: .source.db, table: .source.table}`. */
  partition?: string | undefined;
  /** For destinations that take JSON documents apart into rows. Default: records are stored as they are. */
  rows?: RowFormat | undefined;
  /** The description of a destination other than S3, by its name. */
  description?: Readonly<Record<string, unknown>> | undefined;
  /** Copies the objects into a table. Without it they are the destination. */
  redshift?: RedshiftOptions | undefined;
  /** The records go into these objects too. */
  backup?: ObjectOptions | undefined;
}

/** When objects are delivered, and where. */
export interface ObjectOptions {
  /** The size at which an object is delivered, 1 to 128 MiB. Default: 5 MiB, or 64 MiB with `partition`. */
  bufferSize?: number | undefined;
  /** The age at which an object is delivered, 0 to 900 seconds. Fractions are for tests. Default: 300. */
  bufferSeconds?: number | undefined;
  gzip?: boolean | undefined;
  /** Prefix expression. Default: `yyyy/MM/dd/HH/`. */
  prefix?: string | undefined;
  /** Required if `prefix` has expressions. */
  errorOutputPrefix?: string | undefined;
  /** The S3 destination of CreateDeliveryStream, for DescribeDeliveryStream. */
  destination?: Readonly<Record<string, unknown>> | undefined;
}

/** Checked and compiled options. */
export interface StreamSettings {
  name: string;
  bufferSize: number;
  bufferSeconds: number;
  gzip: boolean;
  prefix: PrefixTemplate;
  errorPrefix: PrefixTemplate;
  query: PartitionQuery | undefined;
  redshift: RedshiftSettings | undefined;
  backup: StreamSettings | undefined;
  /** The original options, for DescribeDeliveryStream. */
  options: StreamOptions;
}

export const MIB = 1024 * 1024;
const MAX_PREFIX_LENGTH = 512;

/** The constraint violations of a stream's name; empty for a valid name. */
export function streamNameProblems(name: unknown, field = 'deliveryStreamName'): string[] {
  if (typeof name !== 'string') return [constraintViolation(null, field, 'Member must not be null')];
  const problems: string[] = [];
  if (!/^[a-zA-Z0-9_.-]*$/.test(name)) {
    problems.push(constraintViolation(name, field, 'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+'));
  }
  if (name.length < 1) {
    problems.push(constraintViolation(name, field, 'Member must have length greater than or equal to 1'));
  } else if (name.length > 64) {
    problems.push(constraintViolation(name, field, 'Member must have length less than or equal to 64'));
  } else if (name === '.' || name === '..') {
    // AWS accepts these names, but as folders they are other places than a folder of the lake.
    problems.push(constraintViolation(name, field, 'Member must not be a relative folder'));
  }
  return problems;
}

/**
 * @param field the path of the S3 destination in the request, for messages
 * @throws AwsError with the response of CreateDeliveryStream
 */
export function validateStream(
  options: StreamOptions,
  field = options.redshift ? `${REDSHIFT_FIELD}.s3Configuration` : 'extendedS3DestinationConfiguration',
): StreamSettings {
  const query = options.partition === undefined ? undefined : parsePartitionQuery(options.partition);
  const bufferSize = options.bufferSize ?? (query ? 64 : 5) * MIB;
  const bufferSeconds = options.bufferSeconds ?? 300;
  const problems = [
    ...streamNameProblems(options.name),
    ...rangeProblems(bufferSize / MIB, 1, 128, `${field}.bufferingHints.sizeInMBs`),
    ...rangeProblems(bufferSeconds, 0, 900, `${field}.bufferingHints.intervalInSeconds`),
    ...(options.redshift ? redshiftProblems(options.redshift) : []),
  ];
  if (problems.length > 0) throw validationError(problems);

  const prefix = compilePrefix(options.prefix ?? '', 'Prefix');
  const errorPrefix = compilePrefix(options.errorOutputPrefix ?? '', 'ErrorOutputPrefix');
  if (hasExpressions(prefix) && !options.errorOutputPrefix) {
    throw invalidArgument('ErrorOutputPrefix cannot be null or empty when Prefix contains expressions');
  }
  if (hasExpressions(errorPrefix) && !errorPrefix.some(({ kind }) => kind === 'error-output-type')) {
    throw invalidArgument('ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}');
  }
  checkPartitioning(prefix, query ?? options.rows?.route);
  validateLength(withDefaultTimestamp(prefix), 'prefix');
  validateLength(errorPrefix, 'ErrorOutputPrefix');
  return {
    name: options.name,
    bufferSize,
    bufferSeconds,
    gzip: options.gzip ?? false,
    prefix: withDefaultTimestamp(prefix),
    errorPrefix,
    query,
    redshift: options.redshift && validateRedshift(options.redshift, options.gzip ?? false),
    backup:
      options.backup &&
      validateStream({ ...options.backup, name: options.name }, `${REDSHIFT_FIELD}.s3BackupConfiguration`),
    options,
  };
}

/** Validates options that do not come over the wire. @throws CdcError with exit code 2 */
export function validateLocalStream(options: StreamOptions): StreamSettings {
  try {
    return validateStream(options);
  } catch (error) {
    throw new CdcError('the settings of the delivery stream are invalid, as on Amazon Data Firehose', {
      exitCode: 2,
      why: (error as Error).message,
      cause: error,
    });
  }
}

function checkPartitioning(prefix: PrefixTemplate, query: PartitionQuery | undefined): void {
  const used = partitionKeys(prefix);
  if (!query) {
    if (used.size === 0) return;
    throw invalidArgument(
      'Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled.',
    );
  }
  if (used.size === 0) {
    throw invalidArgument(
      'S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled',
    );
  }
  const extracted = new Set(query.map(({ name }) => name));
  if ([...extracted].some((name) => !used.has(name))) {
    throw invalidArgument(
      "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression",
    );
  }
  const missing = [...used].filter((name) => !extracted.has(name));
  if (missing.length > 0) {
    throw invalidArgument(
      `S3 Prefix contains keys that the MetaDataExtraction JQ Query does not: ${missing.join(', ')}`,
    );
  }
}

function validateLength(template: PrefixTemplate, label: string): void {
  const evaluated = evaluatePrefix(template, { arrival: new Date(), errorType: 'partitioning-failed' });
  if (!fitsPrefix(evaluated)) {
    throw invalidArgument(`Length of evaluated ${label} cannot be greater than ${MAX_PREFIX_LENGTH}`);
  }
}

/** AWS's limit, and the limit of a file name: an object's own name needs up to 130 of the 255 bytes. */
export const fitsPrefix = (evaluated: string): boolean =>
  evaluated.length <= MAX_PREFIX_LENGTH && evaluated.split('/').every((part) => Buffer.byteLength(part) <= 125);
