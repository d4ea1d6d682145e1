import type { DeliveryStream } from './delivery-stream.ts';
import type { Json } from './put-request.ts';
import type { RedshiftSettings } from './redshift/destination.ts';
import { pick } from './request-fields.ts';
import { MIB, type StreamSettings } from './stream-options.ts';

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
          ...describeDestination(settings),
        },
      ],
    },
  };
}

function describeDestination(settings: StreamSettings): Json {
  if (settings.redshift) return describeRedshift(settings, settings.redshift);
  return settings.options.description ?? describeS3(settings);
}

/** The fields that both descriptions of an S3 destination have. */
function describeObjects(settings: StreamSettings): Json {
  const given = settings.options.destination ?? {};
  return {
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
}

function describeS3(settings: StreamSettings): Json {
  const given = settings.options.destination ?? {};
  const destination = describeObjects(settings);
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

/** Never the password. */
function describeRedshift(settings: StreamSettings, { options, retrySeconds }: RedshiftSettings): Json {
  const { backup } = settings;
  return {
    RedshiftDestinationDescription: {
      RoleARN: 'arn:aws:iam::000000000000:role/local-firehose',
      ClusterJDBCURL: options.jdbcUrl,
      CopyCommand: {
        DataTableName: options.table,
        DataTableColumns: options.columns ?? '',
        CopyOptions: options.copyOptions,
      },
      Username: options.user,
      RetryOptions: { DurationInSeconds: retrySeconds },
      S3DestinationDescription: describeObjects(settings),
      S3BackupMode: backup ? 'Enabled' : 'Disabled',
      S3BackupDescription: backup && describeObjects(backup),
      CloudWatchLoggingOptions: { Enabled: false },
      ...pick(options.given ?? {}, ['RoleARN', 'CloudWatchLoggingOptions', 'ProcessingConfiguration']),
    },
  };
}
