import { constraintViolation, invalidArgument, validationError } from '../aws-error.ts';
import type { Json } from '../put-request.ts';
import { missingTexts, objectOrEmpty, optional, rejectOtherFields, unsupportedField } from '../request-fields.ts';
import { MIB, type ObjectOptions, type StreamOptions } from '../stream-options.ts';
import { isRedshiftHost, REDSHIFT_FIELD } from './destination.ts';

const SUPPORTED = new Set([
  'RoleARN',
  'ClusterJDBCURL',
  'CopyCommand',
  'Username',
  'Password',
  'RetryOptions',
  'S3Configuration',
  'ProcessingConfiguration',
  'S3BackupMode',
  'S3BackupConfiguration',
  'CloudWatchLoggingOptions',
]);
const S3_SUPPORTED = new Set([
  'RoleARN',
  'BucketARN',
  'Prefix',
  'ErrorOutputPrefix',
  'BufferingHints',
  'CompressionFormat',
  'EncryptionConfiguration',
  'CloudWatchLoggingOptions',
]);

/**
 * Reads RedshiftDestinationConfiguration of CreateDeliveryStream.
 * @param problems constraint violations of the request so far
 */
export function readRedshift(given: Json, problems: readonly string[]): Omit<StreamOptions, 'name'> {
  const hasSecret = objectOrEmpty(given.SecretsManagerConfiguration).Enabled === true;
  // The embedded warehouse, which stands for a cluster of AWS, asks for no password.
  if (hasSecret && !isRedshiftHost(hostOf(given.ClusterJDBCURL))) {
    throw unsupportedField('SecretsManagerConfiguration: set Username and Password');
  }
  const copy = objectOrEmpty(given.CopyCommand);
  const needsBackup = given.S3BackupMode === 'Enabled';
  const missing = [
    ...problems,
    ...missingTexts(given, REDSHIFT_FIELD, ['RoleARN', 'ClusterJDBCURL']),
    ...missingObject(given, 'CopyCommand', 'copyCommand', ['DataTableName']),
    ...(hasSecret ? [] : missingTexts(given, REDSHIFT_FIELD, ['Username', 'Password'])),
    ...missingObject(given, 'S3Configuration', 's3Configuration', ['RoleARN', 'BucketARN']),
    ...(needsBackup
      ? missingObject(given, 'S3BackupConfiguration', 's3BackupConfiguration', ['RoleARN', 'BucketARN'])
      : []),
  ];
  if (missing.length > 0) throw validationError(missing);
  const name = 'RedshiftDestinationConfiguration';
  rejectOtherFields({ ...given, SecretsManagerConfiguration: undefined }, name, SUPPORTED);
  if (objectOrEmpty(given.ProcessingConfiguration).Enabled === true) {
    throw unsupportedField(`${name}.ProcessingConfiguration with processors`);
  }
  const { Password: password, ...shown } = given;
  return {
    ...readObjects(given.S3Configuration as Json, `${name}.S3Configuration`),
    backup: needsBackup ? readObjects(given.S3BackupConfiguration as Json, `${name}.S3BackupConfiguration`) : undefined,
    redshift: {
      jdbcUrl: given.ClusterJDBCURL as string,
      user: hasSecret ? IN_SECRET : (given.Username as string),
      password: hasSecret ? IN_SECRET : (password as string),
      table: copy.DataTableName as string,
      columns: optional(copy.DataTableColumns, 'string'),
      copyOptions: optional(copy.CopyOptions, 'string') ?? '',
      retrySeconds: optional(objectOrEmpty(given.RetryOptions).DurationInSeconds, 'number'),
      given: shown,
    },
  };
}

/** Stands for what only Secrets Manager knows. */
const IN_SECRET = 'in-secrets-manager';

const hostOf = (url: unknown): string => /^jdbc:\w+:\/\/([^:/?]+)/.exec(String(url))?.[1] ?? '';

function missingObject(given: Json, name: string, field: string, texts: readonly string[]): string[] {
  const path = `${REDSHIFT_FIELD}.${field}`;
  if (given[name] == null) return [constraintViolation(null, path, 'Member must not be null')];
  return missingTexts(objectOrEmpty(given[name]), path, texts);
}

/** An S3DestinationConfiguration. */
function readObjects(destination: Json, field: string): ObjectOptions {
  rejectOtherFields(destination, field, S3_SUPPORTED);
  const compression = destination.CompressionFormat ?? 'UNCOMPRESSED';
  if (compression !== 'UNCOMPRESSED' && compression !== 'GZIP') {
    throw invalidArgument(`The compression format ${compression} cannot be specified in ${field}`);
  }
  const hints = objectOrEmpty(destination.BufferingHints);
  const size = optional(hints.SizeInMBs, 'number');
  return {
    bufferSize: size === undefined ? undefined : size * MIB,
    bufferSeconds: optional(hints.IntervalInSeconds, 'number'),
    gzip: compression === 'GZIP',
    prefix: optional(destination.Prefix, 'string'),
    errorOutputPrefix: optional(destination.ErrorOutputPrefix, 'string'),
    destination,
  };
}
