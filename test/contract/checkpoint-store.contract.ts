import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { type CheckpointStore, LEASE_TTL_MS } from '../../src/checkpoint/checkpoint-store.ts';

/** A store, and what happens to it behind the back of a process. */
export interface StoreSubject {
  /** A configuration file of the pipeline `shop` that names the store. */
  config: string;
  /** A connection to it. */
  open(): Promise<CheckpointStore>;
  /** Somebody removes what the store holds of the lease, or all of it. */
  removeLease(): Promise<void>;
  /** Somebody removes the checkpoint, and leaves the rest. */
  removeCheckpoint(): Promise<void>;
  /** Replaces the text of the checkpoint. */
  replaceText(replace: (text: string) => string): Promise<void>;
  /** Nothing of the store answers until `back`; undefined for a store that is no server. */
  away?(): void;
  back?(): void;
  close(): Promise<void>;
}

export interface StoreTraits {
  /** Whether a process that is stopped keeps the lease: the system knows that it lives. */
  stoppedKeeps: boolean;
  /** Whether the lease counts its holders. */
  hasGeneration: boolean;
  /** Whether it can be away. */
  isServer: boolean;
}

const HOLDER = `
import { loadConfig } from ${JSON.stringify(resolve('dist/config/load.js'))};
import { openCheckpointStore } from ${JSON.stringify(resolve('dist/checkpoint/open-checkpoint-store.js'))};
import { createInterface } from 'node:readline';
const store = await openCheckpointStore(loadConfig(process.argv.at(-1)));
let lease, timer;
const calls = {
  async acquire() {
    const result = await store.acquire();
    lease = result.lease;
    return lease === undefined ? { heldBy: result.heldBy } : { generation: lease.generation };
  },
  keep() { timer = setInterval(() => void lease.renew().catch(() => {}), 1000); },
  stopKeeping() { clearInterval(timer); },
  renew: () => lease.renew(),
  save: (checkpoint) => lease.save(checkpoint),
  saveEpoch: (epoch) => lease.saveEpoch(epoch),
  release: () => lease.release(),
  read: () => store.read(),
  holder: () => store.holder(),
};
for await (const line of createInterface(process.stdin)) {
  const [name, argument] = JSON.parse(line);
  const answer = await Promise.resolve(calls[name](argument)).then(
    (value) => ({ value: value ?? null }),
    ({ message, why, kind, exitCode }) => ({ error: { message, why, kind, exitCode } }),
  );
  console.log(JSON.stringify(answer));
}
process.exit();
`;

type Call = 'acquire' | 'keep' | 'stopKeeping' | 'renew' | 'save' | 'saveEpoch' | 'release' | 'read' | 'holder';

