import { type KafkaConfig, parseBroker } from '../../config/kafka-schema.ts';
import type { Config } from '../../config/schema.ts';
import { compileColumnRules } from '../../model/column-rules.ts';
import type { SinkTarget } from '../sink.ts';
import { KafkaClient, type NewTopic } from './kafka-client.ts';
import { KafkaSink } from './kafka-sink.ts';
import { ATTEMPTS_MIN, BROKER_CONNECT_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from './limits.ts';
import { MessageWriter } from './message-text.ts';
import { saslOf, tlsOf } from './security.ts';
import { TopicNames } from './topic-names.ts';

/** What the messages of a cluster depend on beside its section. */
export type MessageConfig = Pick<Config, 'name' | 'format' | 'flat_prefix' | 'values' | 'columns'>;

/** Opens the sink of a cluster for each name: there is one, because the topic of an event follows from its table. */
export async function openKafkaSinks(
  config: KafkaConfig,
  messages: MessageConfig,
  targets: readonly { name: string }[],
  options: { caseSensitive: boolean },
): Promise<SinkTarget[]> {
  const { name: pipeline } = messages;
  return targets.map(({ name }) => {
    const client = kafkaClient(config, pipeline);
    const sink = new KafkaSink({
      client,
      writer: messageWriter(config, messages, options),
      topics: new TopicNames(config.topic, pipeline),
      compression: config.compression,
      timeoutMs: config.timeout,
      // The broker gives up first, so that there is an answer.
      ackTimeoutMs: Math.ceil(requestTimeoutMs(config.timeout) * 0.8),
      newTopic: newTopicOf(config),
    });
    return { name, sink, quota: undefined, aggregation: 'off', lingerMs: config.linger };
  });
}

function messageWriter(
  { schemas, tombstones }: KafkaConfig,
  { name, format, flat_prefix, values, columns }: MessageConfig,
  options: { caseSensitive: boolean },
): MessageWriter {
  const columnRule = compileColumnRules(columns, options);
  return new MessageWriter({
    ...{ topicPrefix: name, format, flatPrefix: flat_prefix, values },
    ...{ schemas, tombstones, columnRule },
  });
}

/** A client of the cluster, which connects when it is first asked. */
export const kafkaClient = (config: KafkaConfig, pipeline: string, timeoutMs = config.timeout): KafkaClient =>
  new KafkaClient({
    bootstrap: config.brokers.map(parseBroker),
    clientId: `cdc-${pipeline}`,
    connectTimeoutMs: Math.min(BROKER_CONNECT_TIMEOUT_MS, requestTimeoutMs(timeoutMs)),
    requestTimeoutMs: requestTimeoutMs(timeoutMs),
    tls: tlsOf(config),
    sasl: saslOf(config),
  });

const requestTimeoutMs = (timeoutMs: number): number =>
  Math.min(REQUEST_TIMEOUT_MS, Math.ceil(timeoutMs / ATTEMPTS_MIN));

/** How missing topics are created; undefined if they are an error. -1 leaves the factor to the brokers. */
export function newTopicOf({ create_topics: create }: KafkaConfig): Omit<NewTopic, 'name'> | undefined {
  if (create === undefined) return undefined;
  const config = Object.fromEntries(Object.entries(create.config).map(([key, value]) => [key, String(value)]));
  return { partitions: create.partitions, replicationFactor: create.replication_factor ?? -1, config };
}
