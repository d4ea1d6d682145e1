import { beforeEach, describe, expect, test } from 'vitest';
import { CdcError } from '../../../src/runtime/error.ts';
import { SecretCache } from '../../../src/secrets/secret-cache.ts';
import type { Secret } from '../../../src/secrets/secrets-manager.ts';

const AT = { id: 'x', key: 'password' };
const AWAY = new CdcError('away', { kind: 'retry' });
const DENIED = new CdcError('denied', { exitCode: 3 });

describe('the secrets that were read', () => {
  let now = 0;
  let calls = 0;
  let answer: () => Promise<Secret>;
  let cache: SecretCache;
  beforeEach(() => {
    now = 1e6;
    calls = 0;
    answer = async () => ({ password: 'one' });
    cache = new SecretCache(
      () => {
        calls++;
        return answer();
      },
      () => now,
    );
  });
  const password = async (): Promise<string> => (await cache.read(AT, 'source')).password;

  test('many connections of one moment are one request, also while it is not answered', async () => {
    const first = await Promise.all(Array.from({ length: 64 }, password));
    expect([new Set(first), calls]).toEqual([new Set(['one']), 1]);
    now += 29_999;
    expect([(await cache.read(AT, 'source')).isCached, calls]).toEqual([true, 1]);
  });

  test('no answer is used without end: after 30 s it is asked again', async () => {
    await password();
    answer = async () => ({ password: 'two' });
    now += 30_000;
    expect(await cache.read(AT, 'source')).toEqual({ password: 'two', isCached: false });
    expect(calls).toBe(2);
  });

  test('a rejected password is asked for again at once, once for all connections that were rejected', async () => {
    await password();
    answer = async () => ({ password: 'two' });
    const retried = async (): Promise<string> => {
      cache.forget(AT, 'one');
      return password();
    };
    expect(new Set(await Promise.all(Array.from({ length: 64 }, retried)))).toEqual(new Set(['two']));
    expect(calls).toBe(2);
    cache.forget(AT, 'one');
    expect([await password(), calls]).toEqual(['two', 2]);
  });

  test('while AWS is away the last password is used, unless the server has rejected it', async () => {
    await password();
    answer = async () => {
      throw AWAY;
    };
    now += 3_600_000;
    expect(await cache.read(AT, 'source')).toEqual({ password: 'one', isCached: true });
    // Each attempt asks again.
    expect([await password(), calls]).toEqual(['one', 3]);
    cache.forget(AT, 'one');
    await expect(password()).rejects.toBe(AWAY);
    answer = async () => ({ password: 'two' });
    expect(await password()).toBe('two');
  });

  test('what AWS denies is not replaced by an old password', async () => {
    await password();
    answer = async () => {
      throw DENIED;
    };
    now += 30_000;
    await expect(password()).rejects.toBe(DENIED);
    await expect(password()).rejects.toBe(DENIED);
    expect(calls).toBe(3);
  });

  test('secrets, keys, regions and endpoints do not share an answer', async () => {
    for (const more of [{}, { id: 'y' }, { key: 'k' }, { region: 'r' }, { endpoint: 'http://e' }]) {
      await cache.read({ ...AT, ...more }, 'source');
    }
    expect(calls).toBe(5);
  });
});
