import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { FirehoseClient, PutRecordBatchCommand, type PutRecordBatchCommandOutput } from '@aws-sdk/client-firehose';
import type { RecordBuffers, RecordOutcome, Sink, SinkLimits, SinkRecord } from '../sink.ts';
import { failureOutcome, recordOutcomes } from './outcomes.ts';
import { putRecordBatchBody } from './request-body.ts';

/** How to reach Firehose. */
export interface FirehoseConnection {
  region: string | undefined;
  endpoint: string | undefined;
  /** After this many milliseconds without a whole answer, the outcome of a request is unknown. */
  timeoutMs?: number;
}

export interface FirehoseOptions extends FirehoseConnection {
  stream: string;
  gzip?: boolean;
  /** Memory of requests, which several sinks may share. */
  bodyPool?: Buffer[];
}

/** PutRecordBatch limits (Amazon Data Firehose quota page); 4 MiB a call, less what a proxy may count on top. */
const FIREHOSE_LIMITS: SinkLimits = {
  maxRecords: 500,
  maxRecordBytes: 1_024_000,
  maxRequestBytes: 4_000_000,
};
const CONNECTION_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 30_000;
const SOCKETS = 32;
const BODY_POOL_MAX = 4;

/** A client that tries once and says so: retrying is delivery's, which knows what may follow what. */
export function firehoseClient({ region, endpoint }: FirehoseConnection): FirehoseClient {
  return new FirehoseClient({
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(isLocal(endpoint) && { region: region ?? 'us-east-1', credentials: LOCAL_CREDENTIALS }),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      httpAgent: { keepAlive: true, maxSockets: SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: SOCKETS },
    },
  });
}

/** A Firehose on this machine checks no signature; asking the instance for credentials would only take time. */
const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };

/** Whether it is a Firehose on this machine, which has neither credentials nor quotas. */
export function isLocal(endpoint: string | undefined): boolean {
  if (endpoint === undefined) return false;
  const { hostname } = new URL(endpoint);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}

const compress = promisify(gzip);

/** Amazon Data Firehose, one stream, through the AWS SDK. */
export class FirehoseSink implements Sink {
  readonly service = 'Firehose';
  readonly limits = FIREHOSE_LIMITS;
  readonly needsKeys = false;
  readonly encodeRecord?: (record: RecordBuffers) => Promise<RecordBuffers>;
  readonly #client: FirehoseClient;
  readonly #stream: string;
  readonly #timeoutMs: number;
  /** Bodies of requests that have been answered, for the next ones. */
  readonly #bodyPool: Buffer[];

  constructor(options: FirehoseOptions) {
    this.#client = firehoseClient(options);
    this.#stream = options.stream;
    this.#timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#bodyPool = options.bodyPool ?? [];
    if (options.gzip) this.encodeRecord = async (record) => [await compress(Buffer.concat(record))];
  }

  async send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]> {
    const body = putRecordBatchBody(this.#stream, records, this.#bodyPool.pop() ?? NOTHING);
    const command = new PutRecordBatchCommand({ DeliveryStreamName: this.#stream, Records: [] });
    // The serializer has written a request without records, and what follows signs and measures this body.
    command.middlewareStack.add(
      (next) => (args) => {
        (args.request as { body: unknown }).body = body;
        return next(args);
      },
      { step: 'build', priority: 'high', name: 'bodyMiddleware' },
    );
    try {
      const answer = await this.#sendWithDeadline(command, signal);
      // Who tells of each record has read them all, and is done with the bytes; any other answer may come too early.
      const isWhole = answer.RequestResponses?.length === records.length;
      if (isWhole && this.#bodyPool.length < BODY_POOL_MAX) this.#bodyPool.push(Buffer.from(body.buffer));
      return recordOutcomes(answer, records.length);
    } catch (error) {
      const outcome = failureOutcome(error);
      return records.map(() => outcome);
    }
  }

  /**
   * The whole answer. The SDK's own timeout ends with the head of an answer, and begins when there are credentials:
   * one that stalls behind its head, or credentials that never come, would hold the lanes for ever.
   */
  async #sendWithDeadline(command: PutRecordBatchCommand, signal: AbortSignal): Promise<PutRecordBatchCommandOutput> {
    const end = new AbortController();
    const abort = (): void => end.abort();
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(Object.assign(new Error(`no whole answer within ${this.#timeoutMs} ms`), { name: 'TimeoutError' }));
        end.abort();
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([this.#client.send(command, { abortSignal: end.signal }), late]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

const NOTHING = Buffer.alloc(0);
