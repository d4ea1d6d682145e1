import { request } from 'node:http';
import type { DaemonStatus } from '../../../src/admin/daemon-status.ts';
import { type Cdc, Fixture, until } from '../pipeline-fixture.ts';

export const TOKEN = 'a-token-of-the-test';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A daemon with a port. */
export class AdminDaemon extends Fixture {
  daemon: Cdc | undefined;
  url0 = '';

  async start(extra = '', admin = ''): Promise<void> {
    const { endpoint } = this.firehose ?? (await this.startFirehose());
    this.configure(endpoint, `admin: { listen: "127.0.0.1:0", token: ${TOKEN}${admin} }\n${extra}`);
    this.daemon = await this.run();
    this.url0 = addressOf(this.daemon);
  }

  /** A request as any HTTP client makes it. */
  call(path: string, options: CallOptions = {}): Promise<Answer> {
    return httpCall(this.url0, path, options);
  }

  async status(): Promise<DaemonStatus> {
    const { status, text } = await this.call('/api/status');
    if (status !== 200) throw new Error(`status ${status}: ${text}`);
    return JSON.parse(text);
  }

  /** The values of a metric by its labels, such as `{stream="changes"}`. */
  async metric(name: string): Promise<Map<string, number>> {
    return readMetric((await this.call('/metrics')).text, name);
  }

  async stop(): Promise<void> {
    this.daemon?.child.kill();
    await this.daemon?.ended;
  }

  override async remove(): Promise<void> {
    await this.stop();
    await super.remove();
  }
}

/** The address that a daemon has logged. */
export function addressOf(daemon: Cdc): string {
  const url = /"url":"(http:[^"]+)"/.exec(daemon.stderr())?.[1];
  if (url === undefined) throw new Error(`no address in the log: ${daemon.stderr()}`);
  return url;
}

export interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

export function httpCall(
  base: string,
  path: string,
  { method = 'GET', headers = {}, body }: CallOptions = {},
): Promise<Answer> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export function readMetric(text: string, name: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      const value = line.slice(at + 1);
      return [line.slice(name.length, at), value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value)];
    }),
  );
}

/** How long it took until the condition held, in milliseconds. */
export async function timeUntil(condition: () => boolean | Promise<boolean>): Promise<number> {
  const startedAt = performance.now();
  await until(condition);
  return performance.now() - startedAt;
}
