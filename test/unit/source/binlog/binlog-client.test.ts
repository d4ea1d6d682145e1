import { expect, test } from 'vitest';
import { BinlogClient } from '../../../../src/source/binlog/binlog-client.ts';

test('a stream whose end was asked for before it began resolves, without connecting', async () => {
  const stream = new BinlogClient({
    connection: { host: '127.0.0.1', port: 1, user: 'nobody' },
    serverId: 'auto',
    from: { coordinates: { file: 'binlog.000001', position: 4 } },
    heartbeatMs: 5_000,
    onStart: () => expect.unreachable('it connected'),
    onEvent: () => expect.unreachable('it read'),
    signal: AbortSignal.abort('SIGTERM'),
  });
  await expect(stream.follow()).resolves.toBeUndefined();
});
