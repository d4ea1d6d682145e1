import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hostArchitecture } from './layout.ts';
import { runProcess } from './subprocess.ts';

const version = '9.7.2';

/** Where Oracle publishes the generic Linux build: the current release under Downloads, an older one in the archives. */
export function downloadUrls(architecture = hostArchitecture()): string[] {
  const series = version.replace(/\.\d+$/, '');
  // Without debug builds and tests where such an archive is made.
  const build = architecture.debian === 'amd64' ? 'x86_64-minimal' : 'aarch64';
  const file = `mysql-${version}-linux-glibc2.28-${build}.tar.xz`;
  return ['Downloads/MySQL', 'archives/mysql'].map((path) => `https://cdn.mysql.com/${path}-${series}/${file}`);
}

export async function unpackOfficial(
  addresses: string[],
  root: string,
  scratch: string,
  options: { report: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  const archive = join(scratch, 'mysql.tar.xz');
  options.report(`downloading MySQL ${version} from its publisher, once`);
  await download(addresses, archive, options.signal);
  const unwanted = ['*/mysql-test', '*/docs', '*/man', '*/lib/mysqlrouter', '*-debug', '*/lib/plugin/debug', '*.a'];
  await runProcess(
    'tar',
    ['--extract', '--xz', '--file', archive, '--directory', root, '--strip-components=1'].concat(
      unwanted.map((pattern) => `--exclude=${pattern}`),
    ),
    { signal: options.signal },
  );
}

async function download(addresses: string[], file: string, signal: AbortSignal | undefined): Promise<void> {
  const failures: string[] = [];
  for (const address of addresses) {
    try {
      const response = await fetch(address, signal ? { signal } : {});
      if (response.ok && response.body) {
        return await pipeline(Readable.fromWeb(response.body), createWriteStream(file), signal ? { signal } : {});
      }
      failures.push(`${address} answers ${response.status}`);
    } catch (error) {
      signal?.throwIfAborted();
      const { message, cause } = error as Error;
      failures.push(
        `${address}: ${cause instanceof Error ? cause.message || (cause as { code?: string }).code : message}`,
      );
    }
  }
  throw new Error(failures.join('; '));
}
