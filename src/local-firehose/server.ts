import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CdcError } from '../error.ts';
import { type Api, createApi } from './api.ts';
import { AwsError, slowDown } from './aws-error.ts';
import type { SpoolFolders } from './object-buffer.ts';
import { parseBody } from './put-request.ts';
import { lockSpool, recoverSpool } from './spool.ts';
import { checkOwnStream, type StreamOptions } from './stream-options.ts';

/** An Amazon Data Firehose for development, demos and tests: the real wire protocol, a folder for a bucket. */
export interface LocalFirehose {
  endpoint: string;
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
  onUnknownStream?: ((name: string) => StreamOptions | undefined) | undefined;
  /** One line per delivered object, created stream or trouble. */
  log?: (line: string) => void;
  /** For ARNs and messages. */
  region?: string;
  account?: string;
}

/** Over what 500 records of the largest batch need, so that a batch over 4 MiB gets AWS's own message. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** Requests in memory at once; beyond it the answer is "Slow down.", which a client sends again. */
const MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024;
/** Longer than clients keep idle sockets, so that none is reused just as it is closed here. */
const KEEP_ALIVE_MS = 60_000;
const CLOSE_DEADLINE_MS = 5_000;
const TARGET = 'Firehose_20150804.';
const JSON_1_1 = 'application/x-amz-json-1.1';

export async function startLocalFirehose(options: LocalFirehoseOptions): Promise<LocalFirehose> {
  const { listen, lake, log = () => {} } = options;
  const streams = (options.streams ?? []).map(checkOwnStream);
  const folders: SpoolFolders = { lake, spool: `${lake.replace(/[\\/]+$/, '')}.spool` };
  const unlock = await lockSpool(folders);
  try {
    for (const object of await recoverSpool(folders)) log(`delivered ${object} (left by an earlier process)`);
    const api = createApi({
      streams,
      onUnknownStream: options.onUnknownStream,
      folders,
      region: options.region ?? 'us-east-1',
      account: options.account ?? '000000000000',
      log,
    });
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, requestHandler(api, log));
    await listenOn(server, listen);
    let closing: Promise<void> | undefined;
    const { address, port, family } = server.address() as AddressInfo;
    return {
      endpoint: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
      close: () => (closing ??= close(server, api, folders).finally(unlock)),
    };
  } catch (error) {
    await unlock();
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

function requestHandler(api: Api, log: (line: string) => void) {
  let bytesInFlight = 0;
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const expected = Number(request.headers['content-length'] ?? 0);
    bytesInFlight += expected;
    try {
      if (expected > MAX_BODY_BYTES) throw tooLarge();
      if (bytesInFlight > MAX_BYTES_IN_FLIGHT) throw slowDown();
      reply(response, 200, await answer(api, request, await readBody(request, expected)));
    } catch (error) {
      if (request.errored) return; // the client went away while it sent
      if (!(error instanceof AwsError)) log(`internal failure: ${(error as Error).stack}`);
      const { type, message, status } =
        error instanceof AwsError ? error : new AwsError('InternalFailure', 'An internal error occurred.', 500);
      if (status === 413) response.setHeader('connection', 'close');
      request.resume();
      reply(response, status, { __type: type, message });
    } finally {
      bytesInFlight -= expected;
    }
  };
}

const tooLarge = () =>
  new AwsError('RequestEntityTooLargeException', `Request bodies over ${MAX_BODY_BYTES} bytes are not read`, 413);

async function answer(api: Api, { method, headers }: IncomingMessage, body: Buffer): Promise<object> {
  if (method !== 'POST') {
    throw new AwsError('AccessDeniedException', 'Unable to determine service/operation name to be authorized', 403);
  }
  const contentType = headers['content-type']?.split(';', 1)[0]?.trim();
  if (contentType !== JSON_1_1)
    throw new AwsError('UnknownOperationException', `The content type is not ${JSON_1_1}`, 404);
  const target = String(headers['x-amz-target'] ?? '');
  const operation = target.startsWith(TARGET) ? api.operations.get(target.slice(TARGET.length)) : undefined;
  if (!operation) throw new AwsError('UnknownOperationException', `Unknown operation ${target}`);
  checkAuthorization(headers);
  return operation(parseBody(body));
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

/** The body in one buffer: written where it belongs as it arrives when its length is announced, as the SDK does. */
async function readBody(request: IncomingMessage, expected: number): Promise<Buffer> {
  let body = Buffer.allocUnsafe(expected);
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (length + chunk.length > MAX_BODY_BYTES) throw tooLarge();
    if (length + chunk.length > body.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * body.length, length + chunk.length));
      body.copy(larger, 0, 0, length);
      body = larger;
    }
    chunk.copy(body, length);
    length += chunk.length;
  }
  return body.subarray(0, length);
}

function reply(response: ServerResponse, status: number, document: object): void {
  const body = JSON.stringify(document);
  response.writeHead(status, {
    'x-amzn-RequestId': randomUUID(),
    'x-amz-id-2': randomBytes(48).toString('base64'),
    'Content-Type': JSON_1_1,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}
