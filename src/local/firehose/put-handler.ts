import { randomBytes } from 'node:crypto';
import { AwsError, slowDown } from './aws-error.ts';
import type { CallLog, CallLogEntry } from './call-log.ts';
import type { DeliveryStream } from './delivery-stream.ts';
import {
  createFaults,
  type FaultDecision,
  type Faults,
  type RecordResult,
  type ResponseMode,
} from './fault-injector.ts';
import type { CheckedPlan } from './faults.ts';
import { type Json, type PutRequest, readPutRecord, readPutRecordBatch } from './put-request.ts';
import { errorReply, jsonReply, type Reply } from './reply.ts';

export type PutOperation = 'PutRecord' | 'PutRecordBatch';

export const isPut = (operation: string | undefined): operation is PutOperation =>
  operation === 'PutRecord' || operation === 'PutRecordBatch';

/** PutRecord and PutRecordBatch: decided, stored, entered in the ledger, and only then answered. */
export interface PutHandler {
  /** `read` gives the input; what it throws as AwsError is answered, anything else is thrown on. */
  answer(operation: PutOperation, read: () => Promise<Json>): Promise<Reply>;
  setFaults(plan: CheckedPlan | undefined): void;
}

export interface PutsOptions {
  find: (stream: string) => DeliveryStream;
  ledger: CallLog | undefined;
  onCall: ((entry: CallLogEntry) => void) | undefined;
  log: (line: string) => void;
}

/** What became of a call, as far as it came. */
interface CallResult {
  asked?: PutRequest;
  verdict?: FaultDecision | undefined;
  error?: AwsError;
}

export function createPutHandler({ find, ledger, onCall, log }: PutsOptions): PutHandler {
  const recordId = recordIdSource();
  let calls = 0;
  let faults: Faults | undefined;
  let faultsSince = 0;

  async function serve(operation: PutOperation, number: number, read: () => Promise<Json>): Promise<CallResult> {
    const outcome: CallResult = {};
    try {
      const input = await read();
      outcome.asked = operation === 'PutRecord' ? readPutRecord(input) : readPutRecordBatch(input);
      const { stream, records } = outcome.asked;
      const target = find(stream);
      outcome.verdict = faults?.decide(number - faultsSince, stream, records);
      await store(target, outcome.verdict ? storedOf(records, outcome.verdict) : records);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      outcome.error = error;
    }
    return outcome;
  }

  async function store(stream: DeliveryStream, records: Buffer[]): Promise<void> {
    try {
      await stream.put(records);
    } catch (error) {
      log(`could not spool ${records.length} records of ${stream.settings.name}: ${(error as Error).message}`);
      throw slowDown('Service is unavailable.');
    }
  }

  async function logCall(entry: CallLogEntry): Promise<void> {
    try {
      await ledger?.append(entry);
    } catch (error) {
      log(`could not write the ledger: ${(error as Error).message}`);
      throw new AwsError('InternalFailure', 'The ledger cannot be written.', 500);
    }
    onCall?.(entry);
  }

  return {
    setFaults(plan) {
      faults = plan && createFaults(plan);
      faultsSince = calls;
    },
    async answer(operation, read) {
      const number = ++calls;
      const reset = faults?.findReset(number - faultsSince);
      const entered = ledger !== undefined || onCall !== undefined;
      if (reset !== undefined) {
        if (entered) await logCall(resetEntry(number, operation, reset));
        return { status: 0, contentType: '', body: '', sent: 'reset' };
      }
      const outcome = await serve(operation, number, read);
      if (entered) await logCall(toLogEntry(number, operation, outcome));
      return replyOf(operation, outcome, recordId);
    },
  };
}

const storedOf = (records: Buffer[], { slots }: FaultDecision): Buffer[] => records.filter((_, i) => slots[i]!.stored);

const ACCEPTED: RecordResult = { stored: true, code: null };
const NOT_STORED: RecordResult = { stored: false, code: null };
const SLOTS: ResponseMode = { kind: 'slots', afterMs: 0 };

/** A failure of one slot, in the words of Firehose. */
const slotMessage = (code: string): string =>
  code === 'ServiceUnavailableException' ? 'Slow down.' : code === 'InternalFailure' ? 'Internal failure.' : code;

