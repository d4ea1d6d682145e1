import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Answer {
  status: number;
  type?: string;
  body?: string;
}

/** One request that reached the front. */
interface FrontCall {
  operation: string;
  keyId: string | undefined;
  status: number;
}

/**
 * What AWS checks and a local Firehose does not: the time in a signature, against the clock of this server, and the
 * access key. What passes reaches the local Firehose.
 */
export class AwsFront {
  /** The time of this server minus that of the machine. */
  clockOffsetMs = 0;
  /** The access keys that AWS knows; undefined for all. */
  keys: ReadonlySet<string> | undefined;
  /** Answers a request itself. */
  answer: (operation: string) => Answer | undefined | Promise<Answer> = () => undefined;
  readonly calls: FrontCall[] = [];
  readonly #target: string;
  readonly #server: Server;

  /** @param tls the certificate of AWS's host names; without it the front speaks HTTP */
  constructor(target: string, tls?: { cert: Buffer; key: Buffer }) {
    this.#target = target;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => this.handle(request.headers, Buffer.concat(chunks), response));
    };
    this.#server = tls ? createHttpsServer(tls, listener) : createServer(listener);
  }

  async handle(headers: IncomingHttpHeaders, body: Buffer, response: ServerResponse): Promise<void> {
    const operation = String(headers['x-amz-target']).replace(/^.*\./, '');
    const keyId = /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1];
    const answer =
      (await this.answer(operation)) ??
      this.#signatureProblem(String(headers['x-amz-date']), keyId) ??
      (await this.#forward(headers, body));
    this.calls.push({ operation, keyId, status: answer.status });
    const date = new Date(Date.now() + this.clockOffsetMs).toUTCString();
    response.writeHead(answer.status, { 'content-type': answer.type ?? 'application/x-amz-json-1.1', date });
    response.end(answer.body);
  }

  #signatureProblem(signed: string, keyId = ''): Answer | undefined {
    const iso = signed.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
    const now = Date.now() + this.clockOffsetMs;
    const [stamp, limit] = [now, now - 300_000].map((at) => new Date(at).toISOString().replace(/[-:]|\.\d+/g, ''));
    const behind = now - Date.parse(iso);
    if (!(Math.abs(behind) <= 300_000)) {
      const text = `is now ${behind > 0 ? 'earlier' : 'later'} than ${limit} (${stamp} ${behind > 0 ? '-' : '+'} 5 min.)`;
      const message = `Signature ${behind > 0 ? 'expired' : 'not yet current'}: ${signed} ${text}`;
      return awsAnswer('InvalidSignatureException', message);
    }
    if (this.keys === undefined || this.keys.has(keyId)) return undefined;
    return awsAnswer('UnrecognizedClientException', 'The security token included in the request is invalid.');
  }

  async #forward(headers: IncomingHttpHeaders, body: Buffer): Promise<Answer> {
    const names = ['content-type', 'x-amz-target', 'x-amz-date', 'authorization'] as const;
    const passed = Object.fromEntries(names.map((name) => [name, String(headers[name])]));
    const response = await fetch(this.#target, { method: 'POST', headers: passed, body: new Uint8Array(body) });
    return { status: response.status, body: await response.text() };
  }

  /** Another address than those which cdc takes for a local Firehose, so that it looks for credentials. */
  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return `http://0.0.0.0:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

export const awsAnswer = (type: string, message: string, status = 400): Answer => ({
  status,
  body: JSON.stringify({ __type: type, message }),
});
