import { produceV9, Writer } from '@platformatic/kafka';
import { type BrokerConnection, isAnswer } from './connection.ts';

/** The bytes of a batch, and where they go. */
export interface BatchToSend {
  topic: string;
  partition: number;
  bytes: Buffer;
}

/** What a broker answered for one partition. An error code of 0 stands for success. */
export interface PartitionAnswer {
  errorCode: number;
  message: string | null;
  /** Places in the batch of records that are the cause. */
  records: { index: number; message: string | null }[];
}

type ProduceAnswer = ReturnType<typeof produceV9.parseResponse>;

const PRODUCE = 0;
const VERSION = 9;
/** Every replica in sync has stored it. */
const ACKS_ALL = -1;

/**
 * Sends batches in one Produce request. The bytes are copied before this returns its promise.
 * @param timeoutMs how long the broker waits for the replicas
 * @returns the answer for each batch; undefined if it has none for it
 * @throws the error of a request without an answer
 */
export async function sendBatches(
  connection: BrokerConnection,
  batches: readonly BatchToSend[],
  timeoutMs: number,
): Promise<(PartitionAnswer | undefined)[]> {
  const byTopic = grouped(batches);
  const write = (): Writer => {
    const writer = Writer.create().appendString(null).appendInt16(ACKS_ALL).appendInt32(timeoutMs);
    writer.appendArray([...byTopic], (topics, [topic, its]) => {
      topics.appendString(topic).appendArray(its, (partitions, { partition, bytes }) => {
        partitions
          .appendInt32(partition)
          .appendUnsignedVarInt(bytes.length + 1)
          .append(bytes);
      });
    });
    return writer.appendTaggedFields();
  };
  let answer: ProduceAnswer;
  try {
    answer = await connection.call<ProduceAnswer>((to, callback) => {
      to.send(PRODUCE, VERSION, write, produceV9.parseResponse, true, true, callback);
    });
  } catch (error) {
    // The library throws the whole answer if any partition in it has an error.
    if (!isAnswer(error)) throw error;
    answer = error.response as ProduceAnswer;
  }
  return batches.map(({ topic, partition }) => {
    const found = answer.responses
      .find(({ name }) => name === topic)
      ?.partitionResponses.find(({ index }) => index === partition);
    if (found === undefined) return undefined;
    const records = (found.recordErrors ?? []).map(({ batchIndex, batchIndexErrorMessage }) => ({
      index: batchIndex,
      message: batchIndexErrorMessage ?? null,
    }));
    return { errorCode: found.errorCode, message: found.errorMessage ?? null, records };
  });
}

function grouped(batches: readonly BatchToSend[]): Map<string, BatchToSend[]> {
  const byTopic = new Map<string, BatchToSend[]>();
  for (const batch of batches) {
    const its = byTopic.get(batch.topic);
    if (its === undefined) byTopic.set(batch.topic, [batch]);
    else its.push(batch);
  }
  return byTopic;
}
