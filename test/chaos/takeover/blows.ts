import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../../src/local/demo/random.ts';
import type { Member } from './member.ts';
import type { TakeoverBed } from './takeover-bed.ts';

/** What happens in a round, and how often in a deck of rounds. */
const BLOWS = {
  kill: 4,
  killTwice: 1,
  killAll: 1,
  stop: 3,
  terminate: 2,
  cutStore: 1,
  blackholeStore: 2,
  killStandby: 1,
  steal: 2,
};
export type BlowName = keyof typeof BLOWS;

/** What a blow did. */
export interface Blow {
  /** Since when another daemon can lead, and has to; undefined where none has to. */
  leaderGoneAt: number | undefined;
  /** The end of a process that was asked to end: the takeover counts from here. */
  endedAt?: number;
  /** Whether nobody stood by at that moment, so that a process has to start first. */
  hadNoStandby?: boolean;
  what: string;
  /** Called once another daemon leads, or at once if none has to. */
  heal: () => Promise<void>;
}

/** A file has no link that could be cut. */
const NOT_FOR_FILE: readonly BlowName[] = ['cutStore', 'blackholeStore'];

/** The blows of the next rounds, in random order. */
export function deck(random: Random, hasLink: boolean): BlowName[] {
  const blows = Object.entries(BLOWS).flatMap(([name, n]) => Array.from({ length: n }, () => name as BlowName));
  const possible = blows.filter((name) => hasLink || !NOT_FOR_FILE.includes(name));
  return possible
    .map((name) => ({ name, at: random.below(1e9) }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name);
}

/** How long a process can send after SIGCONT, and after its lease was stolen: no longer than a renewal counts. */
const LATE_MS = 5_000;

/** How long after a cut a daemon may send: the server, which gives its lock free, can hear of it first. */
const CUT_MS = 1_000;

type Strike = (bed: TakeoverBed, leader: Member, random: Random) => Promise<Blow>;

const nothing = async (): Promise<void> => {};

async function later(random: Random, member: Member): Promise<void> {
  await sleep(random.below(2_000));
  member.start();
}

const kill: Strike = async (_, leader, random) => ({
  leaderGoneAt: await leader.kill(),
  what: `SIGKILL of ${leader.name}`,
  heal: () => later(random, leader),
});

/** The second one dies as soon as it leads: during its start, or a moment after its first requests. */
const killTwice: Strike = async (bed, leader, random) => {
  const at = await leader.kill();
  const second = await untilLeads(bed, at);
  if (second === undefined)
    return { leaderGoneAt: at, what: `SIGKILL of ${leader.name}`, heal: async () => leader.start() };
  await sleep(random.pick([0, 100, random.below(1_500)]));
  leader.start();
  await sleep(random.below(1_000));
  const hadNoStandby = !bed.members.some(({ state }) => state === 'standby');
  return {
    leaderGoneAt: await second.kill(),
    hadNoStandby,
    what: `SIGKILL of ${leader.name}, and of ${second.name} that had followed`,
    heal: async () => second.start(),
  };
};

const killAll: Strike = async (bed) => {
  await Promise.all(bed.members.map((member) => member.kill()));
  return {
    leaderGoneAt: undefined,
    what: 'SIGKILL of all',
    async heal() {
      for (const member of bed.members) member.start();
    },
  };
};

const stop: Strike = async (bed, leader, random) => {
  const at = leader.stop();
  const what = `SIGSTOP of ${leader.name}`;
  if (bed.store.kind === 'file') {
    // The system knows that the process lives, so nobody follows.
    await sleep(random.pick([500, 3_000, 7_000]));
    const other = bed.members.find(({ leadsSince }) => (leadsSince ?? 0) > at);
    if (other !== undefined) {
      const evidence = { stopped: leader.name, leads: other.name };
      bed.checker.report({ promise: 'oneLeader', what: 'the lock of a process that lives was taken', evidence });
    }
    if (random.chance(0.5)) {
      return { leaderGoneAt: await leader.kill(), what: `${what}, then SIGKILL`, heal: () => later(random, leader) };
    }
    leader.continue();
    return { leaderGoneAt: undefined, what: `${what}, then SIGCONT`, heal: nothing };
  }
  return {
    leaderGoneAt: at,
    what,
    async heal() {
      await sleep(random.below(3_000));
      const from = leader.continue();
      bed.allowances.push({ sender: leader.name, from, to: from + LATE_MS });
    },
  };
};

const terminate: Strike = async (bed, leader, random) => {
  const askedAt = Date.now();
  const { how, ms, at, lastWords } = await leader.terminate();
  if (how !== '0') {
    const evidence = { leader: leader.name, lastWords };
    bed.checker.report({ promise: 'loudStop', what: `SIGTERM ended the leader with ${how}`, evidence });
  }
  return {
    ...{ leaderGoneAt: askedAt, endedAt: at },
    what: `SIGTERM of ${leader.name} (${ms} ms)`,
    heal: () => later(random, leader),
  };
};

/** The lease stays with the daemon that can still renew it, or goes to whoever is first. */
const cutStore: Strike = async (bed, leader, random) => {
  const by = random.pick(['rst', 'fin'] as const);
  const from = Date.now();
  bed.allowances.push({ sender: leader.name, from, to: from + CUT_MS });
  leader.store?.cut(by);
  return { leaderGoneAt: undefined, what: `${by} on the link of ${leader.name} to the store`, heal: nothing };
};

const blackholeStore: Strike = async (_, leader, random) => {
  const at = Date.now();
  leader.store?.blackhole('open and new');
  return {
    leaderGoneAt: at,
    what: `no byte between ${leader.name} and the store`,
    async heal() {
      await sleep(random.below(2_000));
      leader.store?.resume();
    },
  };
};

const killStandby: Strike = async (bed, leader, random) => {
  const standby = random.pick(bed.members.filter((member) => member !== leader));
  await standby.kill();
  return { leaderGoneAt: undefined, what: `SIGKILL of ${standby.name}, a standby`, heal: () => later(random, standby) };
};

const steal: Strike = async (bed, leader, random) => {
  const from = Date.now();
  const what = await bed.store.steal(random);
  bed.allowances.push({ sender: leader.name, from, to: from + LATE_MS });
  // The first one to ask has it: perhaps the same one.
  return { leaderGoneAt: from, what, heal: nothing };
};

export const STRIKES: Readonly<Record<BlowName, Strike>> = {
  ...{ kill, killTwice, killAll, stop, terminate, cutStore, blackholeStore, killStandby, steal },
};

/** Waits for a daemon that has begun to lead after this time. Undefined if none does within 30 s. */
export async function untilLeads(bed: TakeoverBed, after: number): Promise<Member | undefined> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const leader = bed.members.find(({ leadsSince }) => (leadsSince ?? 0) > after);
    if (leader !== undefined || Date.now() > deadline || bed.signal.aborted) return leader;
    await sleep(20);
  }
}
