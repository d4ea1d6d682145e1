import { constraintViolation, invalidArgument, validationError } from './aws-error.ts';
import type { Json } from './put-request.ts';
import { lowerFirst, missingTexts, objectOrEmpty } from './request-fields.ts';
import type { RowFormat } from './row-format.ts';
import { MIB } from './stream-options.ts';

/**
 * Record format conversion of an S3 destination. The Glue table and the Parquet writer are not here: the rules of the
 * service hold, and the lake gets the documents as lines of JSON.
 */

const ROWS: RowFormat = {
  documents: 'line',
  errorType: 'format-conversion-failed',
  errorCode: 'DataFormatConversion.MalformedData',
};

/** Firehose's default with conversion (API reference, BufferingHints). */
const DEFAULT_BUFFER = 128 * MIB;

const PATH = 'extendedS3DestinationConfiguration.dataFormatConversionConfiguration';

/** Undefined without conversion. @throws AwsError if Firehose would not accept it */
export function readFormatConversion(
  { DataFormatConversionConfiguration: configuration }: Json,
  compression: string,
  megabytes: number | undefined,
): { rows: RowFormat; bufferSize: number } | undefined {
  const conversion = objectOrEmpty(configuration);
  if (configuration == null || conversion.Enabled === false) return undefined;
  const schema = objectOrEmpty(conversion.SchemaConfiguration);
  const problems = [
    ...missingTexts(schema, `${PATH}.schemaConfiguration`, ['RoleARN', 'DatabaseName', 'TableName']),
    ...onlyOne(conversion, 'InputFormatConfiguration', 'Deserializer', ['OpenXJsonSerDe', 'HiveJsonSerDe']),
    ...onlyOne(conversion, 'OutputFormatConfiguration', 'Serializer', ['ParquetSerDe', 'OrcSerDe']),
  ];
  if (problems.length > 0) throw validationError(problems);
  if (megabytes !== undefined && megabytes < 64) {
    throw invalidArgument('BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.');
  }
  if (compression !== 'UNCOMPRESSED') {
    throw invalidArgument('CompressionFormat must be UNCOMPRESSED when data format conversion is enabled.');
  }
  return { rows: ROWS, bufferSize: DEFAULT_BUFFER };
}

function onlyOne(conversion: Json, outer: string, inner: string, choices: readonly string[]): string[] {
  const given = objectOrEmpty(objectOrEmpty(conversion[outer])[inner]);
  const chosen = Object.keys(given).filter((name) => given[name] != null);
  if (chosen.length === 1 && choices.includes(chosen[0]!)) return [];
  const field = `${PATH}.${lowerFirst(outer)}.${lowerFirst(inner)}`;
  return [constraintViolation(undefined, field, `Member must have exactly one of ${choices.join(', ')}`)];
}
