import { describe, expect, test } from 'vitest';
import { parseBody, readPutRecord, readPutRecordBatch } from '../../../../src/local/firehose/put-request.ts';

const batch = (records: unknown, space?: number) =>
  readPutRecordBatch(
    parseBody(Buffer.from(JSON.stringify({ DeliveryStreamName: 's', Records: records }, null, space))),
  );
const base64 = (bytes: Buffer) => ({ Data: bytes.toString('base64') });
/** Bytes of every value. */
const bytes = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) % 256));

describe('reading a PutRecordBatch', () => {
  test.each([0, 1, 2, 3, 24_575, 24_576, 24_577, 100_000])(
    'a record of %i bytes is read exactly from a small body, a large body and a body with spaces',
    (length) => {
      const record = bytes(length);
      const read = (...input: Parameters<typeof batch>) => batch(...input).records.map((one) => base64(one));
      const large = [base64(record), base64(bytes(50_000)), base64(record)];
      expect(read([base64(record)])).toEqual([base64(record)]);
      expect(read(large)).toEqual(large);
      expect(read(large, 1)).toEqual(large);
    },
  );

  test('a large body with JSON escapes is read exactly', () => {
    const text = JSON.stringify({ Records: [base64(bytes(50_000))] }).replaceAll('/', '\\/');
    expect(readPutRecordBatch({ ...parseBody(Buffer.from(text)), DeliveryStreamName: 's' }).records).toEqual([
      bytes(50_000),
    ]);
  });

  test.each([
    [
      'QUJ',
      "'QUJ' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3",
    ],
    ['QU!D', "Invalid Base64 character: '!'"],
    ['QU D', "Invalid Base64 character: ' '"],
    ['QU-D', "Invalid Base64 character: '-'"],
    ['QQ==QUJD', "Invalid Base64 character: '='"],
    ['====', 'Invalid Base64 character'],
  ])('base64 %j is rejected in a small body and in a large one', (text, message) => {
    expect(() => batch([{ Data: text }])).toThrow(message);
    expect(() => batch([base64(bytes(50_000)), { Data: text }])).toThrow(message);
  });

  test('padding in the middle is rejected even at the end of a decoding step', () => {
    const piece = `${'A'.repeat(32 * 1024 - 2)}==`;
    expect(() => batch([{ Data: `${piece}QUJD` }])).toThrow("Invalid Base64 character: '='");
  });

  test.each([
    [[{ Data: 7 }], 'class java.math.BigDecimal can not be converted to a Blob'],
    [[{ Data: true }], 'class java.lang.Boolean can not be converted to a Blob'],
    [[{ Data: {} }], 'Start of structure or map found where not expected.'],
    [[[]], 'Start of list found where not expected'],
    ['x', 'Expected list or null'],
    [{}, 'Start of structure or map found where not expected.'],
  ])('records %j are rejected', (records, message) => {
    expect(() => batch(records)).toThrow(message);
  });

  test('the error names every missing field with its place', () => {
    const read = (input: object) => () => readPutRecordBatch(parseBody(Buffer.from(JSON.stringify(input))));
    expect(read({})).toThrow(
      "2 validation errors detected: Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null; " +
        "Value null at 'records' failed to satisfy constraint: Member must not be null",
    );
    expect(read({ DeliveryStreamName: 's', Records: [{ Data: '' }, {}] })).toThrow(
      "1 validation error detected: Value null at 'records.2.member.data' failed to satisfy constraint: Member must not be null",
    );
    expect(() => readPutRecord({ DeliveryStreamName: 's' })).toThrow("Value null at 'record' failed");
  });

  test('a body that is not a JSON object is a SerializationException', () => {
    for (const text of ['', '{', '[]', '7', 'null', `{"Data":"${'A'.repeat(40_000)}`]) {
      expect(() => parseBody(Buffer.from(text)), text.slice(0, 20)).toThrow(
        expect.objectContaining({ type: 'SerializationException', status: 400 }),
      );
    }
  });
});
