import { describe, expect, test } from 'vitest';
import { type StreamOptions, validateStream } from '../../../../src/local/firehose/stream-options.ts';

const byTable: Partial<StreamOptions> = {
  prefix: '!{partitionKeyFromQuery:db}/',
  errorOutputPrefix: 'failed/!{firehose:error-output-type}/',
  partition: '{db:.source.db}',
};
const check = (options: Partial<StreamOptions>) => validateStream({ name: 's', ...options });

describe('the settings of a stream', () => {
  test('the defaults are those of Firehose: 5 MiB, 300 seconds, no compression', () => {
    expect(check({})).toMatchObject({ bufferSize: 5_242_880, bufferSeconds: 300, gzip: false, query: undefined });
    expect(check(byTable)).toMatchObject({ bufferSize: 67_108_864 });
  });

  test.each<[string, Partial<StreamOptions>, string]>([
    ['a name with a slash', { name: 'a/b' }, 'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+'],
    ['an empty name', { name: '' }, 'Member must have length greater than or equal to 1'],
    ['a name of 65 characters', { name: 'a'.repeat(65) }, 'Member must have length less than or equal to 64'],
    ['a name that leaves the lake', { name: '..' }, 'relative folder'],
    ['a buffer under 1 MiB', { bufferSize: 1_000_000 }, 'Member must have value greater than or equal to 1'],
    ['a buffer over 128 MiB', { bufferSize: 134_217_729 }, 'Member must have value less than or equal to 128'],
    ['901 seconds', { bufferSeconds: 901 }, 'Member must have value less than or equal to 900'],
    ['negative seconds', { bufferSeconds: -1 }, 'Member must have value greater than or equal to 0'],
    [
      'an expression without an error prefix',
      { prefix: '!{timestamp:yyyy}/' },
      'ErrorOutputPrefix cannot be null or empty when Prefix contains expressions',
    ],
    [
      'an error prefix without the error type',
      { errorOutputPrefix: '!{timestamp:yyyy}/' },
      'ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}',
    ],
    [
      'partition keys without partitioning',
      { ...byTable, partition: undefined },
      'Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled.',
    ],
    [
      'partitioning without partition keys',
      { ...byTable, prefix: 'x/' },
      'S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled',
    ],
    [
      'an extracted key that is not used',
      { ...byTable, partition: '{db:.db, t:.t}' },
      "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression",
    ],
    [
      'a used key that is not extracted',
      { ...byTable, partition: '{x:.db}', prefix: '!{partitionKeyFromQuery:x}/!{partitionKeyFromQuery:db}/' },
      'does not: db',
    ],
    [
      'a prefix of 513 characters',
      { prefix: 'a/'.repeat(251) },
      'Length of evaluated prefix cannot be greater than 512',
    ],
  ])('%s is rejected', (_case, options, message) => {
    expect(() => check(options)).toThrow(message);
  });
});
