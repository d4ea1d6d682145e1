import { DescribeStreamSummaryCommand, KinesisClient } from '@aws-sdk/client-kinesis';
import { KINESIS } from '../../aws/aws-service.ts';
import { type AwsConnection, awsClientOptions } from '../../aws/client-options.ts';
import { FailureRecovery } from '../aws/failure-recovery.ts';

/** How to reach Kinesis. */
export interface KinesisConnection extends AwsConnection {
  /** Without a complete response in this time, in milliseconds, the outcome of a request is unknown. */
  timeoutMs?: number;
}

/**
 * A client that does not retry. Delivery retries, because it knows which events have to wait. It speaks HTTP/1.1
 * through the proxies of the environment, where the SDK's own choice for Kinesis is HTTP/2 without them.
 */
export const kinesisClient = (connection: KinesisConnection): KinesisClient =>
  new KinesisClient(awsClientOptions(connection));

export const kinesisRecovery = (client: KinesisClient): FailureRecovery =>
  new FailureRecovery(client, KINESIS, async (stream, abortSignal) => {
    const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName: stream }), {
      abortSignal,
    });
    const status = StreamDescriptionSummary?.StreamStatus;
    // It takes records while it is resharded.
    return status === 'UPDATING' ? 'ACTIVE' : status;
  });