/** PutRecord has no slots: the failure of its record is that of the call. */
function callErrorOf(operation: PutOperation, { error, verdict }: CallResult): AwsError | undefined {
  if (error) return error;
  if (verdict?.answer.kind === 'error') {
    return new AwsError(verdict.answer.type, verdict.answer.message, verdict.answer.status);
  }
  const code = operation === 'PutRecord' ? verdict?.slots[0]?.code : undefined;
  if (!code) return undefined;
  const status = code === 'ServiceUnavailableException' ? 503 : code === 'InternalFailure' ? 500 : 400;
  return new AwsError(code, slotMessage(code), status);
}

function replyOf(operation: PutOperation, outcome: CallResult, recordId: () => string): Reply {
  const error = callErrorOf(operation, outcome);
  if (error) return errorReply(error);
  const answer = outcome.verdict?.answer ?? SLOTS;
  if (answer.kind === 'html') {
    const body = `<html>\n<head><title>${answer.status}</title></head>\n<body><h1>${answer.status}</h1></body>\n</html>\n`;
    return { status: answer.status, contentType: 'text/html', body };
  }
  if (answer.kind === 'empty') return jsonReply(200, {});
  const whole = jsonReply(200, resultsOf(operation, outcome, recordId));
  switch (answer.kind) {
    case 'slots':
      return answer.afterMs > 0 ? { ...whole, afterMs: answer.afterMs } : whole;
    case 'truncated':
      if (answer.cut === 'json') return { ...whole, body: whole.body.slice(0, whole.body.length / 2) };
      return { ...whole, sent: answer.cut === 'stall' ? 'stalled' : 'truncated' };
    case 'lost':
    case 'hang':
      return { ...whole, sent: answer.kind };
    default:
      return whole;
  }
}

function resultsOf(operation: PutOperation, { asked, verdict }: CallResult, recordId: () => string): object {
  const missing = verdict?.answer.kind === 'short' ? verdict.answer.missing : 0;
  if (operation === 'PutRecord') return { Encrypted: false, ...(missing === 0 && { RecordId: recordId() }) };
  const { records } = asked!;
  if (!verdict) {
    return { Encrypted: false, FailedPutCount: 0, RequestResponses: records.map(() => ({ RecordId: recordId() })) };
  }
  const slots = verdict.slots.slice(0, Math.max(0, records.length - missing));
  return {
    Encrypted: false,
    FailedPutCount: slots.filter(({ code }) => code !== null).length,
    RequestResponses: slots.map(({ code }) =>
      code === null ? { RecordId: recordId() } : { ErrorCode: code, ErrorMessage: slotMessage(code) },
    ),
  };
}

function toLogEntry(call: number, operation: PutOperation, outcome: CallResult): CallLogEntry {
  const { asked, verdict } = outcome;
  const error = callErrorOf(operation, outcome);
  const answer = verdict?.answer ?? SLOTS;
  const ok = error === undefined && answer.kind === 'slots';
  const unanswered = error === undefined && (answer.kind === 'lost' || answer.kind === 'hang');
  const status = error?.status ?? (answer.kind === 'html' ? answer.status : 200);
  return {
    call,
    at: new Date().toISOString(),
    operation,
    stream: asked?.stream ?? null,
    fault: verdict?.fault ?? null,
    rule: verdict?.rule ?? null,
    status: unanswered ? null : status,
    answered: error?.type ?? (ok ? 'ok' : answer.kind),
    records: (asked?.records ?? []).map((data, i) => {
      const { stored, code } = outcome.error ? NOT_STORED : (verdict?.slots[i] ?? ACCEPTED);
      return { accepted: ok && code === null, stored, code: ok ? code : null, data };
    }),
  };
}

const resetEntry = (call: number, operation: PutOperation, rule: number): CallLogEntry => ({
  call,
  at: new Date().toISOString(),
  operation,
  stream: null,
  fault: 'reset',
  rule,
  status: null,
  answered: 'reset',
  records: [],
});

/** Unique as AWS's are, over restarts too, and cheap for 500 records a request. */
function recordIdSource(): () => string {
  const process = randomBytes(24).toString('base64url');
  let count = 0;
  return () => `${process}${(count++).toString(36).padStart(12, '0')}`;
}
