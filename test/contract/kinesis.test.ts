import { KinesisSink } from '../../src/sinks/kinesis/kinesis-sink.ts';
import { deaggregate } from '../kinesis/deaggregate.ts';
import { startLocalKinesis } from '../kinesis/local-kinesis.ts';
import { type SinkSubject, sinkContract } from './sink.contract.ts';

/** A busy machine answers large requests late. */
const TIMEOUT_MS = 5_000;

async function openSubject(aggregate: { maxEvents: number } | 'off'): Promise<SinkSubject> {
  const kinesis = await startLocalKinesis();
  await kinesis.createStream('changes', 4);
  const options = { region: undefined, endpoint: kinesis.endpoint, timeoutMs: TIMEOUT_MS, aggregate };
  const sink = new KinesisSink({ ...options, stream: 'changes', quota: 'off' });
  const withoutStream = new KinesisSink({ ...options, stream: 'missing', quota: 'off' });
  return {
    sink,
    withoutStream,
    stored: () =>
      kinesis.stored.map(({ data }) =>
        Buffer.concat(aggregate === 'off' ? [data] : deaggregate(data).map((user) => user.data)),
      ),
    setFault: (fault) => kinesis.setFault(fault),
    close: async () => {
      sink.close();
      withoutStream.close();
      await kinesis.close();
    },
  };
}

sinkContract('Amazon Kinesis Data Streams', () => openSubject('off'));
sinkContract('Amazon Kinesis Data Streams with aggregated records', () => openSubject({ maxEvents: 500 }));
