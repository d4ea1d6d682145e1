import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import type { SinkFault } from '../contract/sink.contract.ts';
import { ShardLimits } from './shard-limits.ts';

/** What goes wrong with PutRecords between a client and the local Kinesis. */
export type KinesisFault =
  | SinkFault
  | 'token expired'
  /** The records of one shard are throttled, as by another producer. */
  | { throttledShard: string }
  /** The call fails with this error of AWS. */
  | { error: string; status?: number }
  /** The record at this index fails with an internal error, and is stored nevertheless. */
  | { internalFailure: number }
  /** Each of these records is throttled, or fails with an internal error and is stored or not. */
  | { records: (index: number) => 'throttled' | 'failed' | 'stored but failed' | undefined }
  /** The response is late. */
  | { slowMs: number }
  /** The records are stored, and the body of the response is not that of PutRecords. */
  | { body: string };

/** A record of a request: data in base64. */
export interface PutRecord {
  Data: string;
  PartitionKey: string;
  ExplicitHashKey?: string;
}

/** A record that the local Kinesis has stored, in the order of its arrival. */
export interface StoredRecord {
  data: Buffer;
  partitionKey: string;
  shardId: string;
  sequenceNumber: string;
}

interface PutResult {
  SequenceNumber?: string;
  ShardId?: string;
  ErrorCode?: string;
  ErrorMessage?: string;
}

/** A call of PutRecords, just before its response. */
export interface LoggedPut {
  /** When it arrived, milliseconds since 1970. It can be stored much later on a busy machine. */
  at: number;
  fault: KinesisFault | undefined;
  /** `ok`, or the error of the call, or how its response failed. */
  answered: string;
  records: {
    data: Buffer;
    stored: boolean;
    /** The response is complete, and says that the record is stored. */
    accepted: boolean;
    code: string | null;
  }[];
}

export type OnPut = (call: LoggedPut) => void;

type PutReply = { FailedRecordCount: number; Records: PutResult[] };

export interface FaultProxy {
  endpoint: string;
  /** What PutRecords has stored. */
  stored: StoredRecord[];
  /** Calls by their names, such as PutRecords. */
  calls: Map<string, number>;
  /** The fault of each call of PutRecords, or of the one at this index from now on. */
  setFault(fault: KinesisFault | undefined | ((call: number) => KinesisFault | undefined)): void;
  /** Records that were throttled because their shard was over its quota. */
  throttled(): number;
  /** Members that are added to each StreamDescriptionSummary, such as MaxRecordSizeInKiB. */
  describeWith(members: object): void;
  close(): Promise<void>;
}

/**
 * An HTTP proxy in front of a local Kinesis, which adds the faults and the quotas that it does not have. Other calls
 * than PutRecords pass.
 * @param limits the quota of each shard, per second; without it nothing is limited
 * @param onPut is called for each PutRecords; `stored` then stays empty, because it would have no bounds
 */
