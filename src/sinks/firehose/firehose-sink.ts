import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type FirehoseClient, PutRecordBatchCommand } from '@aws-sdk/client-firehose';
import { PutCalls } from '../aws/put-calls.ts';
import type { RecordBuffers, RecordOutcome, Sink, SinkLimits, SinkRecord } from '../sink.ts';
import { type FirehoseConnection, firehoseClient, firehoseRecovery } from './firehose-client.ts';
import { recordResults } from './outcomes.ts';
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

const compress = promisify(gzip);

/** One stream of Amazon Data Firehose, through the AWS SDK. */
export class FirehoseSink implements Sink {
  readonly service = 'Firehose';
  readonly limits = FIREHOSE_LIMITS;
  readonly needsKeys = false;
  readonly encodeRecord?: (record: RecordBuffers) => Promise<RecordBuffers>;
  readonly #client: FirehoseClient;
  readonly #stream: string;
  readonly #calls: PutCalls;

  constructor(options: FirehoseOptions) {
    this.#client = firehoseClient(options);
    this.#stream = options.stream;
    this.#calls = new PutCalls(options.stream, firehoseRecovery(this.#client), options.timeoutMs, options.bodyPool);
    if (options.gzip) this.encodeRecord = async (record) => [await compress(Buffer.concat(record))];
  }

  send(records: readonly SinkRecord[], signal: AbortSignal): Promise<RecordOutcome[]> {
    const command = new PutRecordBatchCommand({ DeliveryStreamName: this.#stream, Records: [] });
    const call = {
      command,
      write: (target: Buffer) => putRecordBatchBody(this.#stream, records, target),
      send: (options: { abortSignal: AbortSignal }) => this.#client.send(command, options),
      resultsOf: recordResults,
      records: records.length,
    };
    return this.#calls.put(call, signal);
  }

  close(): void {
    this.#client.destroy();
  }
}
