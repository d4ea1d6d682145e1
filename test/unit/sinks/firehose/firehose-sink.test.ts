import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { FirehoseSink } from '../../../../src/sinks/firehose/firehose-sink.ts';

test('a request is signed with the SHA-256 of the body that is sent, also when requests overlap', async () => {
  const requests: { hash: unknown; signed: unknown; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    const { headers } = request;
    const body = await buffer(request);
    requests.push({ hash: headers['x-amz-content-sha256'], signed: headers.authorization, body });
    response.end(JSON.stringify({ FailedPutCount: 0, RequestResponses: [{ RecordId: '1' }] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sink = new FirehoseSink({ stream: 's', region: undefined, endpoint: `http://127.0.0.1:${port}` });
  try {
    const sizes = [1, 100_000, 1_000_000, 7];
    const send = (size: number) =>
      sink.send([{ buffers: [Buffer.alloc(size, size % 251)] }], new AbortController().signal);
    // The second round reuses the buffers of the first one.
    for (let round = 0; round < 2; round++) {
      expect(await Promise.all(sizes.map(send))).toEqual(sizes.map(() => [{ kind: 'accepted' }]));
    }
    expect(requests).toHaveLength(8);
    for (const { hash, signed, body } of requests) {
      expect(hash).toBe(createHash('sha256').update(body).digest('hex'));
      expect(signed).toMatch(/SignedHeaders=[^,]*x-amz-content-sha256/);
    }
  } finally {
    sink.close();
    server.close();
  }
});
