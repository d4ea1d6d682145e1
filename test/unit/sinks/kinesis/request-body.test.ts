import fc from 'fast-check';
import { expect, test } from 'vitest';
import { putRecordsBody } from '../../../../src/sinks/kinesis/request-body.ts';

test('contains the stream and each record with its keys, whatever characters they have', () => {
  const entry = fc.record(
    {
      data: fc.array(
        fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
        { maxLength: 4 },
      ),
      partitionKey: fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }),
      explicitHashKey: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(String),
    },
    { requiredKeys: ['data', 'partitionKey'] },
  );
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 6 }), fc.nat(2_000), (entries, room) => {
      // Parsed by code that is not ours.
      expect(JSON.parse(putRecordsBody('a.b-c', entries, Buffer.alloc(room, '?')).toString())).toEqual({
        StreamName: 'a.b-c',
        Records: entries.map(({ data, partitionKey, explicitHashKey }) => ({
          Data: Buffer.concat(data).toString('base64'),
          PartitionKey: partitionKey,
          ...(explicitHashKey !== undefined && { ExplicitHashKey: explicitHashKey }),
        })),
      });
    }),
    { numRuns: 200 },
  );
});
