import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hostArchitecture } from './layout.ts';
import { runProcess } from './subprocess.ts';

const MYSQL_VERSION = '9.7.2';

/**
 * The URLs of Oracle's generic Linux build. The current release is in Downloads, older releases are in the archives.
 */
export function downloadUrls(architecture = hostArchitecture()): string[] {
  const series = MYSQL_VERSION.replace(/\.\d+$/, '');
  // x86_64 has an archive without debug builds and tests.
  const build = architecture.debian === 'amd64' ? 'x86_64-minimal' : 'aarch64';
  const file = `mysql-${MYSQL_VERSION}-linux-glibc2.28-${build}.tar.xz`;
  return ['Downloads/MySQL', 'archives/mysql'].map((path) => `https://cdn.mysql.com/${path}-${series}/${file}`);
}

export async function unpackOfficial(
  urls: string[],
  root: string,
  scratch: string,
  options: { report: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  const archive = join(scratch, 'mysql.tar.xz');
  options.report(`downloading MySQL ${MYSQL_VERSION} from its publisher, once`);
  await download(urls, archive, options.signal);
  const unwanted = ['*/mysql-test', '*/docs', '*/man', '*/lib/mysqlrouter', '*-debug', '*/lib/plugin/debug', '*.a'];
  await runProcess(
    'tar',
    ['--extract', '--xz', '--file', archive, '--directory', root, '--strip-components=1'].concat(
      unwanted.map((pattern) => `--exclude=${pattern}`),
    ),
    { signal: options.signal },
  );
}

async function download(urls: string[], file: string, signal: AbortSignal | undefined): Promise<void> {
  const failures: string[] = [];
  for (const url of urls) {
    try {
      const response = await fetch(url, signal ? { signal } : {});
      if (response.ok && response.body) {
        return await pipeline(Readable.fromWeb(response.body), createWriteStream(file), signal ? { signal } : {});
      }
      failures.push(`${url} answers ${response.status}`);
    } catch (error) {
      signal?.throwIfAborted();
      const { message, cause } = error as Error;
      failures.push(`${url}: ${cause instanceof Error ? cause.message || (cause as { code?: string }).code : message}`);
    }
  }
  throw new Error(failures.join('; '));
}
