import { DescribeDeliveryStreamCommand, type DestinationDescription } from '@aws-sdk/client-firehose';
import { type FirehoseConnection, firehoseClient } from './firehose-client.ts';

const DESCRIBE_TIMEOUT_MS = 5_000;
/** The longest time that BufferingHints can set, and the one without them (Firehose API reference). */
export const BUFFER_SECONDS_MAX = 900;
const BUFFER_SECONDS_DEFAULT = 300;
/** That of a Lambda function; DescribeDeliveryStream leaves it out where it is the default. */
const LAMBDA_SECONDS_DEFAULT = 60;

/**
 * How long a stream keeps events at most before it writes them to its bucket, in seconds. Undefined if it does not say:
 * the policy need not allow DescribeDeliveryStream.
 */
export async function bufferSeconds(connection: FirehoseConnection, stream: string): Promise<number | undefined> {
  const client = firehoseClient(connection);
  try {
    const { DeliveryStreamDescription } = await client.send(
      new DescribeDeliveryStreamCommand({ DeliveryStreamName: stream }),
      { abortSignal: AbortSignal.timeout(DESCRIBE_TIMEOUT_MS) },
    );
    return (DeliveryStreamDescription?.Destinations ?? []).map(intervalOf).reduce(longer, undefined);
  } catch {
    return undefined;
  } finally {
    client.destroy();
  }
}

const longer = (a: number | undefined, b: number): number => Math.max(a ?? 0, b);

/** A Lambda function is given records that were buffered before those of the bucket are. */
function intervalOf({ ExtendedS3DestinationDescription: s3, ...others }: DestinationDescription): number {
  const bucket =
    s3 ?? others.S3DestinationDescription ?? others.RedshiftDestinationDescription?.S3DestinationDescription;
  const processing = s3?.ProcessingConfiguration;
  const processors = processing?.Enabled ? (processing.Processors ?? []) : [];
  const lambda = processors.find(({ Type }) => Type === 'Lambda');
  const given = lambda?.Parameters?.find(({ ParameterName }) => ParameterName === 'BufferIntervalInSeconds');
  const lambdaSeconds = lambda === undefined ? 0 : Number(given?.ParameterValue ?? LAMBDA_SECONDS_DEFAULT);
  return (bucket?.BufferingHints?.IntervalInSeconds ?? BUFFER_SECONDS_DEFAULT) + lambdaSeconds;
}
