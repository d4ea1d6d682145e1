import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenAddress } from '../config/admin-schema.ts';
import { holderText } from '../model/lease-status.ts';
import { CdcError } from '../runtime/error.ts';
import type { Log } from '../runtime/log.ts';
import { type AdminReply, CallError, commandErrorReply, errorBody } from './call-error.ts';
import { DashboardFiles } from './dashboard-files.ts';
import { assertAllowed, type PortGuard } from './guard.ts';
import { type CallContext, findEndpoint } from './handlers.ts';
import { HistoryRecorder } from './history.ts';
import { type Listener, Listeners } from './listeners.ts';
import type { Metrics } from './metrics.ts';
import type { StatusSource } from './status.ts';
import { type DaemonFacts, StatusReader } from './status-reader.ts';
import { listenOnPort } from './tcp-listener.ts';
import { listenOnSocket } from './unix-socket.ts';

export interface AdminServerOptions {
  /** The path of the Unix socket. */
  socket: string;
  /** The port, and who may use it; without it there is only the socket. */
  port?: { address: ListenAddress } & PortGuard;
  /** The folder of the dashboard. */
  dashboard: string;
  daemon: DaemonFacts;
  log: Log;
}

export interface AdminServer {
  /** The address of the port, such as `http://127.0.0.1:8686`; undefined while it does not listen there. */
  readonly url: string | undefined;
  /**
   * Listens on the socket and on the port, as far as it does not yet.
   * @param ifFree whether to leave an address that another process has, and to take it once that has ended
   * @throws CdcError if it cannot listen, such as on the socket of another running process
   */
  listen(options?: { ifFree: boolean }): Promise<void>;
  /** Leaves its addresses to another process of this host, and takes them again if they are free after a while. */
  stepAside(): Promise<void>;
  close(): Promise<void>;
}

const BODY_MAX_BYTES = 4 * 1024 * 1024;
/** Of the socket, which only this account can use. */
const SOCKET_CONNECTIONS_MAX = 64;
/** How long a client can take to send the headers of a call, and the whole of it. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const TIMEOUT_CHECK_MS = 1_000;
/** How long nothing can be sent or read on a connection of the port. */
const IDLE_TIMEOUT_MS = 30_000;

/** An admin server that listens. @throws CdcError if it cannot */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createAdminServer(options);
  try {
    await server.listen();
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/**
 * The daemon's HTTP server, on its Unix socket and on a port if one is configured. It outlives the pipeline: calls that
 * need one are answered with 503 while none runs.
 */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { daemon, log, port } = options;
  const reader = new StatusReader(daemon);
  const history = new HistoryRecorder(daemon.totals, reader, (error) => {
    log.warn({ why: errorCode(error) }, 'the history has a gap');
  });
  let metrics: Promise<Metrics> | undefined;
  const context: CallContext = {
    reader,
    history,
    metrics: () => (metrics ??= loadMetrics(reader)),
    pipeline: () => runningPipeline(daemon),
  };
  const dashboard = new DashboardFiles(options.dashboard);
  const create = (guard?: PortGuard): Server =>
    createHttpServer(log, (request, response) => respond(request, response, { context, dashboard, guard, log }));

  let url: string | undefined;
  const socketListener: Listener = {
    isGone: () => !existsSync(options.socket),
    async open() {
      const server = create();
      // Only this account can use it.
      server.maxConnections = SOCKET_CONNECTIONS_MAX;
      await listenOnSocket(server, options.socket);
      return server;
    },
  };
  const portListener = (guard: NonNullable<typeof port>): Listener => ({
    isGone: () => false,
    async open() {
      const server = create(guard);
      url = `http://${await listenOnPort(server, guard.address)}`;
      log.info({ url }, 'the dashboard, /metrics and /api/status are served');
      return server;
    },
  });
  const listeners = new Listeners([socketListener, ...(port === undefined ? [] : [portListener(port)])]);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    history.close();
    reader.close();
    await listeners.close();
  };
  return {
    get url() {
      return url;
    },
    listen: (how = { ifFree: false }) => listeners.listen(how),
    stepAside: () => listeners.stepAside(),
    close: () => (closed ??= close()),
  };
}

