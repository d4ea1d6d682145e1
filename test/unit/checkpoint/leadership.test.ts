import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import {
  type CheckpointStore,
  type Lease,
  type LeaseHolder,
  NOTHING_STORED,
  type StoredState,
} from '../../../src/checkpoint/checkpoint-store.ts';
import { claimLeadership, type LastSaved, type Leadership } from '../../../src/checkpoint/leadership.ts';
import { CdcError } from '../../../src/runtime/error.ts';

const sample: Checkpoint = {
  ...{ name: 'shop', server: { flavor: 'mysql', identity: 'u' }, epoch: 2, gtids: 'x:1-5' },
  ...{ file: 'binlog.000001', position: 1234, tables: [], incomplete: [] },
};
const away = (): CdcError => new CdcError('the store is away', { kind: 'retry', why: 'no answer' });

/** A store whose answers the test decides. */
class FakeStore implements CheckpointStore {
  readonly location = 'nowhere';
  readonly saveIntervalMs = { busy: 1, idle: 1 };
  state: StoredState = NOTHING_STORED;
  heldBy: LeaseHolder | undefined;
  failure: CdcError | undefined;
  renewal: () => Promise<boolean> = async () => true;
  released = 0;

  async read(): Promise<StoredState> {
    return this.state;
  }
  async holder(): Promise<undefined> {}
  async acquire(): Promise<{ lease: Lease } | { heldBy: LeaseHolder }> {
    if (this.failure !== undefined) throw this.failure;
    if (this.heldBy !== undefined) return { heldBy: this.heldBy };
    return {
      lease: {
        generation: 1,
        renew: () => this.renewal(),
        save: async (checkpoint) => {
          this.state = { ...this.state, checkpoint };
          return true;
        },
        saveEpoch: async () => true,
        release: async () => void this.released++,
      },
    };
  }
  async close(): Promise<void> {}
}

let store: FakeStore;
let seen: string[];
let stop: AbortController;
let lastSaved: LastSaved;
let leadership: Leadership | undefined;
beforeEach(() => {
  vi.useFakeTimers();
  store = new FakeStore();
  seen = [];
  stop = new AbortController();
  lastSaved = { epoch: 0 };
  leadership = undefined;
});
afterEach(async () => {
  await leadership?.release();
  vi.useRealTimers();
});

const listener = {
  onHeld: ({ pid }: LeaseHolder) => void seen.push(`held by ${pid}`),
  onAcquired: () => void seen.push('acquired'),
  onLost: () => void seen.push('lost'),
  onStoreError: (error: CdcError | undefined) => void (error && seen.push(error.message)),
  onRestored: () => void seen.push('restored'),
};
const claim = (standBy = true): Promise<Leadership> =>
  claimLeadership(store, { standBy, signal: stop.signal, listener, lastSaved });
async function lead(): Promise<Leadership> {
  leadership = await claim();
  return leadership;
}

describe('who leads', () => {
  test('may send for as long as it renews', async () => {
    const leader = await lead();
    for (let i = 0; i < 20; i++) {
      expect(leader.holds()).toBe(true);
      await vi.advanceTimersByTimeAsync(700);
    }
  });

  test('may not send 4 s after the last renewal was asked for, and may again once the store confirms it', async () => {
    const leader = await lead();
    let confirm: (isOurs: boolean) => void = () => {};
    store.renewal = () => new Promise((resolve) => (confirm = resolve));
    await vi.advanceTimersByTimeAsync(3_900);
    expect(leader.holds()).toBe(true);
    await vi.advanceTimersByTimeAsync(200);
    expect(leader.holds()).toBe(false);
    expect(leader.lost.aborted).toBe(false);
    store.renewal = async () => true;
    // The answer is of a question that is too old, the next one counts.
    await vi.advanceTimersByTimeAsync(1_000);
    confirm(true);
    await vi.advanceTimersByTimeAsync(10);
    expect(leader.holds()).toBe(false);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(leader.holds()).toBe(true);
    expect(seen).toEqual(['acquired']);
  });

  test('may not send at the moment in which its host wakes up: the clock of the host has moved on', async () => {
    const leader = await lead();
    vi.setSystemTime(Date.now() + 60_000);
    expect(leader.holds()).toBe(false);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(leader.holds()).toBe(true);
  });

  test('is not kept alive by a clock that goes back', async () => {
    const leader = await lead();
    store.renewal = () => new Promise(() => {});
    vi.setSystemTime(Date.now() - 3_600_000);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(leader.holds()).toBe(false);
  });

  test('tries again while the store cannot say, and reports it', async () => {
    const leader = await lead();
    store.renewal = () => Promise.reject(away());
    await vi.advanceTimersByTimeAsync(2_500);
    expect(leader.lost.aborted).toBe(false);
    expect(seen).toEqual(['acquired', 'the store is away', 'the store is away']);
    store.renewal = async () => true;
    await vi.advanceTimersByTimeAsync(3_000);
    expect(leader.holds()).toBe(true);
  });

  test('loses the lease once, when the store says so, and writes nothing then', async () => {
    const leader = await lead();
    store.renewal = async () => false;
    await vi.advanceTimersByTimeAsync(1_100);
    expect(leader.holds()).toBe(false);
    expect(leader.lost.reason).toMatchObject({ kind: 'retry', message: 'this process does not lead any more' });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen).toEqual(['acquired', 'lost']);
  });

  test('may not send after its release', async () => {
    const leader = await lead();
    await leader.release();
    expect({ holds: leader.holds(), released: store.released }).toEqual({ holds: false, released: 1 });
    store.renewal = async () => false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen).toEqual(['acquired']);
  });

  test('uses what it has saved where the store has lost it, and the store otherwise', async () => {
    const leader = await lead();
    await leader.saveEpoch(9);
    await leader.save(sample);
    store.state = { ...NOTHING_STORED, savedAt: 5 };
    expect(await leader.read()).toEqual({ checkpoint: sample, savedAt: undefined, usedEpoch: 9 });
    store.state = { checkpoint: { ...sample, position: 9_999 }, savedAt: 7, usedEpoch: 12 };
    expect(await leader.read()).toEqual(store.state);
    expect(seen).toEqual(['acquired', 'restored']);
  });
});

