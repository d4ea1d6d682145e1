import { z } from 'zod';
import { CdcError } from '../../runtime/error.ts';

/**
 * Faults on demand: what a fault plan may say. The rules of a plan are tried in order for each PutRecord and
 * PutRecordBatch that Firehose itself would take, and the first that fires decides:
 *
 *     { "seed": 7, "rules": [
 *       { "fault": "reset", "times": 3 },
 *       { "fault": "partial", "rate": 0.2, "records": 0.3, "stream": "shop-*" },
 *       { "fault": "error", "type": "InternalFailure", "stored": 0.5, "calls": [10, 20] } ] }
 *
 * What each fault does to a call is in fault-verdict.ts, for users in docs/LOCAL-FIREHOSE.md.
 */

/** Errors of a whole call that Firehose is known to give, with their HTTP status. */
export const CALL_ERRORS: Readonly<Record<string, number>> = {
  ServiceUnavailableException: 503,
  InternalFailure: 500,
  ThrottlingException: 400,
  LimitExceededException: 400,
  ResourceNotFoundException: 400,
  AccessDeniedException: 400,
  InvalidArgumentException: 400,
  InvalidKMSResourceException: 400,
  InvalidSourceException: 400,
  ValidationException: 400,
  ExpiredTokenException: 400,
  UnrecognizedClientException: 400,
};

/**
 * Made when the first plan comes. Its many closures would otherwise lie in the heap of every local Firehose, to be marked
 * at each of the many collections that large calls bring: a third more CPU for calls of 4 MB, measured without the CLI.
 */
function makeSchema() {
  const chance = z
    .number('must be a number from 0 to 1')
    .min(0, 'must be a number from 0 to 1')
    .max(1, 'must be a number from 0 to 1');
  const count = (least: number) => {
    const message = `must be a whole number of at least ${least}`;
    return z.int(message).min(least, message);
  };
  const text = z.string('must be text').min(1, 'must not be empty');
  const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
    z.enum(values, `must be one of ${values.join(', ')}`);

  /** Whether records are stored although the client is not told so: yes, no, or by chance, for the whole call. */
  const stored = (byDefault: boolean) =>
    z.union([z.boolean(), chance], 'must be true, false or a number from 0 to 1').default(byDefault);

  /** When a rule fires; every fault has these. Without any: always. */
  const WHEN = {
    /** Name of the stream, `*` for any characters. */
    stream: text.optional(),
    /** Share of the calls. */
    rate: chance.default(1),
    /** First and last call, counted from 1 since the plan was set. */
    calls: z
      .tuple([count(1), count(1)], 'must be two numbers, the first and the last call')
      .refine(([first, last]) => first <= last, 'must not end before it begins')
      .optional(),
    /** At most so often. */
    times: count(1).optional(),
  };

  /** The two codes that Firehose gives to a slot. */
  const slotCode = oneOf('ServiceUnavailableException', 'InternalFailure').default('ServiceUnavailableException');

  const SLOT_STORED = {
    message: 'goes with InternalFailure only: a throttled record is not stored',
    path: ['stored'],
  };
  const slotStoredFits = (rule: { code: string; stored: boolean | number }) =>
    Number(rule.stored) === 0 || rule.code === 'InternalFailure';

  const RULES = {
    /** 200, but some slots failed: each record by chance, or those at the given indexes. */
    partial: z
      .strictObject({
        fault: z.literal('partial'),
        records: z.union(
          [chance, z.array(count(0)).min(1)],
          'must be a chance from 0 to 1, or a list of record indexes from 0',
        ),
        code: slotCode,
        stored: stored(false),
        ...WHEN,
      })
      .refine(slotStoredFits, SLOT_STORED),
    /** 200, but every slot failed. */
    'all-fail': z
      .strictObject({ fault: z.literal('all-fail'), code: slotCode, stored: stored(false), ...WHEN })
      .refine(slotStoredFits, SLOT_STORED),
    /** The whole call fails with this `__type`. */
    error: z
      .strictObject({
        fault: z.literal('error'),
        type: text,
        status: z
          .int('must be an HTTP status')
          .min(400, 'must be 400 or more')
          .max(599, 'must be under 600')
          .optional(),
        message: z.string('must be text').optional(),
        stored: stored(false),
        ...WHEN,
      })
      .refine(({ type, status }) => status !== undefined || Object.hasOwn(CALL_ERRORS, type), {
        error: 'is needed with a type that is not one of Firehose',
        path: ['status'],
      }),
    /** The call is served, and the connection is cut instead of an answer. */
    lost: z.strictObject({ fault: z.literal('lost'), stored: stored(true), ...WHEN }),
    /** The connection is reset before the body is read. The stream is not known then. */
    reset: z.strictObject({
      fault: z.literal('reset'),
      ...WHEN,
      stream: z.undefined('cannot be known before the body is read').optional(),
    }),
    /** The answer comes late: after so many ms, or as many between the two. */
    slow: z.strictObject({
      fault: z.literal('slow'),
      ms: z.union(
        [count(0), z.tuple([count(0), count(0)])],
        'must be a whole number of ms, or two: the least and the most',
      ),
      ...WHEN,
    }),
    /** No answer ever; the connection stays open until the client closes it. */
    hang: z.strictObject({ fault: z.literal('hang'), stored: stored(false), ...WHEN }),
    /**
     * Half an answer: `socket` promises more bytes and cuts the connection, `stall` promises them and leaves it open,
     * `json` has the right length and half a document.
     */
    truncated: z.strictObject({
      fault: z.literal('truncated'),
      cut: oneOf('socket', 'stall', 'json').default('socket'),
      stored: stored(true),
      ...WHEN,
    }),
    /** `200 {}`. */
    empty: z.strictObject({ fault: z.literal('empty'), stored: stored(true), ...WHEN }),
    /** 200 with fewer RequestResponses than records. */
    short: z.strictObject({ fault: z.literal('short'), missing: count(1).default(1), stored: stored(true), ...WHEN }),
    /** A page of a proxy. */
    html: z.strictObject({
      fault: z.literal('html'),
      status: z.union([z.literal(200), z.literal(502), z.literal(503)], 'must be 200, 502 or 503').default(502),
      stored: stored(false),
      ...WHEN,
    }),
    /** "Slow down." over a quota of each stream: for the slots that are over it, or for the call. */
    quota: z
      .strictObject({
        fault: z.literal('quota'),
        records_per_second: count(1).optional(),
        requests_per_second: count(1).optional(),
        bytes_per_second: count(1).optional(),
        over: oneOf('slots', 'call').default('slots'),
        ...WHEN,
      })
      .refine((rule) => rule.records_per_second ?? rule.requests_per_second ?? rule.bytes_per_second, {
        error: 'needs records_per_second, requests_per_second or bytes_per_second',
      }),
    /** A record that holds this text (gzip is looked into) fails the call, or its slot alone. */
    poison: z
      .strictObject({
        fault: z.literal('poison'),
        text,
        fails: oneOf('call', 'slot').default('call'),
        /** Of the slot, or `__type` of the call. Default: InternalFailure, or ValidationException. */
        code: text.optional(),
        ...WHEN,
      })
      .refine(({ fails, code }) => fails === 'slot' || code === undefined || Object.hasOwn(CALL_ERRORS, code), {
        error: 'is not an error of Firehose that a whole call may fail with',
        path: ['code'],
      }),
  };

  const names = Object.keys(RULES);
  return z.strictObject({
    /** The same seed and the same calls give the same faults. */
    seed: z.int('must be a whole number').default(1),
    rules: z.array(
      z.discriminatedUnion('fault', Object.values(RULES) as [(typeof RULES)[keyof typeof RULES]], {
        error: (issue) =>
          issue.code === 'invalid_union'
            ? `must be one of ${names.join(', ')}`
            : 'must be a rule such as {"fault": "reset"}',
      }),
      'must be a list of rules',
    ),
  });
}