export async function startFaultProxy(
  port: number,
  limits?: { records: number; bytes: number },
  onPut?: OnPut,
): Promise<FaultProxy> {
  const stored: StoredRecord[] = [];
  const calls = new Map<string, number>();
  const shardLimits = new ShardLimits(port, limits);
  let faultOf: (call: number) => KinesisFault | undefined = () => undefined;
  let members: object = {};
  const open = new Set<ServerResponse>();
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const arrivedAt = Date.now();
    const body = await buffer(incoming);
    const [, name = ''] = String(incoming.headers['x-amz-target']).split('.');
    const call = calls.get(name) ?? 0;
    calls.set(name, call + 1);
    if (name === 'PutRecords') {
      const hear = onPut && ((put: Omit<LoggedPut, 'at'>) => onPut({ at: arrivedAt, ...put }));
      return put(incoming, body, response, faultOf(call), { port, shardLimits, stored, onPut: hear });
    }
    const { status, text } = await forward(port, incoming, body);
    if (name !== 'DescribeStreamSummary' || status !== 200) return reply(response, status, text);
    const described = JSON.parse(text) as { StreamDescriptionSummary: object };
    Object.assign(described.StreamDescriptionSummary, members);
    reply(response, status, JSON.stringify(described));
  };
  const server = createServer((incoming, response) => {
    open.add(response);
    response.on('close', () => open.delete(response)).on('error', () => {});
    // The client or the Kinesis behind has gone.
    handle(incoming, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stored,
    calls,
    setFault(fault) {
      faultOf = typeof fault === 'function' ? fault : () => fault;
      calls.set('PutRecords', 0);
    },
    throttled: () => shardLimits.throttled,
    describeWith(added) {
      members = added;
    },
    async close() {
      for (const response of open) response.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Behind {
  port: number;
  shardLimits: ShardLimits;
  stored: StoredRecord[];
  onPut: ((call: Omit<LoggedPut, 'at'>) => void) | undefined;
}

async function put(
  incoming: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  fault: KinesisFault | undefined,
  { port, shardLimits, stored, onPut }: Behind,
): Promise<void> {
  const input = JSON.parse(body.toString()) as { StreamName: string; Records: PutRecord[] };
  const error = callError(fault, input.Records);
  if (error !== undefined || fault === 'no response' || fault === 'connection reset') {
    const answered = error?.body.__type ?? fault;
    onPut?.({ fault, answered: String(answered), records: input.Records.map((record) => notStored(record)) });
  }
  if (error !== undefined) return reply(response, error.status, JSON.stringify(error.body));
  if (fault === 'no response') return;
  if (fault === 'connection reset') return void incoming.socket.resetAndDestroy();
  const refused = new Map<number, string>();
  const failed = new Map<number, 'failed' | 'stored but failed'>();
  for (const [i, shard] of (await shardLimits.refused(input.StreamName, input.Records)).entries()) {
    if (shard !== undefined) refused.set(i, shard);
  }
  if (fault === 'second record throttled' && input.Records.length > 1) refused.set(1, 'shardId-000000000000');
  if (typeof fault === 'object' && 'throttledShard' in fault) {
    const shards = await shardLimits.shardsOf(input.StreamName, input.Records);
    for (const [i, shard] of shards.entries()) if (shard === fault.throttledShard) refused.set(i, shard);
  }
  if (typeof fault === 'object' && 'records' in fault) {
    for (const i of input.Records.keys()) {
      const how = fault.records(i);
      if (how === 'throttled') refused.set(i, 'shardId-000000000000');
      else if (how !== undefined) failed.set(i, how);
    }
  }
  const isTaken = (i: number): boolean => !refused.has(i) && failed.get(i) !== 'failed';
  const taken = input.Records.filter((_, i) => isTaken(i));
  let results: PutResult[] = [];
  if (taken.length > 0) {
    const forwarded = await forward(port, incoming, Buffer.from(JSON.stringify({ ...input, Records: taken })));
    if (forwarded.status !== 200) {
      onPut?.({ fault, answered: forwarded.text, records: input.Records.map((record) => notStored(record)) });
    }
    if (forwarded.status !== 200) return reply(response, forwarded.status, forwarded.text);
    results = (JSON.parse(forwarded.text) as PutReply).Records;
    results.forEach(({ ShardId = '', SequenceNumber = '' }, i) => {
      if (onPut !== undefined) return;
      const { Data, PartitionKey } = taken[i] as PutRecord;
      const data = Buffer.from(Data, 'base64');
      stored.push({ data, partitionKey: PartitionKey, shardId: ShardId, sequenceNumber: SequenceNumber });
    });
  }
  const records = input.Records.map((_, i): PutResult => {
    const shard = refused.get(i);
    const result = isTaken(i) ? (results.shift() as PutResult) : {};
    if (failed.has(i)) return INTERNAL_FAILURE;
    if (shard === undefined) return result;
    const ErrorMessage = `Rate exceeded for shard ${shard} in stream ${input.StreamName} under account 000000000000.`;
    return { ErrorCode: 'ProvisionedThroughputExceededException', ErrorMessage };
  });
  const answered = failedResponse(fault);
  onPut?.({
    fault,
    answered: answered ?? 'ok',
    records: records.map(({ ErrorCode = null }, i) => ({
      ...notStored(input.Records[i] as PutRecord),
      stored: isTaken(i),
      accepted: ErrorCode === null && answered === undefined,
      code: ErrorCode,
    })),
  });
  if (typeof fault === 'object' && 'slowMs' in fault) await setTimeout(fault.slowMs);
  answer(incoming, response, fault, records);
}

const INTERNAL_FAILURE: PutResult = { ErrorCode: 'InternalFailure', ErrorMessage: 'Internal Service Failure' };

const notStored = ({ Data }: PutRecord): LoggedPut['records'][number] => ({
  data: Buffer.from(Data, 'base64'),
  stored: false,
  accepted: false,
  code: null,
});

/** How the response of a call fails whose records are stored. */
function failedResponse(fault: KinesisFault | undefined): string | undefined {
  if (typeof fault === 'object' && 'body' in fault) return 'another body';
  return fault === 'response lost' || fault === 'result missing' || fault === 'response stalls' ? fault : undefined;
}

/** Answers a call whose records are stored, as the fault has it. */
function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  fault: KinesisFault | undefined,
  records: PutResult[],
): void {
  if (fault === 'response lost') return void incoming.socket.resetAndDestroy();
  if (fault === 'result missing') records.pop();
  if (typeof fault === 'object' && 'internalFailure' in fault) {
    records[fault.internalFailure] = INTERNAL_FAILURE;
  }
  if (typeof fault === 'object' && 'body' in fault) return reply(response, 200, fault.body);
  const failed = records.filter(({ ErrorCode }) => ErrorCode !== undefined).length;
  const text = JSON.stringify({ FailedRecordCount: failed, Records: records });
  if (fault !== 'response stalls') return reply(response, 200, text);
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': text.length });
  response.write(text.slice(0, text.length >> 1));
}

/** The error of the whole call, which stores nothing. */
function callError(
  fault: KinesisFault | undefined,
  records: readonly PutRecord[],
): { status: number; body: { __type: string; message: string } } | undefined {
  const failed = (type: string, message: string, status = 400) => ({ status, body: { __type: type, message } });
  if (fault === 'request throttled') return failed('ProvisionedThroughputExceededException', 'Rate exceeded.');
  if (fault === 'token expired') return failed('ExpiredTokenException', 'The security token is expired');
  if (fault === 'poison' && records.some(({ Data }) => Buffer.from(Data, 'base64').includes('poison'))) {
    return failed('InvalidArgumentException', 'a record is invalid');
  }
  if (typeof fault === 'object' && 'error' in fault) return failed(fault.error, 'refused', fault.status);
  return undefined;
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-RequestId': 'proxy' });
  response.end(text);
}

/** Sends a request on to the local Kinesis. */
async function forward(
  port: number,
  incoming: IncomingMessage,
  body: Buffer,
): Promise<{ status: number; text: string }> {
  const headers = { ...incoming.headers, 'content-length': body.length };
  const outgoing = request({ host: '127.0.0.1', port, method: 'POST', path: '/', headers });
  outgoing.end(body);
  const [answered] = (await once(outgoing, 'response')) as [IncomingMessage];
  outgoing.on('error', () => {});
  return { status: answered.statusCode ?? 500, text: (await buffer(answered)).toString() };
}
