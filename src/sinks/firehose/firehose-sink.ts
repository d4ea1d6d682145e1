import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type FirehoseClient, PutRecordBatchCommand, type PutRecordBatchCommandOutput } from '@aws-sdk/client-firehose';
import { onAbort } from '../../runtime/abort.ts';
import { CdcError } from '../../runtime/error.ts';
import type { RecordBuffers, RecordOutcome, Sink, SinkLimits, SinkRecord } from '../sink.ts';
import type { AwsFailure } from './aws-failure.ts';
import { BodyHash } from './body-hash.ts';
import { FailureRecovery, type SentRequest, signatureOf } from './failure-recovery.ts';
import { type FirehoseConnection, firehoseClient } from './firehose-client.ts';
import { recordOutcomes } from './outcomes.ts';
import { putRecordBatchBody } from './request-body.ts';

export interface FirehoseOptions extends FirehoseConnection {
  stream: string;
  gzip?: boolean;
  /** Free buffers for request bodies. Several sinks can share them. */
  bodyPool?: Buffer[];
}

/** The limits of PutRecordBatch (Firehose quota page), with less than 4 MiB per request: proxies can count more. */
const FIREHOSE_LIMITS: SinkLimits = {
  maxRecords: 500,
  maxRecordBytes: 1_024_000,
  maxRequestBytes: 4_000_000,
};
const REQUEST_TIMEOUT_MS = 30_000;
const BODY_POOL_MAX = 4;

const compress = promisify(gzip);

/** One stream of Amazon Data Firehose, through the AWS SDK. */
export class FirehoseSink implements Sink {
  readonly service = 'Firehose';
  readonly limits = FIREHOSE_LIMITS;
  readonly needsKeys = false;
  readonly encodeRecord?: (record: RecordBuffers) => Promise<RecordBuffers>;
  readonly #client: FirehoseClient;
  readonly #recovery: FailureRecovery;
  readonly #stream: string;
  readonly #timeoutMs: number;
  readonly #bodyPool: Buffer[];
  readonly #bodyHash = new BodyHash();

  constructor(options: FirehoseOptions) {
    this.#client = firehoseClient(options);
    this.#recovery = new FailureRecovery(this.#client);
    this.#stream = options.stream;
    this.#timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#bodyPool = options.bodyPool ?? [];
    if (options.gzip) this.encodeRecord = async (record) => [await compress(Buffer.concat(record))];
  }

  async send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]> {
    const body = putRecordBatchBody(this.#stream, records, this.#bodyPool.pop() ?? EMPTY);
    const command = new PutRecordBatchCommand({ DeliveryStreamName: this.#stream, Records: [] });
    // The serializer has written a request without records. The later steps sign this body and measure its length.
    command.middlewareStack.add(
      (next) => async (args) => {
        const request = args.request as { body: unknown; headers: Record<string, string> };
        request.body = body;
        request.headers[BODY_HASH_HEADER] = await this.#bodyHash.of(body);
        return next(args);
      },
      { step: 'build', priority: 'high', name: 'bodyMiddleware' },
    );
    const request: SentRequest = { sentAt: performance.now(), signature: undefined };
    command.middlewareStack.add(
      (next) => (args) => {
        request.signature = signatureOf(args.request);
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low', name: 'signatureMiddleware' },
    );
    try {
      const response = await this.#sendWithDeadline(command, signal);
      // A response with one result per record means the body was read completely, so its buffer can be reused. Any
      // other response can arrive earlier.
      const isComplete = response.RequestResponses?.length === records.length;
      if (isComplete && this.#bodyPool.length < BODY_POOL_MAX) this.#bodyPool.push(Buffer.from(body.buffer));
      const outcomes = recordOutcomes(response, records.length);
      if (outcomes.some(({ kind }) => kind === 'accepted')) this.#recovery.accepted();
      return outcomes;
    } catch (error) {
      // No retry changes the environment.
      if (error instanceof CdcError) throw error;
      const outcome = await this.#recovery.outcomeOf(error as AwsFailure, request, this.#stream);
      return records.map(() => outcome);
    }
  }

  /**
   * Sends the request and waits for the complete response. The SDK's own timeout starts after the credentials are found
   * and ends with the response headers. Without this deadline, missing credentials or a stalled response body would
   * block the lanes forever.
   */
  async #sendWithDeadline(command: PutRecordBatchCommand, signal: AbortSignal): Promise<PutRecordBatchCommandOutput> {
    const request = new AbortController();
    const removeListener = onAbort(signal, () => request.abort());
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `no complete response within ${this.#timeoutMs} ms`;
        reject(Object.assign(new Error(message), { name: 'TimeoutError' }));
        request.abort();
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([this.#client.send(command, { abortSignal: request.signal }), deadline]);
    } finally {
      clearTimeout(timer);
      removeListener();
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

const EMPTY = Buffer.alloc(0);

/** The signature takes the hash of the body from this header (Signature Version 4, AWS reference). */
const BODY_HASH_HEADER = 'x-amz-content-sha256';
