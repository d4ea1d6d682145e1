import { invalidArgument, validationError } from './aws-error.ts';
import { type PartitionField, type PartitionQuery, parsePartitionQuery } from './partition.ts';
import type { Json } from './put-request.ts';
import {
  missingTexts,
  objectOrEmpty,
  readBufferingHints,
  rejectOtherFields,
  unsupportedField,
} from './request-fields.ts';
import { failedPrefix } from './row-destination.ts';
import { MIB, type StreamOptions } from './stream-options.ts';

/**
 * An Iceberg destination. Glue and its tables are not here: the rows that Firehose would append land in the lake, under
 * folders of the database and the table that the JQ query or the only table of the configuration names.
 */

const PATH = 'icebergDestinationConfiguration';

const SUPPORTED_FIELDS = new Set([
  'AppendOnly',
  'BufferingHints',
  'CatalogConfiguration',
  'CloudWatchLoggingOptions',
  'DestinationTableConfigurationList',
  'ProcessingConfiguration',
  'RetryOptions',
  'RoleARN',
  'S3BackupMode',
  'S3Configuration',
]);

const DATABASE = 'destinationDatabaseName';
const TABLE = 'destinationTableName';
const OPERATION = 'operation';

export function readIcebergDestination(destination: Json): Omit<StreamOptions, 'name'> {
  const s3 = objectOrEmpty(destination.S3Configuration);
  const catalog = objectOrEmpty(destination.CatalogConfiguration);
  const problems = [
    ...missingTexts(destination, PATH, ['RoleARN']),
    ...missingTexts(catalog, `${PATH}.catalogConfiguration`, ['CatalogARN']),
    ...missingTexts(s3, `${PATH}.s3Configuration`, ['RoleARN', 'BucketARN']),
  ];
  if (problems.length > 0) throw validationError(problems);
  rejectOtherFields(destination, 'IcebergDestinationConfiguration', SUPPORTED_FIELDS);
  if ((destination.S3BackupMode ?? 'FailedDataOnly') !== 'FailedDataOnly')
    throw unsupportedField('S3BackupMode AllData');
  const { megabytes, seconds } = readBufferingHints(destination.BufferingHints, PATH);
  return {
    bufferSize: megabytes === undefined ? undefined : megabytes * MIB,
    bufferSeconds: seconds,
    prefix: `!{partitionKeyFromQuery:${DATABASE}}/!{partitionKeyFromQuery:${TABLE}}/`,
    errorOutputPrefix: failedPrefix(s3),
    rows: {
      documents: 'record',
      route: readRoute(destination),
      errorType: 'iceberg-failed',
      errorCode: 'Iceberg.InvalidRecord',
    },
    description: {
      IcebergDestinationDescription: { ...destination, S3Configuration: undefined, S3DestinationDescription: s3 },
    },
  };
}

/** As on AWS, a query takes precedence over the configured table. */
function readRoute(destination: Json): PartitionQuery {
  const query = readQuery(objectOrEmpty(destination.ProcessingConfiguration));
  if (query !== undefined) return routeOf(parsePartitionQuery(query));
  const tables = (destination.DestinationTableConfigurationList ?? []) as Json[];
  const { DestinationDatabaseName: database, DestinationTableName: table } = objectOrEmpty(tables[0]);
  if (tables.length !== 1 || typeof database !== 'string' || typeof table !== 'string') {
    throw invalidArgument(
      `A MetadataExtraction query with ${DATABASE} and ${TABLE}, or exactly one destination table is required`,
    );
  }
  return [
    { name: DATABASE, text: database },
    { name: TABLE, text: table },
  ];
}

function readQuery({ Enabled: enabled, Processors: processors }: Json): string | undefined {
  if (enabled !== true) return undefined;
  let query: string | undefined;
  for (const { Type: type, Parameters: parameters } of (processors ?? []) as Json[]) {
    if (type !== 'MetadataExtraction') throw unsupportedField(`the processor ${type} with Iceberg`);
    const found = ((parameters ?? []) as Json[]).find(({ ParameterName: name }) => name === 'MetadataExtractionQuery');
    if (typeof found?.ParameterValue === 'string') query = found.ParameterValue;
  }
  return query;
}

/** The local Firehose has no tables to update, so that it takes rows to append only. */
function routeOf(query: PartitionQuery): PartitionQuery {
  const field = (name: string): PartitionField | undefined => query.find((one) => one.name === name);
  const database = field(DATABASE);
  const table = field(TABLE);
  if (!database || !table) {
    throw invalidArgument(`MetadataExtractionQuery for Iceberg must have the keys ${DATABASE} and ${TABLE}`);
  }
  const operation = field(OPERATION);
  if (operation && !('text' in operation && operation.text === 'insert')) {
    throw unsupportedField('an operation other than "insert" in MetadataExtractionQuery');
  }
  return [database, table];
}
