import type { Random } from '../../src/local/demo/random.ts';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';

type Rule = FaultPlan['rules'][number];

/** The longest delay of an answer, in milliseconds. */
const SLOWEST_MS = 3_000;

/** Every fault of a sink that a retry heals. `rate` is the share of the calls. */
const FAULTS: Readonly<Record<string, (rate: number, random: Random) => Rule>> = {
  recordsUnknown: (rate) => ({ fault: 'partial', records: 0.5, code: 'InternalFailure', stored: 0.5, rate }),
  allRecordsFail: (rate) => ({ fault: 'all-fail', rate }),
  allRecordsUnknown: (rate) => ({ fault: 'all-fail', code: 'InternalFailure', stored: 0.5, rate }),
  unavailable: (rate) => ({ fault: 'error', type: 'ServiceUnavailableException', rate }),
  internalFailure: (rate) => ({ fault: 'error', type: 'InternalFailure', stored: 0.5, rate }),
  storedInternalFailure: (rate) => ({ fault: 'error', type: 'InternalFailure', status: 503, stored: true, rate }),
  throttledOrExpired: (rate, random) => ({
    fault: 'error',
    type: random.pick(['ThrottlingException', 'LimitExceededException', 'ExpiredTokenException']),
    rate,
  }),
  lostAnswer: (rate, random) => ({ fault: 'lost', stored: random.pick([true, 0.5]), rate }),
  connectionReset: (rate) => ({ fault: 'reset', rate: rate / 2 }),
  lateAnswer: (rate, random) => ({ fault: 'slow', ms: [20, random.pick([100, 500, SLOWEST_MS])], rate }),
  noAnswer: (_, random) =>
    random.chance(0.5)
      ? { fault: 'hang', stored: 0.5, rate: 0.01, times: 2 }
      : { fault: 'truncated', cut: 'stall', stored: 0.5, rate: 0.01, times: 2 },
  truncatedAnswer: (rate, random) => ({
    fault: 'truncated',
    cut: random.pick(['socket', 'json']),
    stored: random.pick([true, 0.5]),
    rate,
  }),
  emptyAnswer: (rate, random) => ({ fault: 'empty', stored: random.pick([true, 0.5]), rate }),
  missingResults: (rate, random) => ({
    fault: 'short',
    missing: 1 + random.below(3),
    stored: random.pick([true, 0.5]),
    rate,
  }),
  html: (rate, random) => ({
    fault: 'html',
    status: random.pick([200, 502, 503]),
    stored: random.pick([false, 0.5]),
    rate,
  }),
  overQuota: (_, random) => ({
    fault: 'quota',
    requests_per_second: 20 + random.below(100),
    over: random.pick(['slots', 'call']),
  }),
};

function rule(random: Random): Rule {
  const rate = 0.1 + random.below(30) / 100;
  return random.pick(Object.values(FAULTS))(rate, random);
}

/** Mostly partial failures, with up to two other faults before them. 6 % of the plans have no fault. */
export function faultPlan(random: Random): FaultPlan | undefined {
  if (random.chance(0.06)) return undefined;
  const others: Rule[] = Array.from({ length: random.below(3) }, () => rule(random));
  const partial: Rule = { fault: 'partial', records: 0.1 + random.below(4) / 10, rate: 0.5 + random.below(5) / 10 };
  return { seed: random.below(2 ** 31), rules: [...others, partial] };
}

/** A rejection that no retry heals. The daemon must stop with an error. */
export function rejectEverything(random: Random): FaultPlan {
  const type = random.pick([
    'AccessDeniedException',
    'ResourceNotFoundException',
    'InvalidKMSResourceException',
    'UnrecognizedClientException',
  ]);
  return { rules: [{ fault: 'error', type }] };
}
