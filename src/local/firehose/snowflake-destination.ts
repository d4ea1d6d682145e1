import { invalidArgument, validationError } from './aws-error.ts';
import type { Json } from './put-request.ts';
import {
  missingTexts,
  objectOrEmpty,
  readBufferingHints,
  rejectOtherFields,
  unsupportedField,
} from './request-fields.ts';
import { failedPrefix } from './row-destination.ts';
import type { RowFormat } from './row-format.ts';
import { MIB, type StreamOptions } from './stream-options.ts';

/** A Snowflake destination: the rows that Firehose would insert land in the lake, under the table's own folder. */

const PATH = 'snowflakeDestinationConfiguration';

const SUPPORTED_FIELDS = new Set([
  'AccountUrl',
  'BufferingHints',
  'CloudWatchLoggingOptions',
  'ContentColumnName',
  'DataLoadingOption',
  'Database',
  'PrivateKey',
  'RetryOptions',
  'RoleARN',
  'S3BackupMode',
  'S3Configuration',
  'Schema',
  'SecretsManagerConfiguration',
  'SnowflakeRoleConfiguration',
  'Table',
  'User',
]);

/** Firehose's defaults (API reference, SnowflakeBufferingHints). */
const DEFAULT_MEGABYTES = 128;
const DEFAULT_SECONDS = 0;

export function readSnowflakeDestination(destination: Json): Omit<StreamOptions, 'name'> {
  const s3 = objectOrEmpty(destination.S3Configuration);
  const problems = [
    ...missingTexts(destination, PATH, ['AccountUrl', 'Database', 'Schema', 'Table', 'RoleARN']),
    ...missingTexts(s3, `${PATH}.s3Configuration`, ['RoleARN', 'BucketARN']),
  ];
  if (problems.length > 0) throw validationError(problems);
  rejectOtherFields(destination, 'SnowflakeDestinationConfiguration', SUPPORTED_FIELDS);
  if ((destination.S3BackupMode ?? 'FailedDataOnly') !== 'FailedDataOnly')
    throw unsupportedField('S3BackupMode AllData');
  checkCredentials(destination);
  const { megabytes = DEFAULT_MEGABYTES, seconds = DEFAULT_SECONDS } = readBufferingHints(
    destination.BufferingHints,
    PATH,
  );
  const { Database: database, Schema: schema, Table: table } = destination;
  const { PrivateKey: _key, S3Configuration: _s3, ...shown } = destination;
  return {
    bufferSize: megabytes * MIB,
    bufferSeconds: seconds,
    prefix: `${database}/${schema}/${table}/`,
    errorOutputPrefix: failedPrefix(s3),
    rows: readRows(destination),
    description: { SnowflakeDestinationDescription: { ...shown, S3DestinationDescription: s3 } },
  };
}

function readRows({ DataLoadingOption: option = 'JSON_MAPPING', ContentColumnName: column }: Json): RowFormat {
  const rows: RowFormat = {
    documents: 'record',
    errorType: 'snowflake-failed',
    errorCode: 'Snowflake.InvalidJson',
  };
  if (option === 'JSON_MAPPING') return rows;
  // The metadata of Firehose is not described anywhere.
  if (option !== 'VARIANT_CONTENT_MAPPING') throw unsupportedField(`DataLoadingOption ${option}`);
  if (typeof column !== 'string' || column === '') {
    throw invalidArgument('ContentColumnName is required when DataLoadingOption is VARIANT_CONTENT_MAPPING');
  }
  return { ...rows, column };
}

/** Firehose takes the key from Secrets Manager or from the request, not from both. */
function checkCredentials({ SecretsManagerConfiguration: secrets, User: user, PrivateKey: key }: Json): void {
  const { Enabled: enabled, SecretARN: secret } = objectOrEmpty(secrets);
  if (enabled === true && typeof secret !== 'string') {
    throw invalidArgument('SecretARN is required when SecretsManagerConfiguration is enabled');
  }
  if ((enabled === true) === (user != null || key != null)) {
    throw invalidArgument('Either SecretsManagerConfiguration or User and PrivateKey must be given');
  }
}
