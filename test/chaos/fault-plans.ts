import type { Random } from '../../src/local/demo/random.ts';
import type { FaultPlan } from '../../src/local/firehose/faults.ts';

type Rule = FaultPlan['rules'][number];

/** Longest answer that is held back, milliseconds. */
const SLOWEST_MS = 3_000;

/** Everything that a sink may do and that heals. Rates are shares of the calls. */
function rule(random: Random): Rule {
  const rate = 0.1 + random.below(30) / 100;
  switch (random.below(16)) {
    case 0:
      return { fault: 'partial', records: 0.5, code: 'InternalFailure', stored: 0.5, rate };
    case 1:
      return { fault: 'all-fail', rate };
    case 2:
      return { fault: 'all-fail', code: 'InternalFailure', stored: 0.5, rate };
    case 3:
      return { fault: 'error', type: 'ServiceUnavailableException', rate };
    case 4:
      return { fault: 'error', type: 'InternalFailure', stored: 0.5, rate };
    case 5:
      return {
        fault: 'error',
        type: random.pick(['ThrottlingException', 'LimitExceededException', 'ExpiredTokenException']),
        rate,
      };
    case 6:
      return { fault: 'lost', stored: random.pick([true, 0.5]), rate };
    case 7:
      return { fault: 'reset', rate: rate / 2 };
    case 8:
      return { fault: 'slow', ms: [20, random.pick([100, 500, SLOWEST_MS])], rate };
    case 9:
      return random.chance(0.5)
        ? { fault: 'hang', stored: 0.5, rate: 0.01, times: 2 }
        : { fault: 'truncated', cut: 'stall', stored: 0.5, rate: 0.01, times: 2 };
    case 10:
      return { fault: 'truncated', cut: random.pick(['socket', 'json']), stored: random.pick([true, 0.5]), rate };
    case 11:
      return { fault: 'empty', stored: random.pick([true, 0.5]), rate };
    case 12:
      return { fault: 'short', missing: 1 + random.below(3), stored: random.pick([true, 0.5]), rate };
    case 13:
      return { fault: 'html', status: random.pick([200, 502, 503]), stored: random.pick([false, 0.5]), rate };
    case 14:
      return { fault: 'quota', requests_per_second: 20 + random.below(100), over: random.pick(['slots', 'call']) };
    default:
      return { fault: 'error', type: 'InternalFailure', status: 503, stored: true, rate };
  }
}

/** Mostly partial failures, with one or two other kinds before them; now and then nothing at all. */
export function faultPlan(random: Random): FaultPlan | undefined {
  if (random.chance(0.06)) return undefined;
  const others: Rule[] = Array.from({ length: random.below(3) }, () => rule(random));
  const partial: Rule = { fault: 'partial', records: 0.1 + random.below(4) / 10, rate: 0.5 + random.below(5) / 10 };
  return { seed: random.below(2 ** 31), rules: [...others, partial] };
}

/** What no retry heals: the daemon must stop by itself, loudly. */
export function refusal(random: Random): FaultPlan {
  const type = random.pick([
    'AccessDeniedException',
    'ResourceNotFoundException',
    'InvalidKMSResourceException',
    'UnrecognizedClientException',
  ]);
  return { rules: [{ fault: 'error', type }] };
}
