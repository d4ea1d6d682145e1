import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CdcError } from '../../runtime/error.ts';
import { type Api, createApi } from './api.ts';
import { AwsError, slowDown } from './aws-error.ts';
import { type CallLogEntry, openCallLog } from './call-log.ts';
import { checkFaultPlan, type FaultPlan } from './faults.ts';
import type { SpoolFolders } from './object-buffer.ts';
import { isPut } from './put-handler.ts';
import { type Json, parseBody } from './put-request.ts';
import { BodyPool, bodyTooLarge, MAX_BODY_BYTES } from './read-body.ts';
import { readPendingCopies } from './redshift/pending-copies.ts';
import { errorReply, JSON_1_1, jsonReply, type Reply, sendReply } from './reply.ts';
import { lockSpool, recoverSpool } from './spool.ts';
import { type StreamOptions, validateLocalStream } from './stream-options.ts';

/**
 * An Amazon Data Firehose for development, demos and tests, with the real wire protocol and a folder instead of a
 * bucket.
 */
export interface LocalFirehose {
  endpoint: string;
  /** Applies the plan from the next call on; undefined removes all faults. @throws CdcError if the plan is invalid */
  setFaults(plan: FaultPlan | undefined): void;
  /** Stores records of a source, which do not come through the API. Resolves when they survive the process. */
  store(stream: string, records: readonly Buffer[]): Promise<void>;
  /** Finishes the requests in flight, then delivers every buffer to the lake. */
  close(): Promise<void>;
}

export interface LocalFirehoseOptions {
  /** The operating system chooses a free port for port 0. */
  listen: { host: string; port: number };
  /** The folder that replaces the bucket. Undelivered data is in `<lake>.spool`. */
  lake: string;
  streams?: StreamOptions[];
  /** Returns the options of a stream that is used before it exists, or undefined if the stream must not be created. */
  autoCreateStream?: ((name: string) => StreamOptions | undefined) | undefined;
  /** Receives one line per delivered object, created stream or problem. */
  log?: (line: string) => void;
  faults?: FaultPlan | undefined;
  /**
   * The call log: a file with one line per put call, synced to disk before the response is sent. The accepted records
   * are then synced before the response, too.
   */
  ledger?: string | undefined;
  /**
   * Receives the same entries, after the call log is written and before the response is sent. Their data is valid only
   * during the call of this function.
   */
  onCall?: ((entry: CallLogEntry) => void) | undefined;
  /** Takes the place of a cluster or workgroup on AWS that the JDBC URL of a Redshift destination names. */
  warehouse?: { host: string; port: number } | undefined;
  /** Region and account appear in ARNs and messages. */
  region?: string;
  account?: string;
}

/** The limit of request bytes in memory. Beyond it the response is "Slow down.", so the client retries. */
const MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024;
/** Longer than clients keep idle sockets, so that no client reuses a socket while the server closes it. */
const KEEP_ALIVE_MS = 60_000;
const CLOSE_DEADLINE_MS = 5_000;
const TARGET = 'Firehose_20150804.';

