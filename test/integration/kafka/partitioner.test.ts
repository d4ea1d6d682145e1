import { randomBytes, randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { partitionOfKey } from '../../../src/sinks/kafka/partitioner.ts';
import { findKafka, kafkaAvailability } from '../../kafka/artifacts.ts';
import { KafkaTool } from '../../kafka/kafka-tool.ts';

const reason = await kafkaAvailability();

test.skipIf(reason !== undefined)(
  `keys go where Apache's producer puts them${reason ? ` (${reason})` : ''}`,
  async () => {
    // It computes, and connects to nobody.
    const tool = new KafkaTool(await findKafka(), '127.0.0.1:1');
    try {
      for (const partitions of [1, 2, 3, 7, 12, 64, 1000]) {
        const keys = Array.from({ length: 3_000 }, (_, i) =>
          i % 2 === 0 ? randomBytes(randomInt(0, 40)) : Buffer.from(`{"id":${randomInt(1e9)}}`),
        );
        const answer = await tool.request('partitionsOf', { partitions, keys: keys.map((key) => key.toString('hex')) });
        expect(keys.map((key) => partitionOfKey(key, partitions))).toEqual(answer.partitions);
      }
    } finally {
      await tool.close();
    }
  },
);
