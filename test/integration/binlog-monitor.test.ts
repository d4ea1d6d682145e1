import { afterEach, expect, inject, test } from 'vitest';
import { monitorBinlog } from '../../src/source/server/binlog-monitor.ts';
import { readServerInfo } from '../../src/source/server/server-info.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { until } from './pipeline-fixture.ts';

let proxy: TcpProxy | undefined;
afterEach(() => proxy?.close());

test.each([
  ['before its connection is open', false],
  ['while a query has no answer', true],
])('the monitor ends with its signal %s', async (_, isOpen) => {
  const address = { host: '127.0.0.1', user: 'root' };
  const port = Number(new URL(inject('mysqlUrl')).port);
  const server = await readServerInfo({ ...address, port });
  proxy = await TcpProxy.listen(port);
  const { port: proxyPort } = proxy;
  const stop = new AbortController();
  let isAsked = false;
  if (!isOpen) proxy.stall();
  const monitoring = monitorBinlog({
    connection: () => ({ ...address, port: proxyPort }),
    server,
    needsFiles: () => {
      // What it asks next has no answer, and mysql2 no time limit for it.
      proxy?.stall();
      isAsked = true;
      return true;
    },
    onObservation: () => expect.unreachable('it had no answer'),
    onFailure: () => {},
    signal: stop.signal,
  });
  if (isOpen) await until(() => isAsked);
  await new Promise((done) => setTimeout(done, 300));
  stop.abort();
  await monitoring;
});
