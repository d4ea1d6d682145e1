import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { type AdminReply, CallError } from './call-error.ts';

/** Nothing from elsewhere, and no script that the build did not make. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/** The files of the dashboard as its build made them: `index.html`, and those of `assets`, named by their hash. */
export class DashboardFiles {
  readonly #directory: string;
  #files: Promise<Map<string, Buffer>> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws CallError if there is no such file, or the dashboard was not built */
  async reply(path: string): Promise<AdminReply> {
    this.#files ??= readFiles(this.#directory);
    const files = await this.#files;
    if (files.size === 0) {
      this.#files = undefined;
      throw new CallError(404, 'the dashboard was not built', { hint: 'npm run build makes it' });
    }
    const name = path === '/' ? '/index.html' : path;
    const body = files.get(name);
    if (body === undefined) throw new CallError(404, 'there is no such path', { hint: 'the dashboard is at /' });
    return {
      status: 200,
      body,
      headers: {
        'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
        'Content-Security-Policy': CONTENT_SECURITY_POLICY,
        // A name with a hash is never used for other content.
        'Cache-Control': name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      },
    };
  }
}

async function readFiles(directory: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const add = async (name: string): Promise<void> => {
    files.set(`/${name}`, await readFile(join(directory, name)));
  };
  try {
    await add('index.html');
    for (const name of await readdir(join(directory, 'assets'))) await add(`assets/${name}`);
  } catch {
    return new Map();
  }
  return files;
}
