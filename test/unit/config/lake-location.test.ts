import { describe, expect, test } from 'vitest';
import { parseLakeLocation } from '../../../src/config/lake-location.ts';
import { parseConfig } from '../../../src/config/load.ts';

test.each([
  ['s3://shop-lake', { kind: 's3', bucket: 'shop-lake', prefix: '' }],
  ['s3://shop-lake/', { kind: 's3', bucket: 'shop-lake', prefix: '' }],
  ['s3://shop-lake/events', { kind: 's3', bucket: 'shop-lake', prefix: 'events' }],
  ['s3://shop-lake/a/b c//', { kind: 's3', bucket: 'shop-lake', prefix: 'a/b c//' }],
  ['lake', { kind: 'folder', path: 'lake' }],
  ['/var/lake', { kind: 'folder', path: '/var/lake' }],
  ['s3', { kind: 'folder', path: 's3' }],
  ['C:\\lake', { kind: 'folder', path: 'C:\\lake' }],
])('%s', (text, location) => {
  expect(parseLakeLocation(text)).toEqual(location);
});

test.each([
  ['', 'the lake is empty'],
  ['  ', 'the lake is empty'],
  ['s3://', 'the lake names no bucket'],
  ['s3:///events', 'the lake names no bucket'],
  ['s3://a b/', 'the lake names a bucket that S3 cannot have'],
  ['s3:shop-lake', 'the lake is in S3, but in another form'],
  ['S3://shop-lake', 'the lake is in S3, but in another form'],
  ['arn:aws:s3:::shop-lake', 'the lake is in S3, but in another form'],
  ['gs://shop-lake', 'the lake begins with gs://'],
  ['https://shop-lake.example.com/events', 'the lake begins with https://'],
])('%s is an error: %s', (text, message) => {
  expect(() => parseLakeLocation(text)).toThrow(
    expect.objectContaining({ message, exitCode: 2, hint: expect.stringContaining('s3://bucket/prefix') }),
  );
});

describe('lake in the configuration', () => {
  const lakeOf = (lake: string) =>
    parseConfig(`source: { url: "mysql://u@h" }\nfirehose: { stream: s }\n${lake}`, {
      file: '/etc/cdc/cdc.yaml',
      directory: '/etc/cdc',
      env: {},
    }).lake;

  test('a folder is meant from the folder of the configuration, a bucket stays as it is', () => {
    expect(lakeOf('')).toBeUndefined();
    expect(lakeOf('lake: data/lake')).toBe('/etc/cdc/data/lake');
    expect(lakeOf('lake: /var/lake')).toBe('/var/lake');
    expect(lakeOf('lake: s3://shop-lake/events/')).toBe('s3://shop-lake/events/');
  });

  test('another form is an error with its line', () => {
    expect(() => lakeOf('lake: gs://shop-lake')).toThrow(
      expect.objectContaining({
        why: expect.stringContaining('line 3, lake: the lake begins with gs://'),
        exitCode: 2,
      }),
    );
  });
});
