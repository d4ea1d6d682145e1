import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CdcError } from '../runtime/error.ts';
import type { Log } from '../runtime/log.ts';
import { version } from '../runtime/version.ts';
import {
  type AdminReply,
  CallError,
  commandErrorReply,
  type DaemonIdentity,
  errorBody,
  findEndpoint,
} from './handlers.ts';
import type { StatusSource } from './status.ts';
import { listenOnSocket } from './unix-socket.ts';

export interface AdminServerOptions {
  /** The path of the Unix socket. */
  socket: string;
  /** The name of the pipeline. */
  name: string;
  /** The running pipeline; undefined while there is none, such as between two tries to reach MySQL. */
  source: () => StatusSource | undefined;
  /** Why no pipeline runs. */
  whyUnavailable?: () => string | undefined;
  log: Log;
}

export interface AdminServer {
  close(): Promise<void>;
}

const BODY_MAX_BYTES = 4 * 1024 * 1024;
const CONNECTIONS_MAX = 64;
/** How long a client can take to send a call. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How long `close` waits for the calls that are being answered. */
const CLOSE_DEADLINE_MS = 1_000;

/**
 * The daemon's HTTP server on its Unix socket. It outlives the pipeline: while none runs, calls are answered with 503.
 * @throws CdcError if it cannot listen, such as on the socket of another running process
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const daemon = { name: options.name, version, pid: process.pid, startedAt: new Date().toISOString() };
  const server = createServer((request, response) => void respond(request, response, daemon, options));
  server.maxConnections = CONNECTIONS_MAX;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  await listenOnSocket(server, options.socket);
  // Such as no file descriptor for another connection: the daemon continues without this call.
  server.on('error', ({ message }) => options.log.warn({ why: message }, 'a call to the socket failed'));
  let closed: Promise<void> | undefined;
  return { close: () => (closed ??= closeServer(server)) };
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS);
  await closed;
  clearTimeout(deadline);
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  daemon: DaemonIdentity,
  options: AdminServerOptions,
): Promise<void> {
  const reply = await answer(request, daemon, options).catch((error) => replyTo(error, options.log));
  if (request.errored || response.destroyed) return;
  const text = `${JSON.stringify(reply.body)}\n`;
  response.writeHead(reply.status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    // Nobody reads a body that no endpoint takes.
    ...(!request.complete && { Connection: 'close' }),
    ...reply.headers,
  });
  response.end(text);
}

async function answer(
  request: IncomingMessage,
  daemon: DaemonIdentity,
  { source, whyUnavailable }: AdminServerOptions,
): Promise<AdminReply> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const endpoint = findEndpoint(request.method ?? 'GET', pathname);
  const body = endpoint.method === 'POST' ? await readJson(request) : undefined;
  const pipeline = source();
  if (pipeline === undefined) {
    throw new CallError(503, 'the daemon runs, and its pipeline does not', {
      exitCode: 1,
      why: whyUnavailable?.() ?? 'it is starting',
      hint: 'try again; the log of the daemon says what it waits for',
    });
  }
  return { status: endpoint.status ?? 200, body: await endpoint.handle({ daemon, pipeline }, body) };
}

/**
 * Reads a body to its end, for a client that is still sending would not read the answer.
 * @throws CallError if it is too large or not JSON; undefined for an empty one
 */
async function readJson(request: IncomingMessage): Promise<unknown> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > BODY_MAX_BYTES) pieces = [];
    else pieces.push(piece);
  }
  if (bytes > BODY_MAX_BYTES) throw new CallError(413, `the body has more than ${BODY_MAX_BYTES} bytes`);
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch {
    // The message of JSON.parse holds a part of the text.
    throw new CallError(400, 'the body is not JSON', { hint: 'send an object, such as {"tables": ["shop.orders"]}' });
  }
}

function replyTo(error: unknown, log: Log): AdminReply {
  if (error instanceof CallError) return error.reply;
  if (error instanceof CdcError) return commandErrorReply(error);
  // Its message can hold anything, a value of a row too.
  const { name, code } = error as { name?: string; code?: string };
  log.warn({ why: code ?? name }, 'a call to the socket failed');
  return { status: 500, body: errorBody('the call failed inside the daemon', { why: String(code ?? name) }) };
}
