import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { type LocalFirehose, startLocalFirehose } from '../../src/local/firehose/server.ts';
import { bufferSeconds } from '../../src/sinks/firehose/buffer-interval.ts';

const folder = mkdtempSync(join(tmpdir(), 'cdc-buffer-'));
afterAll(() => rmSync(folder, { recursive: true }));
let firehose: LocalFirehose | undefined;
let server: Server | undefined;
afterEach(async () => {
  await firehose?.close();
  server?.closeAllConnections();
  server?.close();
  firehose = server = undefined;
});

test('the buffer time is the interval of the stream, and not known of a stream that is not there', async () => {
  firehose = await startLocalFirehose({
    ...{ listen: { host: '127.0.0.1', port: 0 }, lake: join(folder, 'lake') },
    streams: [{ name: 'quick', bufferSeconds: 0 }, { name: 'slow', bufferSeconds: 900 }, { name: 'plain' }],
  });
  const { endpoint } = firehose;
  const seconds = (stream: string) => bufferSeconds({ region: 'us-east-1', endpoint }, stream);
  expect(await Promise.all(['quick', 'slow', 'plain', 'none'].map(seconds))).toEqual([0, 900, 300, undefined]);
});

test('the buffer time is not known if nobody answers', async () => {
  expect(await bufferSeconds({ region: 'us-east-1', endpoint: 'http://127.0.0.1:1' }, 's')).toBeUndefined();
});

/** The buffer time of a stream with these destinations. */
async function secondsOf(...Destinations: object[]): Promise<number | undefined> {
  const answer = JSON.stringify({ DeliveryStreamDescription: { Destinations } });
  server = createServer((asked, response) => {
    asked.resume();
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(answer);
  });
  await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return bufferSeconds({ region: 'us-east-1', endpoint }, 's');
}

const bucket = (IntervalInSeconds: number, more: object = {}) => ({
  ...{ BufferingHints: { IntervalInSeconds, SizeInMBs: 5 }, ...more },
});
const extraction = {
  ...{ Type: 'MetadataExtraction', Parameters: [{ ParameterName: 'JsonParsingEngine', ParameterValue: 'JQ-1.6' }] },
};
const metadata = { ProcessingConfiguration: { Enabled: true, Processors: [extraction] } };
const lambda = (seconds: number | undefined, Enabled = true) => ({
  ProcessingConfiguration: {
    Enabled,
    Processors: [
      extraction,
      {
        Type: 'Lambda',
        Parameters:
          seconds === undefined ? [] : [{ ParameterName: 'BufferIntervalInSeconds', ParameterValue: `${seconds}` }],
      },
    ],
  },
});

test.each<[string, object[], number | undefined]>([
  ['a bucket', [{ ExtendedS3DestinationDescription: bucket(120) }], 120],
  ['a bucket behind a Lambda function', [{ ExtendedS3DestinationDescription: bucket(120, lambda(60)) }], 180],
  ['a function without a time', [{ ExtendedS3DestinationDescription: bucket(120, lambda(undefined)) }], 180],
  ['a function that is off', [{ ExtendedS3DestinationDescription: bucket(120, lambda(60, false)) }], 120],
  ['another processor', [{ ExtendedS3DestinationDescription: bucket(120, metadata) }], 120],
  ['a bucket of the old kind', [{ S3DestinationDescription: bucket(90) }], 90],
  ['a Redshift', [{ RedshiftDestinationDescription: { S3DestinationDescription: bucket(70) } }], 70],
  ['a bucket without hints', [{ ExtendedS3DestinationDescription: {} }], 300],
  [
    'the slower of two',
    [{ ExtendedS3DestinationDescription: bucket(60) }, { S3DestinationDescription: bucket(90) }],
    90,
  ],
  ['no destination', [], undefined],
])('the buffer time of %s', async (_, destinations, expected) => {
  expect(await secondsOf(...destinations)).toBe(expected);
});
