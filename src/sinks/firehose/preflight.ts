import {
  type DeliveryStreamDescription,
  DescribeDeliveryStreamCommand,
  type DestinationDescription,
} from '@aws-sdk/client-firehose';
import type { Config } from '../../config/schema.ts';
import { error, type Finding, transientError, warning } from '../../model/finding.ts';
import { firehoseClient } from './firehose-sink.ts';

interface SdkFailure {
  name?: string;
  code?: string;
  message?: string;
}

const DEADLINE_MS = 5_000;

/** What DescribeDeliveryStream tells about each stream. Whether they take records is known only by sending one. */
export async function checkStreams(firehose: Config['firehose']): Promise<Finding[]> {
  const client = firehoseClient({ region: firehose.region, endpoint: firehose.endpoint });
  const check = async (stream: string): Promise<Finding[]> => {
    try {
      const command = new DescribeDeliveryStreamCommand({ DeliveryStreamName: stream });
      const abortSignal = AbortSignal.timeout(DEADLINE_MS);
      const { DeliveryStreamDescription } = await client.send(command, { abortSignal });
      if (!DeliveryStreamDescription) throw new Error('the answer describes no stream');
      return judgeStream(DeliveryStreamDescription, firehose);
    } catch (failure) {
      return [streamFailure(failure as SdkFailure, stream, firehose)];
    }
  };
  const streams = new Set([firehose.stream, ...Object.values(firehose.routes)]);
  try {
    const found = (await Promise.all([...streams].map(check))).flat();
    // An endpoint that is not there fails for each of them.
    return found.filter(({ what }, i) => found.findIndex((other) => other.what === what) === i);
  } finally {
    client.destroy();
  }
}

/** Destinations that take each record as one document or row, where ours holds many events. */
const ONE_EVENT_EACH = [
  'AmazonopensearchserviceDestinationDescription',
  'AmazonOpenSearchServerlessDestinationDescription',
  'ElasticsearchDestinationDescription',
  'SnowflakeDestinationDescription',
  'IcebergDestinationDescription',
] as const;

export function judgeStream(
  stream: DeliveryStreamDescription,
  { aggregate, compression }: Pick<Config['firehose'], 'aggregate' | 'compression'>,
): Finding[] {
  const problems: Finding[] = [];
  const name = stream.DeliveryStreamName;
  if (stream.DeliveryStreamStatus !== 'ACTIVE') {
    const reason = stream.FailureDescription?.Details;
    const why = `it takes no records until it is ACTIVE${reason ? `: ${reason}` : ''}`;
    const fix =
      stream.DeliveryStreamStatus === 'CREATING'
        ? 'wait a minute, then check again'
        : `delete and create it again, or name another in firehose.stream`;
    problems.push(error(`the stream ${name} is ${stream.DeliveryStreamStatus}`, why, fix));
  }
  if (stream.DeliveryStreamType !== 'DirectPut') {
    const why = 'such a stream reads from its source, and takes no PutRecordBatch';
    const fix = 'create a stream with the source Direct PUT, and name it in firehose.stream';
    problems.push(error(`the stream ${name} has the source ${stream.DeliveryStreamType}, not Direct PUT`, why, fix));
  }
  const encryption = stream.DeliveryStreamEncryptionConfiguration;
  if (encryption?.Status === 'ENABLING_FAILED') {
    const why = encryption.FailureDescription?.Details ?? 'Firehose refuses records that it cannot encrypt';
    problems.push(
      error(
        `encryption of the stream ${name} could not be enabled`,
        why,
        'repair the KMS key or its grants, or disable server-side encryption',
      ),
    );
  }
  const single = stream.Destinations?.flatMap((to) => ONE_EVENT_EACH.filter((kind) => to[kind])) ?? [];
  if (single[0] && aggregate !== 'off') {
    const kind = single[0].replace('DestinationDescription', '');
    const why =
      'it takes each record as one row or document, and a record of cdc holds up to firehose.aggregate.max_events events';
    problems.push(warning(`the stream ${name} delivers to ${kind}`, why, 'firehose.aggregate: off'));
  }
  if (compression === 'gzip' && !stream.Destinations?.every(isPlainS3)) {
    const why =
      'only a destination in S3 without compression, conversion or processing of its own leaves records as they come';
    problems.push(error(`the stream ${name} cannot take compressed records`, why, 'firehose.compression: none'));
  }
  return problems;
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

const CREDENTIALS = [
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'InvalidClientTokenId',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'MissingAuthenticationTokenException',
];

export function streamFailure(
  failure: SdkFailure,
  stream: string,
  { endpoint, region }: Pick<Config['firehose'], 'endpoint' | 'region'>,
): Finding {
  const name = failure.name ?? 'Error';
  const why =
    name === 'AbortError' ? 'no answer came in time' : failure.message?.split('\n')[0] || failure.code || name;
  if (name === 'ResourceNotFoundException') {
    return error(
      `there is no stream ${stream}${region ? ` in ${region}` : ''}`,
      why,
      'create it with the source Direct PUT, or correct firehose.stream, firehose.region or the account of the credentials',
    );
  }
  if (name === 'AccessDeniedException') {
    return warning(
      `the credentials do not allow asking about the stream ${stream}`,
      why,
      `allow {"Effect":"Allow","Action":["firehose:DescribeDeliveryStream","firehose:PutRecordBatch"],"Resource":"arn:aws:firehose:*:*:deliverystream/${stream}"}`,
    );
  }
  if (name === 'CredentialsProviderError') {
    const fix = 'set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role';
    return error('no AWS credentials were found', why, fix);
  }
  if (CREDENTIALS.includes(name)) {
    return error('AWS refuses the credentials', why, 'renew or correct them; a wrong clock has the same effect');
  }
  if (why === 'Region is missing') {
    return error(
      'no AWS region is named',
      'the region is part of every request',
      'firehose.region, or AWS_REGION in the environment',
    );
  }
  if (name === 'LimitExceededException' || /throttl/i.test(name)) {
    return warning(`AWS is too busy to tell about the stream ${stream}`, why, 'check again in a minute');
  }
  const where = endpoint ?? `Firehose in ${region ?? 'the region of the environment'}`;
  const fix = endpoint
    ? 'check firehose.endpoint, and that Firehose listens there'
    : 'check firehose.region and the way to the internet or to the VPC endpoint';
  const reached = failure.code === undefined && !/^(Timeout|Abort)Error$/.test(name);
  return reached
    ? error(`${where} does not answer as Amazon Data Firehose`, why, fix)
    : transientError(`${where} cannot be reached`, why, fix);
}
