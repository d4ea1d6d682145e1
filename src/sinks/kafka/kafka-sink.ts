import type { Table } from '../../model/table.ts';
import type { RecordOutcome, Sink, SinkObstacle, SinkRecord } from '../sink.ts';
import { IdempotentProducer } from './idempotent-producer.ts';
import type { KafkaClient, NewTopic } from './kafka-client.ts';
import { KAFKA_LIMITS } from './limits.ts';
import type { KafkaMessage, MessageWriter } from './message-text.ts';
import { unknown } from './outcomes.ts';
import type { Slice } from './partition-log.ts';
import { partitionOfKey, partitionWithoutKey } from './partitioner.ts';
import { PendingSend } from './pending-send.ts';
import type { Compression } from './record-batch.ts';
import { TopicDirectory } from './topic-directory.ts';
import type { TopicNames } from './topic-names.ts';

export interface KafkaSinkOptions {
  client: KafkaClient;
  writer: Pick<MessageWriter, 'messagesOf'>;
  topics: TopicNames;
  compression: Compression;
  timeoutMs: number;
  ackTimeoutMs: number;
  /** Default: METADATA_MAX_AGE_MS. */
  metadataMaxAgeMs?: number;
  /** How missing topics are created. Without it they are an error. */
  newTopic?: Omit<NewTopic, 'name'> | undefined;
}

/**
 * The topics of a Kafka cluster. It is idempotent: within the timeout it sends the same bytes again until a broker has
 * answered, so that what it reports as accepted is stored once, in the order of each key.
 */
export class KafkaSink implements Sink {
  readonly service = 'Kafka';
  readonly limits = KAFKA_LIMITS;
  readonly needsKeys = true;
  readonly isLog = true;
  readonly #options: KafkaSinkOptions;
  readonly #producer: IdempotentProducer;
  readonly #directory: TopicDirectory;

  constructor(options: KafkaSinkOptions) {
    this.#options = options;
    this.#producer = new IdempotentProducer(options.client, {
      ...options,
      createsTopics: options.newTopic !== undefined,
    });
    this.#directory = new TopicDirectory(options.client, options.newTopic);
  }

  async send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]> {
    if (signal.aborted) return records.map(() => unknown('the sink is stopped'));
    const { client, topics } = this.#options;
    const named = new Set<string>();
    let last: Table | undefined;
    for (const { events = [] } of records) {
      for (const { table } of events) {
        if (table === last) continue;
        last = table;
        const problem = topics.problemOf(table);
        if (problem !== undefined) return records.map(() => collision(problem));
        named.add(topics.topicOf(table));
      }
    }
    const send = new PendingSend(records.map(({ lane }) => lane));
    this.#producer.watch(send, signal);
    const missing = [...named].filter((topic) => client.topic(topic) === undefined);
    if (missing.length === 0) this.#append(send, records);
    else void this.#appendWhenFound(send, missing, records, signal);
    return send.done;
  }

  obstacle(): SinkObstacle | undefined {
    return this.#producer.obstacle;
  }

  close(): void {
    this.#producer.close();
    this.#options.client.close();
  }

  async #appendWhenFound(
    send: PendingSend,
    topics: readonly string[],
    records: readonly SinkRecord[],
    signal: AbortSignal,
  ): Promise<void> {
    const failure = await this.#directory.find(topics, send, signal);
    if (failure !== undefined) send.end(failure, failure);
    send.problem = undefined;
    if (!send.isDone) this.#append(send, records);
  }

  /** Appends the messages of all records to their partitions. Their buffers are those of the records. */
  #append(send: PendingSend, records: readonly SinkRecord[]): void {
    const { client, topics, writer } = this.#options;
    const slices = new Map<string, Slice[]>();
    for (const [record, { buffers, events = [] }] of records.entries()) {
      const lines = buffers.length === events.length ? buffers : [Buffer.concat(buffers)];
      for (const [i, event] of events.entries()) {
        const topic = topics.topicOf(event.table);
        const partitions = client.topic(topic)?.partitions.length ?? 1;
        const messages = writer.messagesOf(event, lines[i] as Buffer);
        const { key } = messages[0] as KafkaMessage;
        const partition = key === null ? partitionWithoutKey(topic, partitions) : partitionOfKey(key, partitions);
        let ofTopic = slices.get(topic);
        if (ofTopic === undefined) slices.set(topic, (ofTopic = []));
        const slice = (ofTopic[partition] ??= { send, messages: [], records: [], next: 0 });
        for (const message of messages) {
          slice.messages.push(message);
          slice.records.push(record);
        }
        send.addMessages(record, messages.length);
      }
    }
    for (const [topic, ofTopic] of slices) {
      ofTopic.forEach((slice, partition) => {
        this.#producer.append(topic, partition, slice);
      });
    }
  }
}

const collision = (reason: string): RecordOutcome => ({
  kind: 'rejected',
  scope: 'stream',
  reason,
  hint: 'exclude one of the tables, or change kafka.topic',
});
