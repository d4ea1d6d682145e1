import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CdcError } from '../../runtime/error.ts';
import { type Api, createApi } from './api.ts';
import { AwsError, slowDown } from './aws-error.ts';
import { type CallLogEntry, openLedger } from './call-log.ts';
import { checkFaultPlan, type FaultPlan } from './faults.ts';
import type { SpoolFolders } from './object-buffer.ts';
import { isPut } from './put-handler.ts';
import { type Json, parseBody } from './put-request.ts';
import { BodyPool, MAX_BODY_BYTES, tooLarge } from './read-body.ts';
import { errorReply, JSON_1_1, jsonReply, type Reply, sendReply } from './reply.ts';
import { lockSpool, recoverSpool } from './spool.ts';
import { type StreamOptions, validateLocalStream } from './stream-options.ts';

/** An Amazon Data Firehose for development, demos and tests: the real wire protocol, a folder for a bucket. */
export interface LocalFirehose {
  endpoint: string;
  /** From the next call on; undefined ends all faults. @throws CdcError if it is not a plan. */
  setFaults(plan: FaultPlan | undefined): void;
  /** Ends the requests in flight, then delivers every buffer to the lake. */
  close(): Promise<void>;
}

export interface LocalFirehoseOptions {
  /** Port 0: the operating system chooses. */
  listen: { host: string; port: number };
  /** The folder that stands for the bucket. What is not delivered yet lies beside it, in `<lake>.spool`. */
  lake: string;
  streams?: StreamOptions[];
  /** Describes a stream that is used before it exists; without it, or for undefined, it is not found. */
  autoCreateStream?: ((name: string) => StreamOptions | undefined) | undefined;
  /** One line per delivered object, created stream or trouble. */
  log?: (line: string) => void;
  faults?: FaultPlan | undefined;
  /**
   * File that gets a line for each put call, synced to disk before its answer goes out; what is answered as accepted
   * is synced too.
   */
  ledger?: string | undefined;
  /**
   * The same entries in this process, before the answer goes out and after the ledger has it. Their data is good for
   * the call only.
   */
  onCall?: ((entry: CallLogEntry) => void) | undefined;
  /** For ARNs and messages. */
  region?: string;
  account?: string;
}

/** Requests in memory at once; beyond it the answer is "Slow down.", which a client sends again. */
const MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024;
/** Longer than clients keep idle sockets, so that none is reused just as it is closed here. */
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
  const opened: (() => Promise<void>)[] = [await lockSpool(folders)];
  const release = async () => {
    for (const end of opened.splice(0).reverse()) await end();
  };
  try {
    const ledger = options.ledger === undefined ? undefined : await openLedger(options.ledger);
    if (ledger) opened.push(ledger.close);
    for (const object of await recoverSpool(folders)) log(`delivered ${object} (left by an earlier process)`);
    const api = createApi({
      streams,
      onUnknownStream: options.autoCreateStream,
      folders,
      region: options.region ?? 'us-east-1',
      account: options.account ?? '000000000000',
      ledger,
      onCall: options.onCall,
      log,
    });
    api.puts.setFaults(faults);
    const ending = new AbortController();
    // Each connection that hangs by a fault listens to it.
    setMaxListeners(0, ending.signal);
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, requestHandler(api, log, ending.signal));
    await listenOn(server, listen);
    let closing: Promise<void> | undefined;
    const { address, port, family } = server.address() as AddressInfo;
    return {
      endpoint: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
      setFaults: (plan) => api.puts.setFaults(plan && checkFaultPlan(plan)),
      close: () => {
        ending.abort();
        return (closing ??= close(server, api, folders).finally(release));
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
      const taken = error.code === 'EADDRINUSE';
      reject(
        new CdcError(taken ? `Port ${port} on ${host} is already in use` : `Cannot listen on ${host}:${port}`, {
          why: error.message,
          hint: taken
            ? 'Stop the process that listens there, or choose another port with --listen.'
            : 'Choose an address of this machine and a port over 1023 with --listen.',
          cause: error,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

async function close(server: Server, api: Api, { lake, spool }: SpoolFolders): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
  try {
    await api.flush();
  } catch (error) {
    throw new CdcError(`Not every object could be delivered into ${lake}`, {
      why: (error as Error).message,
      hint: `What is left lies in ${spool}, and is delivered at the next start.`,
      cause: error,
    });
  }
}

function requestHandler(api: Api, log: (line: string) => void, closing: AbortSignal) {
  const bodies = new BodyPool();
  let bytesInFlight = 0;
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const expected = Number(request.headers['content-length'] ?? 0);
    bytesInFlight += expected;
    const operation = operationOf(request);
    let body: Buffer | undefined;
    const read = async (): Promise<Json> => {
      if (expected > MAX_BODY_BYTES) throw tooLarge();
      if (bytesInFlight > MAX_BYTES_IN_FLIGHT) throw slowDown();
      body = await bodies.read(request, expected);
      checkRequest(request, isPut(operation) || api.operations.has(operation));
      return parseBody(body);
    };
    let reply: Reply;
    try {
      reply = isPut(operation)
        ? await api.puts.answer(operation, read)
        : jsonReply(200, await api.operations.get(operation)!(await read()));
      // After a failure some of its records may still be on their way into the spool.
      if (body && reply.status === 200) bodies.release(body);
    } catch (error) {
      if (request.errored) return; // the client went away while it sent
      if (!(error instanceof AwsError)) log(`internal failure: ${(error as Error).stack}`);
      reply = errorReply(
        error instanceof AwsError ? error : new AwsError('InternalFailure', 'An internal error occurred.', 500),
      );
    } finally {
      bytesInFlight -= expected;
    }
    if (!request.complete && reply.sent !== 'reset') request.resume();
    await sendReply(response, reply, closing);
  };
}

/** What the target names; empty when it names nothing of Firehose's. */
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

/** The signature is not verified, but a client that forgot to sign would be refused by AWS, so it is here. */
function checkAuthorization(headers: IncomingMessage['headers']): void {
  const given = headers.authorization;
  if (!given) throw new AwsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  let missing = '';
  for (const parameter of ['Credential', 'Signature', 'SignedHeaders']) {
    if (!given.includes(`${parameter}=`)) missing += `Authorization header requires '${parameter}' parameter. `;
  }
  if (!headers['x-amz-date'] && !headers.date) {
    missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
  }
  if (missing) throw new AwsError('IncompleteSignatureException', `${missing}Authorization=${given}`);
}