type PlanSchema = ReturnType<typeof makeSchema>;

let planSchema: PlanSchema | undefined;

/** A plan as it is written. */
export type FaultPlan = z.input<PlanSchema>;
/** The same, checked and complete. */
export type CheckedPlan = z.output<PlanSchema>;
export type FaultRule = CheckedPlan['rules'][number];
export type FaultName = FaultRule['fault'];

/** @throws CdcError with exit code 2 that names every problem at once. */
export function checkFaultPlan(plan: unknown, name = 'the fault plan'): CheckedPlan {
  planSchema ??= makeSchema();
  const checked = planSchema.safeParse(plan);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.flatMap((issue) => {
    const at = issue.path.length > 0 ? `${faultPath(issue.path)}: ` : '';
    if (issue.code !== 'unrecognized_keys') return `${at}${issue.message}`;
    return issue.keys.map((key) => `${at}unknown key ${key}`);
  });
  throw badPlan(name, problems.join('\n       '));
}

export function parseFaultPlan(json: string, name: string): CheckedPlan {
  let plan: unknown;
  try {
    plan = JSON.parse(json);
  } catch (error) {
    throw badPlan(name, `It is not JSON: ${(error as Error).message}`);
  }
  return checkFaultPlan(plan, name);
}

const badPlan = (name: string, why: string) =>
  new CdcError(`${name} is not a fault plan`, {
    exitCode: 2,
    why,
    hint: 'Write it as {"rules": [{"fault": "partial", "rate": 0.2, "records": 0.3}]}; docs/LOCAL-FIREHOSE.md has every fault.',
  });

/** `rules[0].rate`. The configuration has one too, and would bring its whole schema along. */
const faultPath = (path: readonly PropertyKey[]): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`)).join('');
