import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve } from 'node:path';
import type { DaemonStatus, History } from '../../../src/admin/daemon-status.ts';

/** The built page over answers of a test, for states that a real daemon cannot easily be brought to. */
export interface PageServer {
  url: string;
  /** What it answers from now on. A status is sent with the time of now. */
  answer: Answer;
  /** The most requests of the API that were open at the same time, and how many there were. */
  requests: { open: number; most: number; total: number };
  close(): Promise<void>;
}

export interface Answer {
  status: DaemonStatus;
  history: History;
  /** How long each answer of the API takes; 0 by default. */
  delayMs?: number;
}

const DIST = resolve('dist/dashboard');
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
/** The policy of the daemon. */
const POLICY = [
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
].join('; ');

export async function startPageServer(answer: Answer): Promise<PageServer> {
  const page: Pick<PageServer, 'answer' | 'requests'> = { answer, requests: { open: 0, most: 0, total: 0 } };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const { status, history, delayMs = 0 } = page.answer;
    if (!pathname.startsWith('/api/')) return void sendFile(response, pathname === '/' ? '/index.html' : pathname);
    const { requests } = page;
    requests.open += 1;
    requests.total += 1;
    requests.most = Math.max(requests.most, requests.open);
    response.once('close', () => (requests.open -= 1));
    const body = pathname === '/api/status' ? status : after(history, Number(searchParams.get('since') ?? 0));
    setTimeout(() => sendJson(response, { ...body, ...('name' in body && { at: new Date().toISOString() }) }), delayMs);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return Object.assign(page, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  });
}

function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(body));
}

async function sendFile(response: ServerResponse, path: string): Promise<void> {
  const file = join(DIST, path);
  const bytes = file.startsWith(DIST) ? await readFile(file).catch(() => undefined) : undefined;
  if (bytes === undefined) {
    response.writeHead(404).end();
    return;
  }
  const type = `${TYPES[extname(file)]}; charset=utf-8`;
  response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': POLICY });
  response.end(bytes);
}

function after(history: History, since: number): History {
  const from = history.at.findIndex((at) => at > since);
  const cut = <T>(values: T[]): T[] => (from < 0 ? [] : values.slice(from));
  return {
    intervalSeconds: history.intervalSeconds,
    at: cut(history.at),
    lagSeconds: cut(history.lagSeconds),
    eventsPerSecond: cut(history.eventsPerSecond),
    bytesPerSecond: cut(history.bytesPerSecond),
    retriesPerSecond: cut(history.retriesPerSecond),
    bufferedBytes: cut(history.bufferedBytes),
    rssBytes: cut(history.rssBytes),
  };
}
