import { invalidArgument, validationError } from './aws-error.ts';
import type { DeliveryStream } from './delivery-stream.ts';
import {
  lowerFirst,
  missingTexts,
  objectOrEmpty,
  optional,
  rejectOthers,
  unsupportedField,
} from './destination-input.ts';
import { readFormatConversion } from './format-conversion.ts';
import { readIcebergDestination } from './iceberg-destination.ts';
import type { Json } from './put-request.ts';
import { readSnowflakeDestination } from './snowflake-destination.ts';
import { MIB, type StreamOptions, type StreamSettings, streamNameProblems } from './stream-options.ts';

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

/** Reads the input of CreateDeliveryStream. */
export function readCreateDeliveryStream(input: Json): StreamOptions {
  const problems = streamNameProblems(input.DeliveryStreamName);
  const [field, destination] = destinationOf(input);
  const readOther = OTHER_DESTINATIONS[field];
  if (!readOther) problems.push(...missingTexts(destination, ['RoleARN', 'BucketARN'], lowerFirst(field)));
  if (problems.length > 0) throw validationError(problems);
  const name = input.DeliveryStreamName as string;
  return { name, ...(readOther ?? readS3Destination)(destination, field) };
}

function readS3Destination(destination: Json, field: string): Omit<StreamOptions, 'name'> {
  rejectOthers(destination, SUPPORTED_FIELDS, field);
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
  const isS3 = field === 'ExtendedS3DestinationConfiguration' || field === 'S3DestinationConfiguration';
  if (!isS3 && !(field in OTHER_DESTINATIONS)) throw unsupportedField(field);
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

/** Creates the response of DescribeDeliveryStream. */
export function describeStream(stream: DeliveryStream, arn: string): Json {
  const { settings, created, encryption } = stream;
  return {
    DeliveryStreamDescription: {
      DeliveryStreamName: settings.name,
      DeliveryStreamARN: arn,
      DeliveryStreamStatus: 'ACTIVE',
      DeliveryStreamEncryptionConfiguration: encryption,
      DeliveryStreamType: 'DirectPut',
      VersionId: '1',
      CreateTimestamp: created.getTime() / 1000,
      HasMoreDestinations: false,
      Destinations: [
        {
          DestinationId: 'destinationId-000000000001',
          ...(settings.options.description ?? describeS3(settings)),
        },
      ],
    },
  };
}

function describeS3(settings: StreamSettings): Json {
  const given = settings.options.destination ?? {};
  const destination = {
    RoleARN: 'arn:aws:iam::000000000000:role/local-firehose',
    BucketARN: 'arn:aws:s3:::local-lake',
    Prefix: settings.options.prefix ?? '',
    ErrorOutputPrefix: settings.options.errorOutputPrefix,
    BufferingHints: {
      SizeInMBs: Math.ceil(settings.bufferSize / MIB),
      IntervalInSeconds: Math.ceil(settings.bufferSeconds),
    },
    CompressionFormat: settings.gzip ? 'GZIP' : 'UNCOMPRESSED',
    EncryptionConfiguration: { NoEncryptionConfig: 'NoEncryption' },
    CloudWatchLoggingOptions: { Enabled: false },
    ...pick(given, ['RoleARN', 'BucketARN', 'Prefix', 'EncryptionConfiguration', 'CloudWatchLoggingOptions']),
  };
  const processors = settings.query && [
    { Type: 'RecordDeAggregation', Parameters: [{ ParameterName: 'SubRecordType', ParameterValue: 'JSON' }] },
    {
      Type: 'MetadataExtraction',
      Parameters: [
        { ParameterName: 'MetadataExtractionQuery', ParameterValue: settings.options.partition },
        { ParameterName: 'JsonParsingEngine', ParameterValue: 'JQ-1.6' },
      ],
    },
  ];
  return {
    S3DestinationDescription: destination,
    ExtendedS3DestinationDescription: {
      ...destination,
      S3BackupMode: 'Disabled',
      DynamicPartitioningConfiguration: { Enabled: processors !== undefined },
      ProcessingConfiguration: { Enabled: processors !== undefined, Processors: processors ?? [] },
      CustomTimeZone: 'UTC',
      ...pick(given, [
        'DataFormatConversionConfiguration',
        'DynamicPartitioningConfiguration',
        'ProcessingConfiguration',
      ]),
    },
  };
}

const pick = (object: Json, names: readonly string[]): Json =>
  Object.fromEntries(names.flatMap((name) => (object[name] == null ? [] : [[name, object[name]]])));
