import { gunzipSync } from 'node:zlib';
import { CALL_ERRORS, type CheckedPlan, type FaultName, type FaultRule } from './faults.ts';
import { createTokenBucket, type TokenBucket } from './token-bucket.ts';

/** What a fault makes of one call. */
export interface FaultDecision {
  fault: FaultName;
  /** Index of the rule that fired. */
  rule: number;
  /** For each record. */
  slots: RecordResult[];
  answer: ResponseMode;
}

export interface RecordResult {
  stored: boolean;
  /** ErrorCode; null for accepted. */
  code: string | null;
}

/** What the client gets to see. */
export type ResponseMode =
  | { kind: 'slots'; afterMs: number }
  | { kind: 'error'; type: string; status: number; message: string }
  | { kind: 'short'; missing: number }
  | { kind: 'html'; status: number }
  | { kind: 'truncated'; cut: 'socket' | 'stall' | 'json' }
  | { kind: 'empty' | 'lost' | 'hang' };

/** The faults of a plan. Each decision follows from seed, rule and number of the call, not from what came before, `times` and quotas excepted. */
export interface Faults {
  /** Whether the connection of call `number` is reset unread: the index of the rule, or undefined. These rules go first. */
  findReset(number: number): number | undefined;
  /** Undefined when no rule fires. */
  decide(number: number, stream: string, records: readonly Buffer[]): FaultDecision | undefined;
}

/** `now` in milliseconds, for quotas. */
export function createFaults({ seed, rules }: CheckedPlan, now: () => number = () => performance.now()): Faults {
  const cases = rules.map((rule, index) => ({
    rule,
    index,
    fired: 0,
    streamFits: streamPattern(rule.stream),
    quota: rule.fault === 'quota' ? createTokenBucket(rule, now) : undefined,
  }));
  const applies = ({ rule, index, fired }: (typeof cases)[number], number: number): boolean =>
    (rule.calls === undefined || (number >= rule.calls[0] && number <= rule.calls[1])) &&
    (rule.times === undefined || fired < rule.times) &&
    hashToUnit(seed, index, number, FIRES) < rule.rate;
  const resetCases = cases.filter(({ rule }) => rule.fault === 'reset');
  const otherCases = cases.filter(({ rule }) => rule.fault !== 'reset');

  return {
    findReset(number) {
      const found = resetCases.find((one) => applies(one, number));
      if (found) found.fired++;
      return found?.index;
    },
    decide(number, stream, records) {
      for (const one of otherCases) {
        if (!one.streamFits(stream) || !applies(one, number)) continue;
        const random = (what: number) => hashToUnit(seed, one.index, number, what);
        const made = verdictOf(one.rule, records, random, stream, one.quota);
        if (!made) continue;
        one.fired++;
        return { fault: one.rule.fault, rule: one.index, ...made };
      }
      return undefined;
    },
  };
}

type Random = (what: number) => number;
type Made = Pick<FaultDecision, 'slots' | 'answer'>;

/** What a call may draw; the slots come after these. */
const FIRES = 0;
const STORED = 1;
const DELAY = 2;
const SLOT = 3;

const ANSWERED: ResponseMode = { kind: 'slots', afterMs: 0 };

