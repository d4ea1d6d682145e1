import { DescribeStreamSummaryCommand, type KinesisClient, ListStreamsCommand } from '@aws-sdk/client-kinesis';
import { type AwsFailure, failureText } from '../../aws/aws-failure.ts';
import { KINESIS } from '../../aws/aws-service.ts';
import { isLocal } from '../../aws/local-endpoint.ts';
import type { KinesisConfig } from '../../config/kinesis-schema.ts';
import type { Finding } from '../../model/finding.ts';
import { checkDescriptions } from '../aws/describe-streams.ts';
import { checkDataStream, unlistedShards } from './check-stream.ts';
import { kinesisClient, kinesisRecovery } from './kinesis-client.ts';
import { listOpenShards } from './shard-map.ts';

/**
 * Describes every stream and checks the descriptions. Only a record could show whether a stream accepts records.
 * @throws CdcError with exit code 2 if a variable of the environment names no proxy or no authorities
 */
export async function checkDataStreams(kinesis: KinesisConfig): Promise<Finding[]> {
  const connection = { region: kinesis.region, endpoint: kinesis.endpoint };
  const client = kinesisClient(connection);
  try {
    return await checkDescriptions(new Set([kinesis.stream, ...Object.values(kinesis.routes)]), {
      service: KINESIS,
      connection,
      recovery: kinesisRecovery(client),
      command: (stream) => new DescribeStreamSummaryCommand({ StreamName: stream }),
      send: (command, options) => client.send(command, options),
      check: async ({ StreamDescriptionSummary: summary }, stream) => {
        if (!summary) throw new Error('the response describes no stream');
        // A local stream keeps its records for as long as its process lives.
        const described = isLocal(kinesis.endpoint) ? { ...summary, RetentionPeriodHours: undefined } : summary;
        return [...checkDataStream(described, kinesis), ...(await checkShards(client, stream, kinesis))];
      },
      list: async (after, options) => {
        const start = after === undefined ? {} : { ExclusiveStartStreamName: after };
        const { StreamNames = [], HasMoreStreams } = await client.send(new ListStreamsCommand(start), options);
        return { names: StreamNames, more: HasMoreStreams === true };
      },
      clockOffsetMs: () => client.config.systemClockOffset,
    });
  } finally {
    client.destroy();
  }
}

/** Whether pacing has what it needs. */
async function checkShards(client: KinesisClient, stream: string, { quota }: KinesisConfig): Promise<Finding[]> {
  if (quota === 'off') return [];
  try {
    await listOpenShards(client, stream);
    return [];
  } catch (failure) {
    return [unlistedShards(stream, failureText(failure as AwsFailure))];
  }
}
