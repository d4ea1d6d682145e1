import fc from 'fast-check';
import { expect, test } from 'vitest';
import { putRecordBatchBody } from '../../../../src/sinks/firehose/request-body.ts';

/** What the body says, read by other code than wrote it. */
const read = (body: Buffer): unknown => JSON.parse(body.toString());

test('holds the stream and each record in base64, however its bytes are cut into pieces', () => {
  const piece = fc.oneof(fc.uint8Array({ maxLength: 7 }), fc.uint8Array({ minLength: 24_000, maxLength: 80_000 }));
  const record = fc
    .array(
      piece.map((bytes) => Buffer.from(bytes)),
      { maxLength: 6 },
    )
    .map((buffers) => ({ buffers }));
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), fc.nat(40_000), (records, room) => {
      const body = putRecordBatchBody('a.b-c', records, Buffer.alloc(room, '?'));
      expect(read(body)).toEqual({
        DeliveryStreamName: 'a.b-c',
        Records: records.map(({ buffers }) => ({ Data: Buffer.concat(buffers).toString('base64') })),
      });
    }),
    { numRuns: 60 },
  );
});

test('is written into the memory that it is given, if that is large enough', () => {
  const target = Buffer.alloc(1000);
  const body = putRecordBatchBody('s', [{ buffers: [Buffer.from('x')] }], target);
  expect(body.buffer).toBe(target.buffer);
  expect(putRecordBatchBody('s', [{ buffers: [Buffer.alloc(900)] }], target).buffer).not.toBe(target.buffer);
});