/** Undefined when the rule has nothing to say to these records: no slot was chosen, no quota exceeded, no poison found. */
function verdictOf(
  rule: FaultRule,
  records: readonly Buffer[],
  random: Random,
  stream: string,
  quota: TokenBucket | undefined,
): Made | undefined {
  /** All records alike, whatever the answer says of them. */
  const whole = (stored: boolean | number, answer: ResponseMode): Made => ({
    slots: records.map(() => ({ stored: random(STORED) < Number(stored), code: null })),
    answer,
  });
  /** Those that fail, by index. */
  const failing = (
    fails: (index: number) => boolean,
    code: string,
    stored: (index: number) => boolean = () => false,
  ) => {
    const slots = records.map(
      (_, i): RecordResult => (fails(i) ? { stored: stored(i), code } : { stored: true, code: null }),
    );
    return slots.some((slot) => slot.code !== null) ? { slots, answer: ANSWERED } : undefined;
  };

  switch (rule.fault) {
    case 'reset':
      return undefined;
    case 'partial': {
      const { records: chosen } = rule;
      const fails = Array.isArray(chosen)
        ? (i: number) => chosen.includes(i)
        : (i: number) => random(SLOT + 2 * i) < chosen;
      return failing(fails, rule.code, (i) => random(SLOT + 2 * i + 1) < Number(rule.stored));
    }
    case 'all-fail':
      return failing(
        () => true,
        rule.code,
        (i) => random(SLOT + 2 * i + 1) < Number(rule.stored),
      );
    case 'error':
      return whole(rule.stored, callError(rule.type, stream, rule.status, rule.message));
    case 'slow': {
      const [least, most] = typeof rule.ms === 'number' ? [rule.ms, rule.ms] : rule.ms;
      return whole(true, { kind: 'slots', afterMs: Math.round(least + random(DELAY) * (most - least)) });
    }
    case 'truncated':
      return whole(rule.stored, { kind: 'truncated', cut: rule.cut });
    case 'short':
      return whole(rule.stored, { kind: 'short', missing: rule.missing });
    case 'html':
      return whole(rule.stored, { kind: 'html', status: rule.status });
    case 'lost':
    case 'hang':
    case 'empty':
      return whole(rule.stored, { kind: rule.fault });
    case 'quota': {
      const over = quota!.take(stream, records);
      if (over === 'call') return whole(false, callError('ServiceUnavailableException', stream));
      return failing((i) => over.has(i), 'ServiceUnavailableException');
    }
    case 'poison': {
      const poisoned = records.map((record) => holds(record, rule.text));
      if (!poisoned.includes(true)) return undefined;
      if (rule.fails === 'slot') return failing((i) => poisoned[i]!, rule.code ?? 'InternalFailure');
      const message = `1 validation error detected: Value at 'records.${poisoned.indexOf(true) + 1}.member.data' failed to satisfy constraint: Member must not hold ${JSON.stringify(rule.text)}`;
      return whole(false, callError(rule.code ?? 'ValidationException', stream, undefined, message));
    }
  }
}

function callError(type: string, stream: string, status = CALL_ERRORS[type] ?? 400, message?: string): ResponseMode {
  return { kind: 'error', type, status, message: message ?? messageOf(type, stream) };
}

function messageOf(type: string, stream: string): string {
  switch (type) {
    case 'ServiceUnavailableException':
      return 'Slow down.';
    case 'InternalFailure':
      return 'The request processing has failed because of an unknown error, exception or failure.';
    case 'ThrottlingException':
      return 'Rate exceeded';
    case 'ExpiredTokenException':
      return 'The security token included in the request is expired';
    case 'UnrecognizedClientException':
      return 'The security token included in the request is invalid.';
    case 'ResourceNotFoundException':
      return `Firehose ${stream} not found.`;
    case 'AccessDeniedException':
      return `User is not authorized to perform: firehose:PutRecordBatch on resource: ${stream}`;
    default:
      return `${type}, as the fault plan asks`;
  }
}

function holds(record: Buffer, text: string): boolean {
  if (record.includes(text)) return true;
  if (record[0] !== 0x1f || record[1] !== 0x8b) return false;
  try {
    return gunzipSync(record).includes(text);
  } catch {
    return false;
  }
}

function streamPattern(pattern: string | undefined): (stream: string) => boolean {
  if (pattern === undefined) return () => true;
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  const whole = new RegExp(`^${parts.join('.*')}$`);
  return (stream) => whole.test(stream);
}

/** A number from 0 up to 1 that these four alone decide (the mixing steps of MurmurHash3). */
function hashToUnit(seed: number, rule: number, call: number, what: number): number {
  let hash = Math.trunc(seed / 2 ** 32) | 0;
  for (const part of [seed, rule, call, what]) {
    hash = Math.imul(hash ^ part, 0x85ebca6b) + 0x9e3779b9;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}
