import { invalidArgument, validationError } from './aws-error.ts';
import { readFormatConversion } from './format-conversion.ts';
import { readIcebergDestination } from './iceberg-destination.ts';
import type { Json } from './put-request.ts';
import { readRedshift } from './redshift/request.ts';
import {
  lowerFirst,
  missingTexts,
  objectOrEmpty,
  optional,
  rejectOtherFields,
  unsupportedField,
} from './request-fields.ts';
import { readSnowflakeDestination } from './snowflake-destination.ts';
import { MIB, type StreamOptions, streamNameProblems } from './stream-options.ts';

/** Destinations other than S3, each in a file of its own: from the configuration to the options without the name. */
const OTHER_DESTINATIONS: Readonly<Record<string, (destination: Json) => Omit<StreamOptions, 'name'>>> = {
  IcebergDestinationConfiguration: readIcebergDestination,
  SnowflakeDestinationConfiguration: readSnowflakeDestination,
};

/** The supported fields of an S3 destination. */
const SUPPORTED_FIELDS = new Set([
  'RoleARN',
  'BucketARN',
  'Prefix',
  'ErrorOutputPrefix',
  'BufferingHints',
  'CompressionFormat',
  'CustomTimeZone',
  'CloudWatchLoggingOptions',
  'EncryptionConfiguration',
  'DataFormatConversionConfiguration',
  'DynamicPartitioningConfiguration',
  'ProcessingConfiguration',
  'S3BackupMode',
]);

const DESTINATIONS = [
  'ExtendedS3DestinationConfiguration',
  'S3DestinationConfiguration',
  'RedshiftDestinationConfiguration',
];

/** Reads the input of CreateDeliveryStream. */
export function readCreateDeliveryStream(input: Json): StreamOptions {
  const problems = streamNameProblems(input.DeliveryStreamName);
  const [field, destination] = destinationOf(input);
  if (field === 'RedshiftDestinationConfiguration') {
    return { ...readRedshift(destination, problems), name: input.DeliveryStreamName as string };
  }
  const readOther = OTHER_DESTINATIONS[field];
  if (!readOther) problems.push(...missingTexts(destination, lowerFirst(field), ['RoleARN', 'BucketARN']));
  if (problems.length > 0) throw validationError(problems);
  const name = input.DeliveryStreamName as string;
  return { name, ...(readOther ?? readS3Destination)(destination, field) };
}

function readS3Destination(destination: Json, field: string): Omit<StreamOptions, 'name'> {
  rejectOtherFields(destination, field, SUPPORTED_FIELDS);
  const compression = destination.CompressionFormat ?? 'UNCOMPRESSED';
  if (compression !== 'UNCOMPRESSED' && compression !== 'GZIP') {
    throw unsupportedField(`CompressionFormat ${compression}`);
  }
  if ((destination.CustomTimeZone ?? 'UTC') !== 'UTC') throw unsupportedField('a CustomTimeZone other than UTC');
  if ((destination.S3BackupMode ?? 'Disabled') !== 'Disabled') throw unsupportedField('S3BackupMode Enabled');

  const hints = objectOrEmpty(destination.BufferingHints);
  const size = optional(hints.SizeInMBs, 'number');
  const seconds = optional(hints.IntervalInSeconds, 'number');
  const partitioned = objectOrEmpty(destination.DynamicPartitioningConfiguration).Enabled === true;
  if (partitioned && size !== undefined && size < 64) {
    throw invalidArgument('BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.');
  }
  if (partitioned && seconds !== undefined && seconds < 60) {
    throw invalidArgument(
      'BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning is enabled.',
    );
  }
  const conversion = readFormatConversion(destination, compression, size);
  return {
    bufferSize: size === undefined ? conversion?.bufferSize : size * MIB,
    bufferSeconds: seconds,
    rows: conversion?.rows,
    gzip: compression === 'GZIP',
    prefix: optional(destination.Prefix, 'string'),
    errorOutputPrefix: optional(destination.ErrorOutputPrefix, 'string'),
    partition: partitionQuery(objectOrEmpty(destination.ProcessingConfiguration), partitioned),
    destination,
  };
}

function destinationOf(input: Json): [string, Json] {
  const given = Object.keys(input).filter((name) => name.endsWith('DestinationConfiguration') && input[name] != null);
  if (given.length !== 1) {
    throw invalidArgument('Exactly one destination configuration is supported for a Firehose');
  }
  const field = given[0]!;
  if (!DESTINATIONS.includes(field) && !(field in OTHER_DESTINATIONS)) throw unsupportedField(field);
  if ((input.DeliveryStreamType ?? 'DirectPut') !== 'DirectPut') {
    throw unsupportedField(`DeliveryStreamType ${input.DeliveryStreamType}`);
  }
  return [field, objectOrEmpty(input[field])];
}

function partitionQuery(processing: Json, partitioned: boolean): string | undefined {
  const processors = processing.Enabled === true ? ((processing.Processors ?? []) as Json[]) : [];
  let query: string | undefined;
  for (const { Type: type, Parameters: parameters } of processors) {
    if (!partitioned && (type === 'MetadataExtraction' || type === 'RecordDeAggregation')) {
      throw invalidArgument(
        `class com.amazonaws.services.firehose.internal.model.${type}Processor can only be present ` +
          'when Dynamic Partitioning is enabled.',
      );
    }
    if (type === 'MetadataExtraction') {
      const found = ((parameters ?? []) as Json[]).find(
        ({ ParameterName: name }) => name === 'MetadataExtractionQuery',
      );
      query = optional(found?.ParameterValue, 'string');
    } else if (type !== 'RecordDeAggregation' && !(partitioned && type === 'AppendDelimiterToRecord')) {
      throw unsupportedField(`the processor ${type}`);
    }
  }
  if (partitioned && query === undefined) {
    throw invalidArgument('Processing Configuration is not enabled when DataPartitioning is enabled');
  }
  return query;
}
