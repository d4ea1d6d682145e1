import { gunzipSync } from 'node:zlib';
import { CALL_ERRORS, type CheckedPlan, type FaultName, type FaultRule } from './faults.ts';
import { createTokenBucket, type TokenBucket } from './token-bucket.ts';

/** The effect of a fault on candidate call. */
export interface FaultDecision {
  fault: FaultName;
  /** Index of the rule that fired. */
  rule: number;
  /** One result for each record. */
  results: RecordResult[];
  response: ResponseMode;
}

export interface RecordResult {
  stored: boolean;
  /** ErrorCode; null if the record is accepted. */
  code: string | null;
}

/** How the call is answered. */
export type ResponseMode =
  | { kind: 'results'; afterMs: number }
  | { kind: 'error'; type: string; status: number; message: string }
  | { kind: 'short'; missing: number }
  | { kind: 'html'; status: number }
  | { kind: 'truncated'; cut: 'socket' | 'stall' | 'json' }
  | { kind: 'empty' | 'lost' | 'hang' };

/**
 * The faults of a plan. A decision depends only on the seed, the rule and the number of the call. Earlier calls matter
 * only for `times` and quotas.
 */
export interface Faults {
  /**
   * The index of the rule that resets the connection of call `number` before its body is read, or undefined. These
   * rules are tried first.
   */
  findReset(number: number): number | undefined;
  /** Decides by the other rules. Undefined when no rule fires. */
  decide(number: number, stream: string, records: readonly Buffer[]): FaultDecision | undefined;
}

/** `now` is a clock in milliseconds, for quotas. */
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
    hashToUnit(seed, index, number, DRAW_FIRES) < rule.rate;
  const resetCases = cases.filter(({ rule }) => rule.fault === 'reset');
  const otherCases = cases.filter(({ rule }) => rule.fault !== 'reset');

  return {
    findReset(number) {
      const found = resetCases.find((candidate) => applies(candidate, number));
      if (found) found.fired++;
      return found?.index;
    },
    decide(number, stream, records) {
      for (const candidate of otherCases) {
        if (!candidate.streamFits(stream) || !applies(candidate, number)) continue;
        const draw = (purpose: number) => hashToUnit(seed, candidate.index, number, purpose);
        const effect = effectOf(candidate.rule, records, draw, stream, candidate.quota);
        if (!effect) continue;
        candidate.fired++;
        return { fault: candidate.rule.fault, rule: candidate.index, ...effect };
      }
      return undefined;
    },
  };
}

/** A number from 0 to below 1 for this purpose. */
type Draw = (purpose: number) => number;
type FaultEffect = Pick<FaultDecision, 'results' | 'response'>;

/**
 * The purposes of drawn numbers. Record `i` has two from `DRAW_RECORD + 2 * i`: whether it fails, whether it is stored.
 */
const DRAW_FIRES = 0;
const DRAW_STORED = 1;
const DRAW_DELAY = 2;
const DRAW_RECORD = 3;

const RESULTS_AT_ONCE: ResponseMode = { kind: 'results', afterMs: 0 };

/** Undefined when the rule does not apply to these records: no record is chosen, over a quota or poisoned. */
function effectOf(
  rule: FaultRule,
  records: readonly Buffer[],
  draw: Draw,
  stream: string,
  quota: TokenBucket | undefined,
): FaultEffect | undefined {
  /** The same effect on all records. */
  const wholeCall = (stored: boolean | number, response: ResponseMode): FaultEffect => ({
    results: records.map(() => ({ stored: draw(DRAW_STORED) < Number(stored), code: null })),
    response,
  });
  /** An error code for each record whose index fails. */
  const failRecords = (
    fails: (index: number) => boolean,
    code: string,
    stored: (index: number) => boolean = () => false,
  ) => {
    const results = records.map(
      (_, i): RecordResult => (fails(i) ? { stored: stored(i), code } : { stored: true, code: null }),
    );
    return results.some((result) => result.code !== null) ? { results, response: RESULTS_AT_ONCE } : undefined;
  };

  switch (rule.fault) {
    case 'reset':
      return undefined;
    case 'partial': {
      const { records: chosen } = rule;
      const fails = Array.isArray(chosen)
        ? (i: number) => chosen.includes(i)
        : (i: number) => draw(DRAW_RECORD + 2 * i) < chosen;
      return failRecords(fails, rule.code, (i) => draw(DRAW_RECORD + 2 * i + 1) < Number(rule.stored));
    }
    case 'all-fail': {
      const stored = (i: number) => draw(DRAW_RECORD + 2 * i + 1) < Number(rule.stored);
      return failRecords(() => true, rule.code, stored);
    }
    case 'error':
      return wholeCall(rule.stored, callError(rule.type, stream, rule.status, rule.message));
    case 'slow': {
      const [min, max] = typeof rule.ms === 'number' ? [rule.ms, rule.ms] : rule.ms;
      return wholeCall(true, { kind: 'results', afterMs: Math.round(min + draw(DRAW_DELAY) * (max - min)) });
    }
    case 'truncated':
      return wholeCall(rule.stored, { kind: 'truncated', cut: rule.cut });
    case 'short':
      return wholeCall(rule.stored, { kind: 'short', missing: rule.missing });
    case 'html':
      return wholeCall(rule.stored, { kind: 'html', status: rule.status });
    case 'lost':
    case 'hang':
    case 'empty':
      return wholeCall(rule.stored, { kind: rule.fault });
    case 'quota': {
      const rejected = quota!.take(stream, records);
      if (rejected === 'call') return wholeCall(false, callError('ServiceUnavailableException', stream));
      return failRecords((i) => rejected.has(i), 'ServiceUnavailableException');
    }
    case 'poison': {
      const poisoned = records.map((record) => containsText(record, rule.text));
      const first = poisoned.indexOf(true);
      if (first < 0) return undefined;
      if (rule.fails === 'slot') return failRecords((i) => poisoned[i]!, rule.code ?? 'InternalFailure');
      const message = poisonMessage(first, rule.text);
      return wholeCall(false, callError(rule.code ?? 'ValidationException', stream, undefined, message));
    }
  }
}

function callError(type: string, stream: string, status = CALL_ERRORS[type] ?? 400, message?: string): ResponseMode {
  return { kind: 'error', type, status, message: message ?? awsMessage(type, stream) };
}

const poisonMessage = (index: number, text: string): string =>
  `1 validation error detected: Value at 'records.${index + 1}.member.data' failed to satisfy constraint: ` +
  `Member must not hold ${JSON.stringify(text)}`;

function awsMessage(type: string, stream: string): string {
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

function containsText(record: Buffer, text: string): boolean {
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

/** A number from 0 to below 1 that depends only on these four (the mixing steps of MurmurHash3). */
function hashToUnit(seed: number, rule: number, call: number, purpose: number): number {
  let hash = Math.trunc(seed / 2 ** 32) | 0;
  for (const part of [seed, rule, call, purpose]) {
    hash = Math.imul(hash ^ part, 0x85ebca6b) + 0x9e3779b9;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}
