import { afterEach, describe, expect, inject, test, vi } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import type { Lease } from '../../src/checkpoint/checkpoint-store.ts';
import { MysqlStore } from '../../src/checkpoint/mysql-store.ts';
import { TcpProxy } from '../tcp-proxy.ts';

/** What a lease in MySQL says when the link to the server is cut or silent. */

const CHECKPOINT: Checkpoint = {
  ...{ name: 'shop', server: { flavor: 'mysql', identity: 'a' }, epoch: 1, gtids: null },
  ...{ file: 'binlog.000001', position: 4, tables: [], incomplete: [] },
};

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const each of open.splice(0).reverse()) await each.close();
});

async function leader(): Promise<{ lease: Lease; proxy: TcpProxy }> {
  const proxy = await TcpProxy.listen(Number(new URL(inject('mysqlUrl')).port));
  const connection = { host: '127.0.0.1', port: proxy.port, user: 'root' };
  const store = new MysqlStore('shop', { connection, schema: `lease_${process.pid}`, table: 'checkpoint' });
  open.push(proxy, store);
  const result = await store.acquire();
  if (!('lease' in result)) throw new Error('another process has the lease');
  return { lease: result.lease, proxy };
}

describe('a lease in MySQL', () => {
  test('is over as soon as its session ends', async () => {
    const { lease, proxy } = await leader();
    expect(lease.ended?.aborted).toBe(false);
    proxy.cut('rst');
    await vi.waitFor(() => expect(lease.ended?.aborted).toBe(true), 60_000);
    await expect(lease.renew()).resolves.toBe(false);
  });

  test('ends all statements that wait for a server that is silent', async () => {
    const { lease, proxy } = await leader();
    proxy.blackhole('open');
    const waiting = [lease.renew(), lease.save(CHECKPOINT), lease.saveEpoch(2), lease.renew()];
    await expect(Promise.all(waiting)).resolves.toEqual([false, false, false, false]);
    expect(lease.ended?.aborted).toBe(true);
  });

  test('prints nothing beside the log while statements wait for each other', async () => {
    const printed = vi.spyOn(console, 'error');
    const { lease } = await leader();
    for (let i = 0; i < 20; i++) await Promise.all([lease.renew(), lease.save(CHECKPOINT), lease.renew()]);
    expect(printed).not.toHaveBeenCalled();
  });
});
