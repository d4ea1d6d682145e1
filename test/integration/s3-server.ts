import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

/** The only key that s3rver knows. */
export const S3_ENVIRONMENT = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };

const BUCKET = 'shop-lake';

/** One request that reached the front. */
interface S3Call {
  list: boolean;
  key: string;
  range: string | undefined;
  accessKey: string | undefined;
  /** The region that the request was signed for. */
  region: string | undefined;
}

/** An answer that S3 gives and s3rver does not. */
export interface S3Answer {
  status: number;
  headers?: Record<string, string>;
  body: string;
}

/** An s3rver in a process of its own, behind a front that answers some requests itself or cuts their answers. */
export class S3Server {
  readonly bucket = BUCKET;
  readonly calls: S3Call[] = [];
  /** Answers a request itself. */
  answer: (call: S3Call) => S3Answer | undefined = () => undefined;
  /** After how many bytes the body of an answer is cut. */
  cutAfter: (call: S3Call) => number | undefined = () => undefined;
  /** What happens there: the connection breaks, nothing more comes, or the body ends as if it were whole. */
  cut: 'broken' | 'silent' | 'short' = 'broken';
  readonly #directory = mkdtempSync(join(tmpdir(), 'cdc-s3-'));
  readonly #front = createServer((asked, answer) => this.#pass(asked, answer));
  #end = async (): Promise<void> => {};
  #port = 0;
  #writer: S3Client | undefined;

  async start(): Promise<void> {
    // Its page tokens are encrypted with DES, which OpenSSL 3 has among its legacy ciphers.
    const child = spawn(
      process.execPath,
      [
        '--openssl-legacy-provider',
        resolve('node_modules/s3rver/bin/s3rver.js'),
        ...['--directory', this.#directory, '--address', '127.0.0.1', '--port', '0', '--silent'],
        ...['--configure-bucket', BUCKET],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.#end = async () => {
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    };
    this.#port = await new Promise<number>((done, fail) => {
      let text = '';
      child.once('close', (code) => fail(new Error(`s3rver has ended with ${code}: ${text}`)));
      child.stdout.on('data', (data) => {
        text += data;
        const [, port] = /listening on \S+:(\d+)/.exec(text) ?? [];
        if (port !== undefined) done(Number(port));
      });
    });
    await new Promise<void>((done) => this.#front.listen(0, '127.0.0.1', done));
    this.#writer = new S3Client({
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${this.#port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#front.address() as AddressInfo).port}`;
  }

  /** As Firehose does. */
  async put(Key: string, Body: Buffer | string): Promise<void> {
    await this.#writer?.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: Buffer.from(Body) }));
  }

  /** Many objects at once, in the files where s3rver has them. */
  fill(prefix: string, names: readonly string[]): void {
    const folder = join(this.#directory, BUCKET, prefix);
    mkdirSync(folder, { recursive: true });
    for (const name of names) writeFileSync(join(folder, `${name}._S3rver_object`), name);
  }

  async remove(Key: string): Promise<void> {
    await this.#writer?.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
  }

  /** As it was at the start, apart from the objects. */
  reset(): void {
    this.answer = () => undefined;
    this.cutAfter = () => undefined;
    this.cut = 'broken';
    this.calls.length = 0;
  }

  async stop(): Promise<void> {
    this.#writer?.destroy();
    this.#front.closeAllConnections();
    this.#front.close();
    await this.#end();
    rmSync(this.#directory, { recursive: true });
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const url = new URL(asked.url as string, 'http://s3');
    const [, accessKey, region] = /Credential=([^/]+)\/\d+\/([^/]+)/.exec(asked.headers.authorization ?? '') ?? [];
    const call: S3Call = {
      list: url.searchParams.has('list-type'),
      key: decodeURIComponent(url.pathname).replace(`/${BUCKET}/`, ''),
      range: asked.headers.range,
      accessKey,
      region,
    };
    this.calls.push(call);
    const own = this.answer(call);
    if (own !== undefined) {
      answer.writeHead(own.status, { 'content-type': 'application/xml', ...own.headers }).end(own.body);
      return;
    }
    const to = { host: '127.0.0.1', port: this.#port, path: asked.url, method: asked.method, headers: asked.headers };
    const passed = request(to, (found) => {
      const headers = { ...found.headers };
      if (this.cut === 'short') delete headers['content-length'];
      answer.writeHead(found.statusCode as number, headers);
      let left = this.cutAfter(call) ?? Number.POSITIVE_INFINITY;
      found.on('data', (bytes: Buffer) => {
        answer.write(bytes.subarray(0, Math.max(0, left)), () => {
          if (left <= 0 && this.cut === 'broken') answer.destroy();
        });
        left -= bytes.length;
      });
      found.on('end', () => (left > 0 || this.cut === 'short') && answer.end());
    });
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  }
}

/** An error as S3 writes it. */
export const s3Answer = (status: number, code: string, extra = '', headers: Record<string, string> = {}): S3Answer => ({
  status,
  headers,
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>About ${code}</Message>${extra}</Error>`,
});
