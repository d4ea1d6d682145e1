import { CdcError } from '../../runtime/error.ts';
import { constraintViolation, invalidArgument, validationError } from './aws-error.ts';
import { type PartitionQuery, parsePartitionQuery } from './partition.ts';
import {
  compilePrefix,
  evaluatePrefix,
  hasExpressions,
  type PrefixTemplate,
  partitionKeys,
  withDefaultTimestamp,
} from './prefix.ts';

/** A delivery stream as its owner describes it. */
export interface StreamOptions {
  name: string;
  /** Bytes after which an object is delivered, 1 to 128 MiB. Default: 5 MiB, or 64 MiB with `partition`. */
  bufferSize?: number | undefined;
  /** Seconds after which an object is delivered, 0 to 900; fractions are for tests. Default: 300. */
  bufferSeconds?: number | undefined;
  gzip?: boolean | undefined;
  /** Prefix expression; default `yyyy/MM/dd/HH/`. */
  prefix?: string | undefined;
  /** Needed as soon as `prefix` has expressions. */
  errorOutputPrefix?: string | undefined;
  /** Dynamic partitioning: a JQ-like object of paths, `{db: .source.db, table: .source.table}`. */
  partition?: string | undefined;
}

/** The same, checked and compiled. */
export interface StreamSettings {
  name: string;
  bufferSize: number;
  bufferSeconds: number;
  gzip: boolean;
  prefix: PrefixTemplate;
  errorPrefix: PrefixTemplate;
  query: PartitionQuery | undefined;
  /** As given, for DescribeDeliveryStream. */
  options: StreamOptions;
}

export const MIB = 1024 * 1024;
const MAX_PREFIX_LENGTH = 512;

/** What is wrong with a stream's name; nothing when it is sound. */
export function streamNameProblems(name: unknown, at = 'deliveryStreamName'): string[] {
  if (typeof name !== 'string') return [constraintViolation(null, at, 'Member must not be null')];
  const problems: string[] = [];
  if (!/^[a-zA-Z0-9_.-]*$/.test(name)) {
    problems.push(constraintViolation(name, at, 'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+'));
  }
  if (name.length < 1) {
    problems.push(constraintViolation(name, at, 'Member must have length greater than or equal to 1'));
  } else if (name.length > 64) {
    problems.push(constraintViolation(name, at, 'Member must have length less than or equal to 64'));
  } else if (name === '.' || name === '..') {
    // AWS would take them; as folders of the lake they would be something else.
    problems.push(constraintViolation(name, at, 'Member must not be a relative folder'));
  }
  return problems;
}

/** Throws what CreateDeliveryStream would answer. */
export function validateStream(options: StreamOptions): StreamSettings {
  const query = options.partition === undefined ? undefined : parsePartitionQuery(options.partition);
  const bufferSize = options.bufferSize ?? (query ? 64 : 5) * MIB;
  const bufferSeconds = options.bufferSeconds ?? 300;
  const problems = [
    ...streamNameProblems(options.name),
    ...rangeProblems(bufferSize / MIB, 1, 128, 'sizeInMBs'),
    ...rangeProblems(bufferSeconds, 0, 900, 'intervalInSeconds'),
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
  checkPartitioning(prefix, query);
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
    options,
  };
}

/** The same for streams that come from our own options instead of over the wire. */
export function validateLocalStream(options: StreamOptions): StreamSettings {
  try {
    return validateStream(options);
  } catch (error) {
    throw new CdcError('The settings of the delivery stream are refused, as Amazon Data Firehose refuses them', {
      exitCode: 2,
      why: (error as Error).message,
      cause: error,
    });
  }
}

function rangeProblems(value: number, least: number, most: number, field: string): string[] {
  const at = `extendedS3DestinationConfiguration.bufferingHints.${field}`;
  if (value < least || Number.isNaN(value)) {
    return [constraintViolation(String(value), at, `Member must have value greater than or equal to ${least}`)];
  }
  return value > most
    ? [constraintViolation(String(value), at, `Member must have value less than or equal to ${most}`)]
    : [];
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
  const evaluated = evaluatePrefix(template, { at: new Date(), errorType: 'partitioning-failed' });
  if (!fitsPrefix(evaluated)) {
    throw invalidArgument(`Length of evaluated ${label} cannot be greater than ${MAX_PREFIX_LENGTH}`);
  }
}

/** AWS's limit, and that of a folder's name on this machine: an object's own name needs up to 130 bytes of 255. */
export const fitsPrefix = (evaluated: string): boolean =>
  evaluated.length <= MAX_PREFIX_LENGTH && evaluated.split('/').every((part) => Buffer.byteLength(part) <= 125);