/** Another process with the store: one that can be stopped and killed. */
class StoreProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(config: string) {
    this.#child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', HOLDER, '--', config], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** @throws the error of the call, as plain data */
  // biome-ignore lint/suspicious/noExplicitAny: it is JSON
  async call(name: Call, argument?: unknown): Promise<any> {
    this.#child.stdin?.write(`${JSON.stringify([name, argument ?? null])}\n`);
    const answer = JSON.parse((await this.#lines.next()).value);
    if ('error' in answer) throw answer.error;
    return answer.value;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** A store, and the processes of one test that use it. */
class World {
  readonly subject: StoreSubject;
  readonly store: CheckpointStore;
  readonly #processes: StoreProcess[] = [];

  private constructor(subject: StoreSubject, store: CheckpointStore) {
    this.subject = subject;
    this.store = store;
  }

  static async open(open: () => Promise<StoreSubject>): Promise<World> {
    const subject = await open();
    return new World(subject, await subject.open());
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((other) => other.kill()));
    await this.store.close();
    await this.subject.close();
  }

  start(): StoreProcess {
    const other = new StoreProcess(this.subject.config);
    this.#processes.push(other);
    return other;
  }

  async lead(): Promise<StoreProcess> {
    const other = this.start();
    expect(await other.call('acquire')).toHaveProperty('generation');
    return other;
  }

  /** Asks again and again, as a standby does. */
  async follow(other: StoreProcess): Promise<{ generation: number | null }> {
    const begunAt = performance.now();
    for (;;) {
      const result = await other.call('acquire');
      if ('generation' in result) return result;
      if (performance.now() - begunAt > 60_000) throw new Error(`held by ${JSON.stringify(result.heldBy)}`);
      await new Promise((done) => setTimeout(done, 250));
    }
  }

  async position(): Promise<number | undefined> {
    return (await this.store.read()).checkpoint?.position;
  }
}

/** The contract of src/checkpoint/checkpoint-store.ts, as tests, with processes that are stopped and killed. */
export function checkpointStoreContract(
  name: string,
  { stoppedKeeps, hasGeneration, isServer }: StoreTraits,
  open: () => Promise<StoreSubject>,
): void {
  const check = (title: string, run: (world: World) => Promise<void>, isMeant = true): void =>
    // They mostly wait.
    (isMeant ? test.concurrent : test.skip)(title, async () => {
      const world = await World.open(open);
      try {
        await run(world);
      } finally {
        await world.close();
      }
    });
  const first = hasGeneration ? 1 : null;

  describe(`the checkpoint store ${name}`, () => {
    check('holds nothing before the first save, and nobody leads', async (world) => {
      expect(await world.store.read()).toEqual({ checkpoint: undefined, savedAt: undefined, usedEpoch: 0 });
      expect(await world.store.holder()).toBeUndefined();
    });

    check('gives back what was saved, to every process, to the last field', async (world) => {
      const leader = await world.lead();
      expect(await leader.call('saveEpoch', 5)).toBe(true);
      const before = Date.now() - 1;
      expect(await leader.call('save', SAMPLE)).toBe(true);
      expect(await world.store.read()).toEqual({ checkpoint: SAMPLE, savedAt: expect.any(Number), usedEpoch: 5 });
      const { savedAt } = await world.store.read();
      expect(savedAt).toBeGreaterThanOrEqual(before);
      expect(savedAt).toBeLessThanOrEqual(Date.now());
      expect(await leader.call('save', { ...SAMPLE, gtids: null, position: 9 })).toBe(true);
      expect((await world.store.read()).checkpoint).toEqual({ ...SAMPLE, gtids: null, position: 9 });
    });

    check('gives back a checkpoint of 20,000 tables', async (world) => {
      const complete = Array.from({ length: 20_000 }, (_, i) => ({
        ...{
          schema: 'shop',
          table: `orders_of_the_shard_${i}`,
          since: '2026-01-31T12:00:00.000Z',
          why: 'created' as const,
        },
      }));
      const large = { ...SAMPLE, coverage: { ...SAMPLE.coverage, complete } };
      const leader = await world.lead();
      expect(await leader.call('save', large)).toBe(true);
      expect((await world.store.read()).checkpoint).toEqual(large);
    });

    check('has one holder at a time, and says who that is', async (world) => {
      // Started before: a lease that is not renewed ends, and a busy machine takes its time to start a process.
      const other = world.start();
      await other.call('read');
      const leader = await world.lead();
      const held = {
        heldBy: { host: stoppedKeeps ? null : expect.any(String), pid: leader.pid, isCertain: expect.any(Boolean) },
      };
      expect(await other.call('acquire')).toEqual(held);
      expect(await world.store.acquire()).toEqual(held);
      expect(await world.store.holder()).toEqual(held.heldBy);
    });

    check('of many processes that ask in the same moment exactly one gets it', async (world) => {
      const rivals = Array.from({ length: 5 }, () => world.start());
      await Promise.all(rivals.map((rival) => rival.call('read')));
      for (let round = 0; round < 5; round++) {
        const results = await Promise.all(rivals.map((rival) => rival.call('acquire')));
        const winners = rivals.filter((_, i) => 'generation' in results[i]);
        expect(winners.map(({ pid }) => pid)).toHaveLength(1);
        await winners[0]?.call('release');
      }
    });

    check('is free at once after a release', async (world) => {
      const other = world.start();
      await other.call('read');
      const leader = await world.lead();
      expect(await other.call('acquire')).toHaveProperty('heldBy');
      await leader.call('release');
      expect(await other.call('acquire')).toHaveProperty('generation');
      expect(await leader.call('save', SAMPLE), 'after its release').toBe(false);
      expect(await world.store.read()).toMatchObject({ checkpoint: undefined });
    });

    check('is free soon after the death of its holder, with all that was saved', async (world) => {
      const leader = await world.lead();
      const other = world.start();
      expect(await other.call('acquire')).toHaveProperty('heldBy');
      await leader.call('keep');
      await leader.call('saveEpoch', 7);
      await leader.call('save', SAMPLE);
      await leader.kill();
      const { generation } = await world.follow(other);
      expect(generation).toBe(first === null ? null : first + 1);
      expect(await other.call('read')).toMatchObject({ checkpoint: { position: SAMPLE.position }, usedEpoch: 7 });
      expect(await other.call('save', { ...SAMPLE, position: 300 })).toBe(true);
      expect(await world.position()).toBe(300);
    });

    check('stays with a holder that renews it, for longer than a lease lasts', async (world) => {
      const leader = await world.lead();
      const other = world.start();
      await leader.call('keep');
      for (let waited = 0; waited < 2 * LEASE_TTL_MS; waited += 500) {
        expect(await other.call('acquire')).toHaveProperty('heldBy');
        await new Promise((done) => setTimeout(done, 500));
      }
      expect(await leader.call('renew')).toBe(true);
      expect(await leader.call('save', SAMPLE)).toBe(true);
    });

    check(
      'stays with a holder that is stopped',
      async (world) => {
        const leader = await world.lead();
        await leader.call('keep');
        const other = world.start();
        leader.signal('SIGSTOP');
        for (let waited = 0; waited < LEASE_TTL_MS + 1_000; waited += 500) {
          expect(await other.call('acquire')).toHaveProperty('heldBy');
          await new Promise((done) => setTimeout(done, 500));
        }
        leader.signal('SIGCONT');
        expect(await leader.call('save', SAMPLE)).toBe(true);
      },
      stoppedKeeps,
    );

    check(
      'fences off a holder that was stopped for too long: it writes nothing any more',
      async (world) => {
        const leader = await world.lead();
        await leader.call('keep');
        await leader.call('save', SAMPLE);
        const other = world.start();
        expect(await other.call('acquire')).toHaveProperty('heldBy');
        leader.signal('SIGSTOP');
        await world.follow(other);
        expect(await other.call('saveEpoch', 8)).toBe(true);
        expect(await other.call('save', { ...SAMPLE, position: 500 })).toBe(true);
        leader.signal('SIGCONT');
        await leader.call('stopKeeping');
        expect(await leader.call('save', { ...SAMPLE, position: 100 })).toBe(false);
        expect(await leader.call('saveEpoch', 1)).toBe(false);
        expect(await leader.call('renew')).toBe(false);
        await leader.call('release');
        expect(await world.store.read()).toMatchObject({ checkpoint: { position: 500 }, usedEpoch: 8 });
        expect(await other.call('renew'), 'the new holder after the release of the old one').toBe(true);
        expect(await other.call('save', { ...SAMPLE, position: 501 })).toBe(true);
      },
      !stoppedKeeps,
    );

    check('shows a holder whose lease somebody removed that it has none, and writes nothing of it', async (world) => {
      const leader = await world.lead();
      await leader.call('save', SAMPLE);
      await world.subject.removeLease();
      expect(await leader.call('renew')).toBe(false);
      expect(await leader.call('saveEpoch', 77)).toBe(false);
      await leader.call('release');
      expect(await leader.call('acquire')).toHaveProperty('generation');
      expect(await leader.call('save', { ...SAMPLE, position: 600 })).toBe(true);
      expect(await world.position()).toBe(600);
    });

    check(
      'fences off a holder whose lease and checkpoint somebody removed, also from the next holder',
      async (world) => {
        const leader = await world.lead();
        await leader.call('save', SAMPLE);
        const other = world.start();
        await other.call('acquire');
        leader.signal('SIGSTOP');
        await world.subject.removeLease();
        if (stoppedKeeps) leader.signal('SIGCONT');
        await world.follow(other);
        await other.call('save', { ...SAMPLE, position: 500 });
        leader.signal('SIGCONT');
        expect(await leader.call('save', { ...SAMPLE, position: 100 })).toBe(false);
        expect(await leader.call('saveEpoch', 1)).toBe(false);
        expect(await other.call('save', { ...SAMPLE, position: 501 })).toBe(true);
        expect(await world.position()).toBe(501);
      },
    );

    check('keeps the highest epoch where the checkpoint is removed', async (world) => {
      const leader = await world.lead();
      await leader.call('saveEpoch', 9);
      await leader.call('save', SAMPLE);
      await world.subject.removeCheckpoint();
      expect(await world.store.read()).toEqual({ checkpoint: undefined, savedAt: undefined, usedEpoch: 9 });
    });

    for (const [what, replace, error] of WRONG_TEXTS) {
      check(`says so where the checkpoint is ${what}, and changes nothing`, async (world) => {
        const leader = await world.lead();
        await leader.call('save', SAMPLE);
        await world.subject.replaceText(replace);
        await expect(world.store.read()).rejects.toMatchObject(error);
        await expect(world.store.read()).rejects.toMatchObject(error);
      });
    }

    check('says so where the checkpoint is of another pipeline', async (world) => {
      const leader = await world.lead();
      await leader.call('save', { ...SAMPLE, name: 'other' });
      await expect(world.store.read()).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringContaining('belongs to "other", not to "shop"'),
      });
    });

    check(
      'that does not answer fails in time, and says that it can clear',
      async (world) => {
        const leader = await world.lead();
        await leader.call('save', SAMPLE);
        world.subject.away?.();
        const begunAt = performance.now();
        // A session that ended has no lease; a store without sessions cannot say.
        const saved = await leader.call('save', { ...SAMPLE, position: 700 }).catch((error) => error);
        if (saved !== false)
          expect(saved).toMatchObject({ kind: 'retry', message: expect.stringContaining('checkpoint store') });
        const again = await world.subject.open();
        await expect(again.acquire()).rejects.toMatchObject({ kind: 'retry' });
        await again.close();
        expect(performance.now() - begunAt).toBeLessThan(60_000);
        world.subject.back?.();
        const other = world.start();
        await leader.kill();
        await world.follow(other);
        expect(await other.call('save', { ...SAMPLE, position: 701 })).toBe(true);
        expect(await world.position()).toBe(701);
      },
      isServer,
    );
  });
}

const WRONG_TEXTS: [what: string, replace: (text: string) => string, error: object][] = [
  ['damaged', (text) => text.replace('200', '201'), { exitCode: 2, message: expect.stringContaining('is damaged') }],
  ['cut off', (text) => text.slice(0, 100), { exitCode: 2, message: expect.stringContaining('is damaged') }],
  [
    'of a later version',
    (text) => text.replace(/"version": \d+/, '"version": 99'),
    { exitCode: 2, message: expect.stringContaining('later version'), why: expect.stringContaining('99') },
  ],
];

const SAMPLE: Checkpoint = {
  name: 'shop',
  server: { flavor: 'mysql', identity: '3e11fa47-71ca-11e1-9e33-c80aa9429562' },
  epoch: 0x6b02e25f,
  gtids: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7000:7002-7004',
  file: 'binlog.000042',
  position: 200,
  tables: [],
  incomplete: [
    {
      schema: 'shop',
      table: 'ünïcode',
      file: 'binlog.000041',
      position: 4,
      since: '2026-01-31T12:00:00.000Z',
      why: 'DELETE …',
    },
  ],
  binlog: { created: 1, position: 2, digest: 3, gtid: 'a', committed: 4 },
  coverage: {
    ...{ fresh: true, tables: ['shop.*'], followedSince: '2026-01-30T12:00:00.000Z' },
    complete: [{ schema: 'shop', table: 'orders', since: '2026-01-31T12:00:00.000Z', why: 'created' }],
    ...{ dropped: [], verified: [] },
  },
  backfill: { paused: false, parallel: null, rate: null, maxLagMs: null, ordinals: 12, tables: [] },
};
