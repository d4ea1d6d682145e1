import { afterAll, beforeAll, describe } from 'vitest';
import { kafka as kafkaSchema } from '../../src/config/kafka-schema.ts';
import { KafkaSink } from '../../src/sinks/kafka/kafka-sink.ts';
import { kafkaClient } from '../../src/sinks/kafka/open-sinks.ts';
import { TopicNames } from '../../src/sinks/kafka/topic-names.ts';
import { kafkaAvailability } from '../kafka/artifacts.ts';
import { KafkaProxy, type ProduceFault } from '../kafka/kafka-proxy.ts';
import { type KafkaServer, startKafka } from '../kafka/kafka-server.ts';
import { type SinkFault, type SinkSubject, sinkContract } from './sink.contract.ts';

/** A busy machine answers large requests late. */
const TIMEOUT = '8s';
const INVALID_RECORD = 87;
const NOT_ENOUGH_REPLICAS = 19;

const FAULTS: Readonly<Partial<Record<SinkFault, ProduceFault>>> = {
  'request throttled': { answer: NOT_ENOUGH_REPLICAS },
  'response lost': 'lose',
  'connection reset': 'reset',
  'response stalls': 'stall',
  'no response': 'drop',
  'result missing': 'empty',
};

const reason = await kafkaAvailability();

describe.skipIf(reason !== undefined)(`Apache Kafka${reason ? ` (cannot run: ${reason})` : ''}`, () => {
  let kafka: KafkaServer;
  let proxy: KafkaProxy;
  let subjects = 0;

  beforeAll(async () => {
    kafka = await startKafka({
      proxy: async (port) => {
        proxy = await KafkaProxy.listen(port);
        return proxy.port;
      },
    });
  }, 180_000);
  afterAll(async () => {
    await kafka?.close();
    await proxy?.close();
  });

  function sinkOf(pipeline: string): KafkaSink {
    const config = kafkaSchema.parse({ brokers: kafka.bootstrap, timeout: TIMEOUT });
    return new KafkaSink({
      client: kafkaClient(config, pipeline),
      // The lines of the suite have no seq, which the header of our messages needs.
      writer: {
        messagesOf: ({ key }, line) => [{ topic: '', key, value: [line.subarray(0, line.length - 1)], headers: [] }],
      },
      topics: new TopicNames(config.topic, pipeline),
      compression: 'none',
      timeoutMs: config.timeout,
      ackTimeoutMs: config.timeout / 5,
    });
  }

  /** Each subject has topics of its own. */
  async function openSubject(): Promise<SinkSubject> {
    const name = `subject${subjects++}`;
    const topic = `${name}.shop.orders`;
    await kafka.createTopic(topic, 1, { 'max.message.bytes': 17 * 1024 * 1024 });
    const sink = sinkOf(name);
    const withoutStream = sinkOf('missing');
    return {
      sink,
      withoutStream,
      // A batch of one partition is stored as a whole or not at all.
      impossible: ['second record throttled'],
      stored: async () => {
        const records = await kafka.readTopic(topic);
        // A message is a line without its newline.
        return records.map(({ value }) => Buffer.from(`${value}\n`));
      },
      setFault: (fault) => {
        proxy.fault = ({ frame }) => {
          if (fault === undefined) return undefined;
          if (fault !== 'poison') return FAULTS[fault];
          return frame.includes('poison') ? { answer: INVALID_RECORD } : undefined;
        };
      },
      close: async () => {
        proxy.fault = () => undefined;
        sink.close();
        withoutStream.close();
      },
    };
  }

  sinkContract('Apache Kafka', openSubject);
});
