import { describe, expect, test } from 'vitest';
import {
  compilePrefix,
  evaluatePrefix,
  formatTimestamp,
  type PrefixField,
  withDefaultTimestamp,
} from '../../../../src/local/firehose/prefix.ts';

const arrival = new Date('2018-08-27T10:30:05.042Z');
const evaluate = (text: string, field: PrefixField = 'Prefix', errorType?: string, keys?: Map<string, string>) =>
  evaluatePrefix(withDefaultTimestamp(compilePrefix(text, field)), {
    arrival,
    ...(errorType && { errorType }),
    ...(keys && { keys }),
  });

describe('prefix expressions', () => {
  test('the UTC hour of arrival is appended to a prefix without a timestamp', () => {
    expect(evaluate('')).toBe('2018/08/27/10/');
    expect(evaluate('raw/')).toBe('raw/2018/08/27/10/');
    expect(evaluate('rand=!{firehose:random-string}/')).toMatch(/^rand=[0-9a-z]{11}\/2018\/08\/27\/10\/$/);
  });

  test('timestamps have the values of the examples in the Firehose documentation', () => {
    expect(evaluate('a/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/')).toBe(
      'a/year=2018/month=08/day=27/hour=10/',
    );
    expect(
      evaluatePrefix(
        compilePrefix(
          "e/!{timestamp:'year='yyyy'/month='MM'/day='dd'/hour='HH}/!{firehose:error-output-type}",
          'ErrorOutputPrefix',
        ),
        { arrival, errorType: 'partitioning-failed' },
      ),
    ).toBe('e/year=2018/month=08/day=27/hour=10/partitioning-failed');
  });

  test.each([
    ['yy D DDD', '18 239 239'],
    ['MMM MMMM d E EEEE', 'Aug August 27 Mon Monday'],
    ['H hh a k m ss S SSS', '10 10 AM 10 30 05 0 042'],
    ["HH 'o''clock' ''", "10 o'clock '"],
  ])('the Java pattern %s gives %s', (pattern, text) => {
    expect(formatTimestamp(pattern, arrival, 'Prefix')).toBe(text);
  });

  test('noon and midnight are right for each of the four hour letters', () => {
    const hours = (time: string) => formatTimestamp('H h K k a', new Date(`2018-08-27T${time}Z`), 'Prefix');
    expect(hours('00:00:00')).toBe('0 12 0 24 AM');
    expect(hours('12:00:00')).toBe('12 12 0 12 PM');
    expect(hours('23:00:00')).toBe('23 11 11 23 PM');
  });

  test('partition keys are inserted, and no timestamp is appended', () => {
    const keys = new Map([
      ['db', 'shop'],
      ['table', 'orders'],
    ]);
    expect(evaluate('!{partitionKeyFromQuery:db}/t=!{partitionKeyFromQuery:table}/', 'Prefix', undefined, keys)).toBe(
      'shop/t=orders/',
    );
  });

  test.each([
    ['Prefix', '!{timestamp:yyyy', 'Invalid expression usage'],
    ['Prefix', '!{yyyy}', 'Invalid expression usage'],
    ['Prefix', '!{lambda:x}', 'Namespace to the left of colon (lambda) is an invalid keyword!'],
    ['Prefix', '!{timestamp:yyyy-bb}', 'Invalid conversion character used in the value of the expression in Prefix'],
    [
      'ErrorOutputPrefix',
      '!{firehose:uuid}',
      'Invalid conversion character used in the value of the expression in ErrorOutputPrefix',
    ],
    [
      'Prefix',
      '!{firehose:error-output-type}/',
      'Prefix must not contain any occurrence of !{firehose:error-output-type}',
    ],
    [
      'ErrorOutputPrefix',
      '!{partitionKeyFromQuery:db}',
      "Dynamic Partitioning Namespaces can't be part of an error prefix expression",
    ],
  ] as const)('%s %s is rejected with the message of AWS', (field, text, message) => {
    expect(() => compilePrefix(text, field)).toThrow(message);
  });
});
