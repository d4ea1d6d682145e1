import { z } from 'zod';
import { CdcError } from '../../runtime/error.ts';

/**
 * Fault injection: the format of a fault plan. The rules of a plan are tried in order for each PutRecord and
 * PutRecordBatch that Firehose itself would accept. The first rule that fires decides:
 *
 *     { "seed": 7, "rules": [
 *       { "fault": "reset", "times": 3 },
 *       { "fault": "partial", "rate": 0.2, "records": 0.3, "stream": "shop-*" },
 *       { "fault": "error", "type": "InternalFailure", "stored": 0.5, "calls": [10, 20] } ] }
 *
 * fault-injector.ts applies the faults. docs/LOCAL-FIREHOSE.md describes them for users.
 */

/** The known errors of a whole Firehose call, with their HTTP status. */
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

const chance = () =>
  z
    .number('must be a number from 0 to 1')
    .min(0, 'must be a number from 0 to 1')
    .max(1, 'must be a number from 0 to 1');

const count = (min: number) => {
  const message = `must be a whole number of at least ${min}`;
  return z.int(message).min(min, message);
};

const text = () => z.string('must be text').min(1, 'must not be empty');

const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, `must be one of ${values.join(', ')}`);

/** Whether the records are stored although the response does not say so: yes, no, or by chance for the whole call. */
const stored = (byDefault: boolean) =>
  z.union([z.boolean(), chance()], 'must be true, false or a number from 0 to 1').default(byDefault);

/** The conditions under which a rule fires. Every fault has them. Without any condition the rule always fires. */
const conditionSchemas = () => ({
  /** Name of the stream, `*` for any characters. */
  stream: text().optional(),
  /** Share of the calls. */
  rate: chance().default(1),
  /** First and last call, counted from 1 since the plan was set. */
  calls: z
    .tuple([count(1), count(1)], 'must be two numbers, the first and the last call')
    .refine(([first, last]) => first <= last, 'must not end before it begins')
    .optional(),
  /** The maximum number of times. */
  times: count(1).optional(),
});

type ConditionSchemas = ReturnType<typeof conditionSchemas>;

/** Faults of single records. */
function recordRules(conditions: ConditionSchemas) {
  /** The two error codes that Firehose returns for a record. */
  const recordCode = oneOf('ServiceUnavailableException', 'InternalFailure').default('ServiceUnavailableException');
  const storedFitsCode = (rule: { code: string; stored: boolean | number }) =>
    Number(rule.stored) === 0 || rule.code === 'InternalFailure';
  const storedIssue = {
    message: 'goes with InternalFailure only, because a throttled record is not stored',
    path: ['stored'],
  };
  return {
    /** 200, but some records failed: each by chance, or those at the given indexes. */
    partial: z
      .strictObject({
        fault: z.literal('partial'),
        records: z.union(
          [chance(), z.array(count(0)).min(1)],
          'must be a chance from 0 to 1, or a list of record indexes from 0',
        ),
        code: recordCode,
        stored: stored(false),
        ...conditions,
      })
      .refine(storedFitsCode, storedIssue),
    /** 200, but every record failed. */
    'all-fail': z
      .strictObject({ fault: z.literal('all-fail'), code: recordCode, stored: stored(false), ...conditions })
      .refine(storedFitsCode, storedIssue),
  };
}

/** Faults of a whole call. */
function callRules(conditions: ConditionSchemas) {
  return {
    /** The whole call fails with this `__type`. */
    error: z
      .strictObject({
        fault: z.literal('error'),
        type: text(),
        status: z
          .int('must be an HTTP status')
          .min(400, 'must be 400 or more')
          .max(599, 'must be under 600')
          .optional(),
        message: z.string('must be text').optional(),
        stored: stored(false),
        ...conditions,
      })
      .refine(({ type, status }) => status !== undefined || Object.hasOwn(CALL_ERRORS, type), {
        error: 'is needed with a type that is not one of Firehose',
        path: ['status'],
      }),
    /** The call is served, and the connection is closed without a response. */
    lost: z.strictObject({ fault: z.literal('lost'), stored: stored(true), ...conditions }),
    /** The connection is reset before the body is read, so the stream is unknown. */
    reset: z.strictObject({
      fault: z.literal('reset'),
      ...conditions,
      stream: z.undefined('cannot be known before the body is read').optional(),
    }),
    /** The response is delayed by this many ms, or by a random time between two limits. */
    slow: z.strictObject({
      fault: z.literal('slow'),
      ms: z.union(
        [count(0), z.tuple([count(0), count(0)])],
        'must be a whole number of ms, or two: the minimum and the maximum',
      ),
      ...conditions,
    }),
    /** There is no response. The connection stays open until the client closes it. */
    hang: z.strictObject({ fault: z.literal('hang'), stored: stored(false), ...conditions }),
  };
}

