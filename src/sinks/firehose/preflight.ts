import { DescribeDeliveryStreamCommand } from '@aws-sdk/client-firehose';
import type { Config } from '../../config/schema.ts';
import type { Finding } from '../../model/finding.ts';
import { type AwsFailure, checkStream, describeFailureFinding } from './check-stream.ts';
import { firehoseClient } from './firehose-sink.ts';

const DESCRIBE_TIMEOUT_MS = 5_000;

/** Describes every stream and checks the descriptions. Only a record could show whether a stream accepts records. */
export async function checkStreams(firehose: Config['firehose']): Promise<Finding[]> {
  const client = firehoseClient({ region: firehose.region, endpoint: firehose.endpoint });
  const describeAndCheck = async (stream: string): Promise<Finding[]> => {
    try {
      const command = new DescribeDeliveryStreamCommand({ DeliveryStreamName: stream });
      const abortSignal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
      const { DeliveryStreamDescription } = await client.send(command, { abortSignal });
      if (!DeliveryStreamDescription) throw new Error('the response describes no stream');
      return checkStream(DeliveryStreamDescription, firehose);
    } catch (failure) {
      return [describeFailureFinding(failure as AwsFailure, stream, firehose)];
    }
  };
  const streams = new Set([firehose.stream, ...Object.values(firehose.routes)]);
  try {
    const findings = (await Promise.all([...streams].map(describeAndCheck))).flat();
    // If the endpoint does not answer, every stream has the same finding.
    return findings.filter(({ what }, i) => findings.findIndex((other) => other.what === what) === i);
  } finally {
    client.destroy();
  }
}
