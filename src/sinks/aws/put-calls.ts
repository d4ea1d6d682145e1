import type { AwsFailure } from '../../aws/aws-failure.ts';
import { BodyHash } from '../../aws/body-hash.ts';
import { noteSignature, replaceBody, sendWithDeadline } from '../../aws/signed-request.ts';
import { CdcError } from '../../runtime/error.ts';
import type { RecordOutcome } from '../sink.ts';
import type { FailureRecovery } from './failure-recovery.ts';
import { type PutResult, resultOutcomes } from './outcomes.ts';

/** One call that puts records, with a body that cdc writes itself. */
export interface PutCall<Output> {
  /** A command of the SDK without records. */
  command: { middlewareStack: unknown };
  /** Writes the body of the request into `target`, or into a new buffer if that is too small. */
  write(target: Buffer): Buffer;
  send(options: { abortSignal: AbortSignal }): Promise<Output>;
  /** The result of each record. */
  resultsOf(response: Output): PutResult[] | undefined;
  records: number;
}

const BODY_POOL_MAX = 4;
const REQUEST_TIMEOUT_MS = 30_000;
const EMPTY = Buffer.alloc(0);

/** Sends the calls of one stream, each once, and reports the outcome of each record. */
export class PutCalls {
  readonly #stream: string;
  readonly #recovery: FailureRecovery;
  readonly #timeoutMs: number;
  readonly #bodyPool: Buffer[];
  readonly #bodyHash = new BodyHash();

  /** @param bodyPool free buffers for request bodies; several streams can share them */
  constructor(stream: string, recovery: FailureRecovery, timeoutMs = REQUEST_TIMEOUT_MS, bodyPool: Buffer[] = []) {
    this.#stream = stream;
    this.#recovery = recovery;
    this.#timeoutMs = timeoutMs;
    this.#bodyPool = bodyPool;
  }

  async put<Output>(call: PutCall<Output>, signal: AbortSignal): Promise<RecordOutcome[]> {
    const { command, records } = call;
    const body = call.write(this.#bodyPool.pop() ?? EMPTY);
    replaceBody(command, body, this.#bodyHash);
    const request = noteSignature(command);
    try {
      const response = await sendWithDeadline((options) => call.send(options), this.#timeoutMs, signal);
      const results = call.resultsOf(response);
      // A response with one result per record means the body was read completely, so its buffer can be reused. Any
      // other response can arrive earlier.
      const isComplete = results?.length === records;
      if (isComplete && this.#bodyPool.length < BODY_POOL_MAX) this.#bodyPool.push(Buffer.from(body.buffer));
      const outcomes = resultOutcomes(results, records);
      if (outcomes.some(({ kind }) => kind === 'accepted')) this.#recovery.accepted();
      return outcomes;
    } catch (error) {
      // No retry changes the environment.
      if (error instanceof CdcError) throw error;
      const outcome = await this.#recovery.outcomeOf(error as AwsFailure, request, this.#stream);
      return Array.from({ length: records }, () => outcome);
    }
  }
}
