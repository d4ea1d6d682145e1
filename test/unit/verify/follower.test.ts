import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AdminClient } from '../../../src/admin/client.ts';
import { CdcError } from '../../../src/runtime/error.ts';
import { Follower } from '../../../src/verify/follower.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const STATUS = { name: 'shop' };
const away = new CdcError('the daemon does not answer', { kind: 'retry' });

interface Daemon {
  client: AdminClient;
  calls: number;
}

/** A daemon that answers once `isBack` says so, and throws `error` before. */
function daemon(isBack: (calls: number) => boolean, error: unknown = away): Daemon {
  const made: Daemon = { client: undefined as unknown as AdminClient, calls: 0 };
  const answer = async <T>(value: T): Promise<T> => {
    if (!isBack(++made.calls)) throw error;
    return value;
  };
  made.client = {
    running: () => answer(STATUS),
    repair: (request: unknown) => answer({ request }),
    verified: () => answer(undefined),
  } as unknown as AdminClient;
  return made;
}

const never = new AbortController().signal;

describe('a call to a daemon', () => {
  test('waits while it is being restarted', async () => {
    const { client } = daemon((calls) => calls === 20);
    const asked = new Follower(client, never).status();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await asked).toBe(STATUS);
  });

  test('of each kind does', async () => {
    for (const call of [
      (follower: Follower) => follower.repair('shop', 'orders', ['{"id":1}']),
      (follower: Follower) => follower.verified([{} as never]),
    ]) {
      const restarting = daemon((calls) => calls === 3);
      const called = call(new Follower(restarting.client, never));
      await vi.advanceTimersByTimeAsync(5_000);
      await called;
      expect(restarting.calls).toBe(3);
    }
  });

  test('gives up after a minute', async () => {
    const { client } = daemon(() => false);
    const asked = new Follower(client, never).status();
    let error: unknown;
    asked.catch((thrown) => {
      error = thrown;
    });
    await vi.advanceTimersByTimeAsync(59_000);
    expect(error).toBeUndefined();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(error).toBe(away);
  });

  test('waits a minute for each restart, not for all of them', async () => {
    let down = 0;
    const { client } = daemon((calls) => calls - down > 100 && (down = calls) > 0);
    const follower = new Follower(client, never);
    for (let restart = 0; restart < 3; restart++) {
      const asked = follower.status();
      await vi.advanceTimersByTimeAsync(55_000);
      expect(await asked).toBe(STATUS);
    }
  });

  test('does not ask again what the daemon refuses', async () => {
    const refused = new CdcError('the table is not captured', { exitCode: 2 });
    const refusing = daemon(() => false, refused);
    await expect(new Follower(refusing.client, never).repair('shop', 'orders', [])).rejects.toBe(refused);
    expect(refusing.calls).toBe(1);
  });

  test('ends with the signal', async () => {
    const abort = new AbortController();
    const asked = new Follower(daemon(() => false).client, abort.signal).status();
    asked.catch(() => {});
    await vi.advanceTimersByTimeAsync(1_000);
    abort.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
  });
});

test('a daemon is not asked to remember nothing', async () => {
  const idle = daemon(() => true);
  await new Follower(idle.client, never).verified([]);
  expect(idle.calls).toBe(0);
});
