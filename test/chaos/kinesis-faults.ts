import type { Random } from '../../src/local/demo/random.ts';
import type { KinesisFault } from '../kinesis/fault-proxy.ts';

/** The fault of a call, drawn for each; undefined for a call without one. */
export type CallFaults = (random: Random) => KinesisFault | undefined;

/** The longest delay of an answer, in milliseconds. SLOW_MS in repeat-checker.ts allows for it. */
const SLOWEST_MS = 3_000;

const records = (random: Random, share: number, how: readonly RecordFault[]): KinesisFault => ({
  records: () => (random.chance(share) ? random.pick(how) : undefined),
});
/** A record is one event, and all behind it in its lane are sent again: with larger shares little gets through. */
const SHARES = [0.005, 0.01, 0.02, 0.05];

type RecordFault = 'throttled' | 'failed' | 'stored but failed';

const always =
  (fault: KinesisFault): CallFaults =>
  () =>
    fault;

/** Every fault of Kinesis that a retry heals. */
const FAULTS: Readonly<Record<string, CallFaults>> = {
  recordsUnknown: (random) => records(random, 0.05, ['failed', 'stored but failed']),
  allRecordsThrottled: (random) => records(random, 1, ['throttled']),
  allRecordsUnknown: (random) => records(random, 1, ['failed', 'stored but failed']),
  requestThrottled: always('request throttled'),
  unavailable: (random) => ({
    error: random.pick(['ServiceUnavailableException', 'InternalFailure', 'KMSThrottlingException']),
    status: 503,
  }),
  tokenExpired: always('token expired'),
  lostAnswer: always('response lost'),
  connectionReset: always('connection reset'),
  lateAnswer: (random) => ({ slowMs: 20 + random.below(random.pick([80, 480, SLOWEST_MS - 20])) }),
  resultMissing: always('result missing'),
  noAnswer: (random) => (random.chance(0.03) ? random.pick(['no response', 'response stalls']) : undefined),
  otherBody: (random) => ({ body: random.pick(['', '{}', '<html>502 Bad Gateway</html>', '{"Records":']) }),
};

/** The faults of the next calls: mostly of single records, with up to two others before them. 6 % have none. */
export function kinesisFaults(random: Random): CallFaults | undefined {
  if (random.chance(0.06)) return undefined;
  const others = Array.from({ length: random.below(3) }, () => ({
    draw: random.pick(Object.values(FAULTS)),
    rate: 0.1 + random.below(30) / 100,
  }));
  const partial = { rate: 0.3 + random.below(5) / 10, share: SHARES[random.below(SHARES.length)] as number };
  return (each) => {
    for (const { draw, rate } of others) if (each.chance(rate)) return draw(each);
    return each.chance(partial.rate) ? records(each, partial.share, ['throttled']) : undefined;
  };
}

/** A rejection that no retry heals. */
export const kinesisRejection = (random: Random): KinesisFault => ({
  error: random.pick([
    'AccessDeniedException',
    'ResourceNotFoundException',
    'KMSDisabledException',
    'UnrecognizedClientException',
  ]),
});

export const someRecordsFail: CallFaults = (random) => {
  if (random.chance(0.1)) return records(random, 0.3, ['throttled']);
  return random.chance(0.1) ? records(random, 0.3, ['failed', 'stored but failed']) : undefined;
};