describe('who stands by', () => {
  test('waits until the holder ends, and says each holder once', async () => {
    store.heldBy = { host: 'db-1', pid: 7, isCertain: true };
    const waiting = claim();
    await vi.advanceTimersByTimeAsync(30_000);
    store.heldBy = { host: 'db-2', pid: 8, isCertain: true };
    await vi.advanceTimersByTimeAsync(1_000);
    store.heldBy = undefined;
    await vi.advanceTimersByTimeAsync(600);
    leadership = await waiting;
    expect(seen).toEqual(['held by 7', 'held by 8', 'acquired']);
  });

  test('uses what it has seen where the checkpoint is gone when it leads', async () => {
    store.heldBy = { host: 'db-1', pid: 7, isCertain: true };
    store.state = { checkpoint: sample, savedAt: 1, usedEpoch: 4 };
    const waiting = claim();
    await vi.advanceTimersByTimeAsync(10_000);
    store.state = { checkpoint: { ...sample, position: 2_000 }, savedAt: 2, usedEpoch: 4 };
    await vi.advanceTimersByTimeAsync(5_500);
    store.state = NOTHING_STORED;
    store.heldBy = undefined;
    await vi.advanceTimersByTimeAsync(600);
    leadership = await waiting;
    expect(await leadership.read()).toEqual({
      checkpoint: { ...sample, position: 2_000 },
      savedAt: undefined,
      usedEpoch: 4,
    });
    expect(seen).toEqual(['held by 7', 'acquired', 'restored']);
  });

  test('waits while the store is away, and ends with an error that needs an operator', async () => {
    store.failure = away();
    const waiting = claim();
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(5_000);
    store.failure = new CdcError('denied', { exitCode: 3 });
    await vi.advanceTimersByTimeAsync(600);
    await expect(waiting).rejects.toThrow('denied');
  });

  test('ends with the signal', async () => {
    store.heldBy = { host: null, pid: 7, isCertain: true };
    const waiting = claim();
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(1_000);
    stop.abort('the end');
    await expect(waiting).rejects.toBe('the end');
  });
});

describe('a command', () => {
  test('ends with 2 at once where a process leads that runs', async () => {
    store.heldBy = { host: null, pid: 7, isCertain: true };
    await expect(claim(false)).rejects.toMatchObject({
      exitCode: 2,
      message: 'another cdc (process 7) runs with the checkpoint nowhere',
    });
  });

  test('waits for a holder that could have died, for some seconds', async () => {
    store.heldBy = { host: 'db-1', pid: 7, isCertain: false };
    const waiting = claim(false);
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(6_000);
    store.heldBy = undefined;
    await vi.advanceTimersByTimeAsync(600);
    leadership = await waiting;
    expect(leadership.holds()).toBe(true);

    store.heldBy = { host: 'db-1', pid: 7, isCertain: false };
    const again = claim(false);
    again.catch(() => {});
    await vi.advanceTimersByTimeAsync(8_000);
    await expect(again).rejects.toMatchObject({ exitCode: 2 });
  });

  test('ends at once where the store is away', async () => {
    store.failure = away();
    await expect(claim(false)).rejects.toThrow('the store is away');
  });
});