export async function startLocalFirehose(options: LocalFirehoseOptions): Promise<LocalFirehose> {
  const { listen, lake, log = () => {} } = options;
  const streams = (options.streams ?? []).map(validateLocalStream);
  const faults = options.faults && checkFaultPlan(options.faults);
  const folders: SpoolFolders = {
    lake,
    spool: `${lake.replace(/[\\/]+$/, '')}.spool`,
    durable: options.ledger !== undefined,
  };
  const cleanup: (() => Promise<void>)[] = [await lockSpool(folders)];
  const release = async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo();
  };
  try {
    const callLog = options.ledger === undefined ? undefined : await openCallLog(options.ledger);
    if (callLog) cleanup.push(callLog.close);
    for (const object of await recoverSpool(folders)) log(`delivered ${object} (left by an earlier process)`);
    const api = createApi({
      streams,
      autoCreateStream: options.autoCreateStream,
      folders,
      region: options.region ?? 'us-east-1',
      account: options.account ?? '000000000000',
      warehouse: options.warehouse,
      pendingCopies: await readPendingCopies(folders.spool),
      callLog,
      onCall: options.onCall,
      log,
    });
    api.puts.setFaults(faults);
    const closing = new AbortController();
    // Each connection that hangs because of a fault listens to it.
    setMaxListeners(0, closing.signal);
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, createRequestHandler(api, log, closing.signal));
    await listenOn(server, listen);
    let closed: Promise<void> | undefined;
    const { address, port, family } = server.address() as AddressInfo;
    return {
      endpoint: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
      store: (stream, records) => api.store(stream, records),
      setFaults: (plan) => api.puts.setFaults(plan && checkFaultPlan(plan)),
      close: () => {
        closing.abort();
        return (closed ??= closeServer(server, api, folders).finally(release));
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

function listenOn(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      reject(
        new CdcError(inUse ? `port ${port} on ${host} is already in use` : `cannot listen on ${host}:${port}`, {
          why: error.message,
          hint: inUse
            ? 'stop the process that listens on it, or choose another port with --listen'
            : 'choose an address of this machine and a port over 1023 with --listen',
          cause: error,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

async function closeServer(server: Server, api: Api, { lake, spool }: SpoolFolders): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
  try {
    await api.flush();
  } catch (error) {
    throw new CdcError(`cannot deliver every object into ${lake}`, {
      why: (error as Error).message,
      hint: `the other objects are in ${spool} and are delivered at the next start`,
      cause: error,
    });
  }
}

function createRequestHandler(api: Api, log: (line: string) => void, closing: AbortSignal) {
  const bodyPool = new BodyPool();
  let bytesInFlight = 0;
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const expected = Number(request.headers['content-length'] ?? 0);
    let reserved = 0;
    const reserve = (bytes: number): void => {
      reserved += bytes;
      bytesInFlight += bytes;
      if (bytesInFlight > MAX_BYTES_IN_FLIGHT) throw slowDown();
    };
    const operation = operationOf(request);
    let body: Buffer | undefined;
    const read = async (): Promise<Json> => {
      if (expected > MAX_BODY_BYTES) throw bodyTooLarge();
      reserve(expected);
      body = await bodyPool.read(request, expected, reserve);
      checkRequest(request, isPut(operation) || api.operations.has(operation));
      return parseBody(body);
    };
    let reply: Reply;
    try {
      reply = isPut(operation)
        ? await api.puts.answer(operation, read)
        : jsonReply(200, await api.operations.get(operation)!(await read()));
      // After a failure, writes to the spool can still read some of the records.
      if (body && reply.status === 200) bodyPool.release(body);
    } catch (error) {
      if (request.errored) return; // the client disconnected during the request
      if (!(error instanceof AwsError)) log(`internal failure: ${(error as Error).stack}`);
      reply = errorReply(
        error instanceof AwsError ? error : new AwsError('InternalFailure', 'An internal error occurred.', 500),
      );
    } finally {
      bytesInFlight -= reserved;
    }
    if (!request.complete && reply.delivery !== 'reset') request.resume();
    await sendReply(response, reply, closing);
  };
}

/** The operation in the target header; empty for a target of another service. */
function operationOf({ headers }: IncomingMessage): string {
  const target = String(headers['x-amz-target'] ?? '');
  return target.startsWith(TARGET) ? target.slice(TARGET.length) : '';
}

function checkRequest({ method, headers }: IncomingMessage, known: boolean): void {
  if (method !== 'POST') {
    throw new AwsError('AccessDeniedException', 'Unable to determine service/operation name to be authorized', 403);
  }
  const contentType = headers['content-type']?.split(';', 1)[0]?.trim();
  if (contentType !== JSON_1_1) {
    throw new AwsError('UnknownOperationException', `The content type is not ${JSON_1_1}`, 404);
  }
  if (!known) throw new AwsError('UnknownOperationException', `Unknown operation ${headers['x-amz-target'] ?? ''}`);
  checkAuthorization(headers);
}

/** The signature is not verified, but an unsigned request is rejected as on AWS. */
function checkAuthorization(headers: IncomingMessage['headers']): void {
  const { authorization } = headers;
  if (!authorization) throw new AwsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  let missing = '';
  for (const parameter of ['Credential', 'Signature', 'SignedHeaders']) {
    if (!authorization.includes(`${parameter}=`)) missing += `Authorization header requires '${parameter}' parameter. `;
  }
  if (!headers['x-amz-date'] && !headers.date) {
    missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
  }
  if (missing) throw new AwsError('IncompleteSignatureException', `${missing}Authorization=${authorization}`);
}