/** Responses that are not what the API promises. */
function responseRules(conditions: ConditionSchemas) {
  return {
    /**
     * Half a response. `socket` announces more bytes and closes the connection, `stall` announces more bytes and keeps
     * it open, and `json` has the right length but half a document.
     */
    truncated: z.strictObject({
      fault: z.literal('truncated'),
      cut: oneOf('socket', 'stall', 'json').default('socket'),
      stored: stored(true),
      ...conditions,
    }),
    /** `200 {}`. */
    empty: z.strictObject({ fault: z.literal('empty'), stored: stored(true), ...conditions }),
    /** 200 with fewer RequestResponses than records. */
    short: z.strictObject({
      fault: z.literal('short'),
      missing: count(1).default(1),
      stored: stored(true),
      ...conditions,
    }),
    /** The HTML page of a proxy. */
    html: z.strictObject({
      fault: z.literal('html'),
      status: z.union([z.literal(200), z.literal(502), z.literal(503)], 'must be 200, 502 or 503').default(502),
      stored: stored(false),
      ...conditions,
    }),
  };
}

/** Faults that depend on the number, the size or the content of the records. */
function contentRules(conditions: ConditionSchemas) {
  return {
    /** "Slow down." over a quota of each stream, for the records over it or for the whole call. */
    quota: z
      .strictObject({
        fault: z.literal('quota'),
        records_per_second: count(1).optional(),
        requests_per_second: count(1).optional(),
        bytes_per_second: count(1).optional(),
        over: oneOf('slots', 'call').default('slots'),
        ...conditions,
      })
      .refine((rule) => rule.records_per_second ?? rule.requests_per_second ?? rule.bytes_per_second, {
        error: 'needs records_per_second, requests_per_second or bytes_per_second',
      }),
    /** A record that contains this text, even inside gzip, fails the call or only itself. */
    poison: z
      .strictObject({
        fault: z.literal('poison'),
        text: text(),
        fails: oneOf('call', 'slot').default('call'),
        /** ErrorCode of the record (default InternalFailure) or `__type` of the call (default ValidationException). */
        code: text().optional(),
        ...conditions,
      })
      .refine(({ fails, code }) => fails === 'slot' || code === undefined || Object.hasOwn(CALL_ERRORS, code), {
        error: 'is not an error of Firehose that a whole call can fail with',
        path: ['code'],
      }),
  };
}

/**
 * Creates the schema of a plan. It is created for the first plan only, because garbage collections mark its many
 * closures. A local Firehose without a plan would pay for that at the many collections that large calls cause: a third
 * more CPU for calls of 4 MB, measured without the CLI.
 */
function createPlanSchema() {
  const conditions = conditionSchemas();
  const rules = {
    ...recordRules(conditions),
    ...callRules(conditions),
    ...responseRules(conditions),
    ...contentRules(conditions),
  };
  const names = Object.keys(rules);
  return z.strictObject({
    /** The same seed and the same calls give the same faults. */
    seed: z.int('must be a whole number').default(1),
    rules: z.array(
      z.discriminatedUnion('fault', Object.values(rules) as [(typeof rules)[keyof typeof rules]], {
        error: (issue) =>
          issue.code === 'invalid_union'
            ? `must be one of ${names.join(', ')}`
            : 'must be a rule such as {"fault": "reset"}',
      }),
      'must be a list of rules',
    ),
  });
}

type PlanSchema = ReturnType<typeof createPlanSchema>;

let planSchema: PlanSchema | undefined;

/** A plan as the user writes it. */
export type FaultPlan = z.input<PlanSchema>;
/** A checked plan with its defaults. */
export type CheckedPlan = z.output<PlanSchema>;
export type FaultRule = CheckedPlan['rules'][number];
export type FaultName = FaultRule['fault'];

/** @throws CdcError with exit code 2 that lists all problems */
export function checkFaultPlan(plan: unknown, name = 'the fault plan'): CheckedPlan {
  planSchema ??= createPlanSchema();
  const checked = planSchema.safeParse(plan);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.flatMap((issue) => {
    const place = issue.path.length > 0 ? `${faultPath(issue.path)}: ` : '';
    if (issue.code !== 'unrecognized_keys') return `${place}${issue.message}`;
    return issue.keys.map((key) => `${place}unknown key ${key}`);
  });
  throw invalidPlan(name, problems.join('\n       '));
}

export function parseFaultPlan(json: string, name: string): CheckedPlan {
  let plan: unknown;
  try {
    plan = JSON.parse(json);
  } catch (error) {
    throw invalidPlan(name, `it is not JSON: ${(error as Error).message}`);
  }
  return checkFaultPlan(plan, name);
}

const invalidPlan = (name: string, why: string) =>
  new CdcError(`${name} is not a fault plan`, {
    exitCode: 2,
    why,
    hint:
      'write it as {"rules": [{"fault": "partial", "rate": 0.2, "records": 0.3}]}; ' +
      'docs/LOCAL-FIREHOSE.md describes every fault',
  });

/** A path such as `rules[0].rate`. The similar function of the configuration would load the whole schema. */
const faultPath = (path: readonly PropertyKey[]): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`)).join('');
