import { DescribeDeliveryStreamCommand, ListDeliveryStreamsCommand } from '@aws-sdk/client-firehose';
import { FIREHOSE } from '../../aws/aws-service.ts';
import type { Config } from '../../config/schema.ts';
import type { FirehoseConfig } from '../../config/transport-schema.ts';
import type { Finding } from '../../model/finding.ts';
import { checkDescriptions } from '../aws/describe-streams.ts';
import { checkStream } from './check-stream.ts';
import { firehoseClient, firehoseRecovery } from './firehose-client.ts';

/**
 * Describes every stream and checks the descriptions. Only a record could show whether a stream accepts records.
 * @throws CdcError with exit code 2 if a variable of the environment names no proxy or no authorities
 */
export async function checkStreams(config: Config, firehose: FirehoseConfig): Promise<Finding[]> {
  const connection = { region: firehose.region, endpoint: firehose.endpoint };
  const client = firehoseClient(connection);
  try {
    return await checkDescriptions(new Set([firehose.stream, ...Object.values(firehose.routes)]), {
      service: FIREHOSE,
      connection,
      recovery: firehoseRecovery(client),
      command: (stream) => new DescribeDeliveryStreamCommand({ DeliveryStreamName: stream }),
      send: (command, options) => client.send(command, options),
      check: ({ DeliveryStreamDescription }) => {
        if (!DeliveryStreamDescription) throw new Error('the response describes no stream');
        return checkStream(DeliveryStreamDescription, { ...firehose, ...config });
      },
      list: async (after, options) => {
        const command = new ListDeliveryStreamsCommand({
          Limit: 100,
          ...(after !== undefined && { ExclusiveStartDeliveryStreamName: after }),
        });
        const { DeliveryStreamNames = [], HasMoreDeliveryStreams } = await client.send(command, options);
        return { names: DeliveryStreamNames, more: HasMoreDeliveryStreams === true };
      },
      clockOffsetMs: () => client.config.systemClockOffset,
    });
  } finally {
    client.destroy();
  }
}