function createHttpServer(
  log: Log,
  respond: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Server {
  const limits = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
  const server = createServer(limits, (request, response) => void respond(request, response));
  // A client that does not read.
  server.timeout = IDLE_TIMEOUT_MS;
  // Such as no file descriptor for another connection: the daemon continues without this call.
  server.on('listening', () => {
    server.on('error', ({ message }) => log.warn({ why: message }, 'a call to the admin server failed'));
  });
  return server;
}

async function loadMetrics(reader: StatusReader): Promise<Metrics> {
  const { Metrics } = await import('./metrics.ts');
  return new Metrics(() => reader.read());
}

function runningPipeline({ pipeline, whyNoPipeline, lease }: DaemonFacts): StatusSource {
  const running = pipeline();
  if (running !== undefined) return running;
  const { leads, holder } = lease();
  if (!leads && holder !== null) {
    throw new CallError(503, `this daemon stands by: ${holderText(holder)} leads`, {
      exitCode: 1,
      hint: 'run the command beside that process, which has the pipeline',
    });
  }
  throw new CallError(503, 'the daemon runs, and its pipeline does not', {
    exitCode: 1,
    why: whyNoPipeline()?.message ?? 'it is starting',
    hint: 'try again; the log of the daemon says what it waits for',
  });
}

/** Calls that share a status share its text. */
const JSON_TEXTS = new WeakMap<object, Buffer>();

function jsonText(body: unknown): Buffer {
  const key = typeof body === 'object' && body !== null ? body : {};
  let text = JSON_TEXTS.get(key);
  if (text === undefined) {
    text = Buffer.from(`${JSON.stringify(body)}\n`);
    JSON_TEXTS.set(key, text);
  }
  return text;
}

interface Serving {
  context: CallContext;
  dashboard: DashboardFiles;
  /** Undefined on the socket, whose file mode is the guard. */
  guard: PortGuard | undefined;
  log: Log;
}

async function respond(request: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  const reply = await answer(request, serving).catch((error) => replyTo(error, serving.log));
  if (request.errored || response.destroyed) return;
  const { body } = reply;
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
  const bytes = isRaw ? body : jsonText(body);
  response.writeHead(reply.status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(bytes),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    // Nobody reads a body that no endpoint takes.
    ...(!request.complete && { Connection: 'close' }),
    ...reply.headers,
  });
  response.end(bytes);
}

async function answer(request: IncomingMessage, { context, dashboard, guard }: Serving): Promise<AdminReply> {
  if (guard !== undefined) assertAllowed(request, guard);
  const { pathname, searchParams } = parseTarget(request.url);
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
  const isPage = pathname === '/' || pathname.startsWith('/assets/');
  if (method === 'GET' && isPage) return dashboard.reply(pathname);
  const endpoint = findEndpoint(method, pathname);
  const body = endpoint.method === 'POST' ? await readJson(request) : undefined;
  return endpoint.handle(context, body, searchParams);
}

/** @throws CallError if it is no path: a proxy's request, for example */
function parseTarget(target = '/'): URL {
  const base = 'http://localhost';
  const isPath = target.startsWith('/') && !target.startsWith('//');
  if (!isPath || !URL.canParse(target, base)) throw new CallError(400, 'the request names no path');
  return new URL(target, base);
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
  const why = errorCode(error);
  log.warn({ why }, 'a call to the admin server failed');
  return { status: 500, body: errorBody('the call failed inside the daemon', { why }) };
}

/** Without its message, which can hold anything, a value of a row too. */
function errorCode(error: unknown): string {
  const { name, code } = error as { name?: string; code?: string };
  return String(code ?? name);
}
