import type { DeliveryStreamDescription, DestinationDescription } from '@aws-sdk/client-firehose';
import type { Config } from '../../config/schema.ts';
import { error, type Finding, transientError, warning } from '../../model/finding.ts';
import { awsError } from './aws-errors.ts';

/** An error of the AWS SDK, as far as the rules need it. */
export interface AwsFailure {
  name?: string;
  /** The code of a network error, such as ECONNREFUSED. */
  code?: string;
  message?: string;
}

/** Destinations that store each record as one document or row, where a record of cdc can contain many events. */
const ONE_EVENT_PER_RECORD = [
  'AmazonopensearchserviceDestinationDescription',
  'AmazonOpenSearchServerlessDestinationDescription',
  'ElasticsearchDestinationDescription',
  'SnowflakeDestinationDescription',
  'IcebergDestinationDescription',
] as const;

export function checkStream(
  stream: DeliveryStreamDescription,
  { aggregate, compression }: Pick<Config['firehose'], 'aggregate' | 'compression'>,
): Finding[] {
  const findings: Finding[] = [];
  const name = stream.DeliveryStreamName;
  if (stream.DeliveryStreamStatus !== 'ACTIVE') {
    const details = stream.FailureDescription?.Details;
    const why = `it accepts no records until it is ACTIVE${details ? `: ${details}` : ''}`;
    const fix =
      stream.DeliveryStreamStatus === 'CREATING'
        ? 'wait a minute, then check again'
        : 'delete the stream and create it again, or set firehose.stream to another stream';
    findings.push(error(`the stream ${name} is ${stream.DeliveryStreamStatus}`, why, fix));
  }
  if (stream.DeliveryStreamType !== 'DirectPut') {
    const why = 'the stream reads from its source, and accepts no PutRecordBatch';
    const fix = 'create a stream with the source Direct PUT, and set firehose.stream to it';
    findings.push(error(`the stream ${name} has the source ${stream.DeliveryStreamType}, not Direct PUT`, why, fix));
  }
  const encryption = stream.DeliveryStreamEncryptionConfiguration;
  if (encryption?.Status === 'ENABLING_FAILED') {
    const why = encryption.FailureDescription?.Details ?? 'Firehose rejects records that it cannot encrypt';
    const fix = 'repair the KMS key or its grants, or disable server-side encryption';
    findings.push(error(`encryption of the stream ${name} could not be enabled`, why, fix));
  }
  const destination = stream.Destinations?.flatMap((to) => ONE_EVENT_PER_RECORD.filter((kind) => to[kind]))[0];
  if (destination !== undefined && aggregate !== 'off') {
    const kind = destination.replace('DestinationDescription', '');
    const why =
      'it stores each record as one row or document, and a record of cdc contains up to firehose.aggregate.max_events events';
    findings.push(warning(`the stream ${name} delivers to ${kind}`, why, 'firehose.aggregate: off'));
  }
  if (compression === 'gzip' && !stream.Destinations?.every(isPlainS3)) {
    const why =
      'only an S3 destination without compression, format conversion and processing stores the records unchanged';
    findings.push(error(`the stream ${name} cannot take compressed records`, why, 'firehose.compression: none'));
  }
  return findings;
}

function isPlainS3({ ExtendedS3DestinationDescription: s3 }: DestinationDescription): boolean {
  return (
    s3 !== undefined &&
    (s3.CompressionFormat ?? 'UNCOMPRESSED') === 'UNCOMPRESSED' &&
    s3.DataFormatConversionConfiguration?.Enabled !== true &&
    s3.ProcessingConfiguration?.Enabled !== true &&
    s3.DynamicPartitioningConfiguration?.Enabled !== true
  );
}

/** The finding for a stream that could not be described. */
export function describeFailureFinding(
  failure: AwsFailure,
  stream: string,
  { endpoint, region }: Pick<Config['firehose'], 'endpoint' | 'region'>,
): Finding {
  const name = failure.name ?? 'Error';
  const why =
    name === 'AbortError' ? 'there was no response in time' : failure.message?.split('\n')[0] || failure.code || name;
  const { kind } = awsError(name);
  if (kind === 'streamNotFound') {
    return error(
      `there is no stream ${stream}${region ? ` in ${region}` : ''}`,
      why,
      'create it with the source Direct PUT, or correct firehose.stream, firehose.region or the account of the credentials',
    );
  }
  if (kind === 'accessDenied') {
    return warning(
      `the credentials do not allow DescribeDeliveryStream for the stream ${stream}`,
      why,
      `allow {"Effect":"Allow","Action":["firehose:DescribeDeliveryStream","firehose:PutRecordBatch"],"Resource":"arn:aws:firehose:*:*:deliverystream/${stream}"}`,
    );
  }
  if (kind === 'noCredentials') {
    const fix = 'set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role';
    return error('no AWS credentials were found', why, fix);
  }
  if (kind === 'credentials' || kind === 'expiredCredentials') {
    return error('AWS rejects the credentials', why, 'renew or correct them; a wrong clock has the same effect');
  }
  if (why === 'Region is missing') {
    const fix = 'set firehose.region, or AWS_REGION in the environment';
    return error('no AWS region is configured', 'every request contains the region', fix);
  }
  if (kind === 'throttling' || /throttl/i.test(name)) {
    return warning(`AWS throttles the check of the stream ${stream}`, why, 'check again in a minute');
  }
  const target = endpoint ?? `Firehose in ${region ?? 'the region of the environment'}`;
  const fix = endpoint
    ? 'check firehose.endpoint, and that Firehose listens there'
    : 'check firehose.region and the network path to the internet or to the VPC endpoint';
  const isReached = failure.code === undefined && !/^(Timeout|Abort)Error$/.test(name);
  return isReached
    ? error(`${target} does not answer as Amazon Data Firehose`, why, fix)
    : transientError(`${target} cannot be reached`, why, fix);
}
