import { type KafkaConfig, kafka } from '../../../src/config/kafka-schema.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { Table } from '../../../src/model/table.ts';
import { KafkaSink, type KafkaSinkOptions } from '../../../src/sinks/kafka/kafka-sink.ts';
import { MessageWriter } from '../../../src/sinks/kafka/message-text.ts';
import { kafkaClient, openKafkaSinks } from '../../../src/sinks/kafka/open-sinks.ts';
import { TopicNames } from '../../../src/sinks/kafka/topic-names.ts';
import type { RecordOutcome, Sink, SinkRecord } from '../../../src/sinks/sink.ts';

export const tableOf = (name: string): Table => ({ schema: 'shop', name, columns: [], key: [0] });

/** A sink as the configuration of these keys opens it. */
export async function openSink(keys: { brokers: string[] } & Record<string, unknown>): Promise<Sink> {
  const config: KafkaConfig = kafka.parse(keys);
  const messages = configSchema.parse({
    source: { url: 'mysql://cdc@127.0.0.1', password: 'secret' },
    kafka: { brokers: keys.brokers },
  });
  const [target] = await openKafkaSinks(config, messages, [{ name: 'kafka' }], { caseSensitive: true });
  return (target as NonNullable<typeof target>).sink;
}

/** The same with options that the configuration does not have. */
export function sinkWith(brokers: string[], options: Partial<KafkaSinkOptions>): KafkaSink {
  const config = kafka.parse({ brokers, timeout: '60s' });
  const forms = { format: 'debezium', flatPrefix: '_', schemas: false, tombstones: true } as const;
  return new KafkaSink({
    client: kafkaClient(config, 'cdc'),
    writer: new MessageWriter({ ...forms, topicPrefix: 'cdc', values: configSchema.shape.values.parse({}) }),
    topics: new TopicNames(config.topic, 'cdc'),
    ...{ compression: 'none', timeoutMs: config.timeout, ackTimeoutMs: 10_000 },
    ...options,
  });
}

export interface TestEvent {
  table: Table;
  id: number | null;
  /** What the line has beside the key. */
  n: number;
  lane?: number;
  pad?: string;
  op?: 'c' | 'd' | 't';
}

export function recordOf({ table, id, n, lane, pad = '', op = 'c' }: TestEvent): SinkRecord {
  const key = id === null ? Buffer.alloc(0) : Buffer.from(`{"id":${id}}`);
  const line = Buffer.from(`${JSON.stringify({ id, n, pad, seq: '0'.repeat(36) })}\n`);
  return { buffers: [line], events: [{ key, table, op }], ...(lane !== undefined && { lane }) };
}

export const kindsOf = (outcomes: readonly RecordOutcome[]): string[] => outcomes.map(({ kind }) => kind);
