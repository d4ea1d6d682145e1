import { FirehoseClient, PutRecordBatchCommand } from '@aws-sdk/client-firehose';
import type { Outcome, Sink, SinkLimits } from '../change/sink.ts';
import { outcomeOfFailure, outcomesOf } from './outcome.ts';

export interface FirehoseOptions {
  stream: string;
  region: string | undefined;
  endpoint: string | undefined;
}

/** PutRecordBatch limits (Amazon Data Firehose quota page); 4 MiB a call, less what a proxy may count on top. */
export const FIREHOSE_LIMITS: SinkLimits = {
  maxRecords: 500,
  maxRecordBytes: 1_024_000,
  maxRequestBytes: 4_000_000,
};

const CONNECTION_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 30_000;
const SOCKETS = 32;

/** A client that tries once and says so: retrying is delivery's, which knows what may follow what. */
export function firehoseClient({ region, endpoint }: Omit<FirehoseOptions, 'stream'>): FirehoseClient {
  return new FirehoseClient({
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(endpoint && isLoopback(endpoint) && { region: region ?? 'us-east-1', credentials: LOCAL_CREDENTIALS }),
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: SOCKETS },
    },
  });
}

/** A Firehose on this machine checks no signature; asking the instance for credentials would only take time. */
const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };

function isLoopback(endpoint: string): boolean {
  const { hostname } = new URL(endpoint);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}

/** Amazon Data Firehose, one stream, through the AWS SDK. */
export class FirehoseSink implements Sink {
  readonly limits = FIREHOSE_LIMITS;
  readonly #client: FirehoseClient;
  readonly #stream: string;

  constructor(options: FirehoseOptions) {
    this.#client = firehoseClient(options);
    this.#stream = options.stream;
  }

  async send(records: readonly Uint8Array[], signal: AbortSignal): Promise<Outcome[]> {
    try {
      const answer = await this.#client.send(
        new PutRecordBatchCommand({
          DeliveryStreamName: this.#stream,
          Records: records.map((Data) => ({ Data })),
        }),
        { abortSignal: signal },
      );
      return outcomesOf(answer, records.length);
    } catch (error) {
      const outcome = outcomeOfFailure(error);
      return records.map(() => outcome);
    }
  }

  close(): void {
    this.#client.destroy();
  }
}
