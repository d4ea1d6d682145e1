import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../../src/codec/bytes/byte-writer.ts';
import { jsonDoubleText, putJsonDocument } from '../../../../src/codec/json/json-binary.ts';

// The type oracle compares documents of real servers. These tests cover documents of older or defective servers.

function text(hex: string): string {
  const out = new ByteWriter(16);
  const bytes = Buffer.from(hex, 'hex');
  putJsonDocument(out, bytes, 0, bytes.length);
  return out.bytes.toString('utf8', 0, out.at);
}

describe('JSON doubles', () => {
  test.each([
    [0, '0.0'],
    [-0, '-0.0'],
    [1, '1.0'],
    [1e14, '100000000000000.0'],
    [999999999999999, '999999999999999.0'],
    [1e15, '1e15'],
    [1234567890123456, '1.234567890123456e15'],
    [1234567890123456.8, '1234567890123456.8'],
    [1e-15, '0.000000000000001'],
    [1.5e-15, '0.0000000000000015'],
    [1e-16, '1e-16'],
    [-2.5e-7, '-0.00000025'],
    [1e21, '1e21'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e308'],
  ])('the double %d has the text of MySQL', (value, expected) => {
    expect(jsonDoubleText(value)).toBe(expected);
  });
});

test('an opaque value without a text form is written as its type code and base64 in lines of 76 characters', () => {
  expect(text(`0f0d04${Buffer.from('2026').toString('hex')}`)).toBe('"base64:type13:MjAyNg=="');
  const lines = text(`0fff78${'00'.repeat(120)}`).split('\\n');
  expect(lines.map((line) => line.length)).toEqual(['"base64:type255:'.length + 76, 76, 8 + 1]);
});

test('an opaque DECIMAL is a number up to a precision of 81 and an opaque value beyond it', () => {
  const digits = '00'.repeat(35);
  expect(text(`0ff6265100${`80${digits}`}`)).toBe('0');
  expect(text(`0ff6275200${`80${digits}00`}`)).toContain('base64:type246');
});

describe('malformed documents', () => {
  test.each([
    ['an unknown type', '0d00'],
    ['an unknown literal', '0403'],
    ['an object that is longer than its document', '000100ff00'],
    ['a string that is longer than its document', '0c0561'],
    ['a length without an end', '0cffffffffffff'],
    ['an array that contains itself', '0201000700020000'],
    ['a double that is not a number', '0b000000000000f87f'],
  ])('a document with %s is an error', (_name, hex) => {
    expect(() => text(hex)).toThrow(/malformed/);
  });
});
