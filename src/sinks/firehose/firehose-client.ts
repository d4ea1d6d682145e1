import { DescribeDeliveryStreamCommand, FirehoseClient } from '@aws-sdk/client-firehose';
import { FIREHOSE } from '../../aws/aws-service.ts';
import { type AwsConnection, awsClientOptions } from '../../aws/client-options.ts';
import { FailureRecovery } from '../aws/failure-recovery.ts';

/** How to reach Firehose. */
export interface FirehoseConnection extends AwsConnection {
  /** Without a complete response in this time, in milliseconds, the outcome of a request is unknown. */
  timeoutMs?: number;
}

/** A client that does not retry. Delivery retries, because it knows which events have to wait. */
export const firehoseClient = (connection: FirehoseConnection): FirehoseClient =>
  new FirehoseClient(awsClientOptions(connection));

export const firehoseRecovery = (client: FirehoseClient): FailureRecovery =>
  new FailureRecovery(client, FIREHOSE, async (stream, abortSignal) => {
    const command = new DescribeDeliveryStreamCommand({ DeliveryStreamName: stream });
    const { DeliveryStreamDescription } = await client.send(command, { abortSignal });
    return DeliveryStreamDescription?.DeliveryStreamStatus;
  });
