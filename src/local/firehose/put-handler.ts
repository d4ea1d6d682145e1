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

/**
 * Handles PutRecord and PutRecordBatch. A call is answered after its records are stored and its log entry is written.
 */
export interface PutHandler {
  /** `read` returns the input. An AwsError that it throws becomes the reply; any other error is rethrown. */
  answer(operation: PutOperation, read: () => Promise<Json>): Promise<Reply>;
  setFaults(plan: CheckedPlan | undefined): void;
}

export interface PutHandlerOptions {
  findStream: (stream: string) => DeliveryStream;
  callLog: CallLog | undefined;
  onCall: ((entry: CallLogEntry) => void) | undefined;
  log: (line: string) => void;
}

/** The state of a call up to its error or its end. */
interface CallResult {
  request?: PutRequest;
  decision?: FaultDecision | undefined;
  encrypted?: boolean;
  error?: AwsError;
}

export function createPutHandler({ findStream, callLog, onCall, log }: PutHandlerOptions): PutHandler {
  const recordId = recordIdSource();
  let calls = 0;
  let faults: Faults | undefined;
  let faultsSince = 0;

  async function serve(operation: PutOperation, number: number, read: () => Promise<Json>): Promise<CallResult> {
    const result: CallResult = {};
    try {
      const input = await read();
      result.request = operation === 'PutRecord' ? readPutRecord(input) : readPutRecordBatch(input);
      const { stream, records } = result.request;
      const target = findStream(stream);
      result.encrypted = target.encryption.Status === 'ENABLED';
      result.decision = faults?.decide(number - faultsSince, stream, records);
      await store(target, result.decision ? recordsToStore(records, result.decision) : records);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      result.error = error;
    }
    return result;
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
      await callLog?.append(entry);
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
      const logged = callLog !== undefined || onCall !== undefined;
      if (reset !== undefined) {
        if (logged) await logCall(resetEntry(number, operation, reset));
        return { status: 0, contentType: '', body: '', delivery: 'reset' };
      }
      const result = await serve(operation, number, read);
      if (logged) await logCall(toLogEntry(number, operation, result));
      return replyOf(operation, result, recordId);
    },
  };
}

const recordsToStore = (records: Buffer[], { results }: FaultDecision): Buffer[] =>
  records.filter((_, i) => results[i]!.stored);

const ACCEPTED: RecordResult = { stored: true, code: null };
const NOT_STORED: RecordResult = { stored: false, code: null };
const RESULTS_AT_ONCE: ResponseMode = { kind: 'results', afterMs: 0 };

/** Firehose's message for a record that failed. */
const recordMessage = (code: string): string =>
  code === 'ServiceUnavailableException' ? 'Slow down.' : code === 'InternalFailure' ? 'Internal failure.' : code;

/** The error of the whole call. PutRecord has no results per record, so the failure of its record fails the call. */
function callErrorOf(operation: PutOperation, { error, decision }: CallResult): AwsError | undefined {
  if (error) return error;
  if (decision?.response.kind === 'error') {
    return new AwsError(decision.response.type, decision.response.message, decision.response.status);
  }
  const code = operation === 'PutRecord' ? decision?.results[0]?.code : undefined;
  if (!code) return undefined;
  const status = code === 'ServiceUnavailableException' ? 503 : code === 'InternalFailure' ? 500 : 400;
  return new AwsError(code, recordMessage(code), status);
}

function replyOf(operation: PutOperation, result: CallResult, recordId: () => string): Reply {
  const error = callErrorOf(operation, result);
  if (error) return errorReply(error);
  const response = result.decision?.response ?? RESULTS_AT_ONCE;
  if (response.kind === 'html') {
    const { status } = response;
    const body = `<html>\n<head><title>${status}</title></head>\n<body><h1>${status}</h1></body>\n</html>\n`;
    return { status, contentType: 'text/html', body };
  }
  if (response.kind === 'empty') return jsonReply(200, {});
  const complete = jsonReply(200, resultsOf(operation, result, recordId));
  switch (response.kind) {
    case 'results':
      return response.afterMs > 0 ? { ...complete, afterMs: response.afterMs } : complete;
    case 'truncated':
      if (response.cut === 'json') return { ...complete, body: complete.body.slice(0, complete.body.length / 2) };
      return { ...complete, delivery: response.cut === 'stall' ? 'stalled' : 'truncated' };
    case 'lost':
    case 'hang':
      return { ...complete, delivery: response.kind };
    default:
      return complete;
  }
}

function resultsOf(
  operation: PutOperation,
  { request, decision, encrypted: Encrypted = false }: CallResult,
  recordId: () => string,
): object {
  const missing = decision?.response.kind === 'short' ? decision.response.missing : 0;
  if (operation === 'PutRecord') return { Encrypted, ...(missing === 0 && { RecordId: recordId() }) };
  const { records } = request!;
  if (!decision) {
    return { Encrypted, FailedPutCount: 0, RequestResponses: records.map(() => ({ RecordId: recordId() })) };
  }
  const results = decision.results.slice(0, Math.max(0, records.length - missing));
  return {
    Encrypted,
    FailedPutCount: results.filter(({ code }) => code !== null).length,
    RequestResponses: results.map(({ code }) =>
      code === null ? { RecordId: recordId() } : { ErrorCode: code, ErrorMessage: recordMessage(code) },
    ),
  };
}

function toLogEntry(call: number, operation: PutOperation, result: CallResult): CallLogEntry {
  const { request, decision } = result;
  const error = callErrorOf(operation, result);
  const response = decision?.response ?? RESULTS_AT_ONCE;
  const ok = error === undefined && response.kind === 'results';
  const unanswered = error === undefined && (response.kind === 'lost' || response.kind === 'hang');
  const status = error?.status ?? (response.kind === 'html' ? response.status : 200);
  return {
    call,
    at: new Date().toISOString(),
    operation,
    stream: request?.stream ?? null,
    fault: decision?.fault ?? null,
    rule: decision?.rule ?? null,
    status: unanswered ? null : status,
    answered: error?.type ?? (ok ? 'ok' : response.kind),
    records: (request?.records ?? []).map((data, i) => {
      const { stored, code } = result.error ? NOT_STORED : (decision?.results[i] ?? ACCEPTED);
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

/** Creates record ids. They are unique even over restarts, as on AWS, and cheap for 500 records per request. */
function recordIdSource(): () => string {
  const process = randomBytes(24).toString('base64url');
  let count = 0;
  return () => `${process}${(count++).toString(36).padStart(12, '0')}`;
}
