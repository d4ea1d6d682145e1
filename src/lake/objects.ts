import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '../runtime/error.ts';

export interface LandedObject {
  path: string;
  bytes: number;
}

/**
 * The delivered objects under `<lake>/<prefix>/` in name order. Names that begin with a dot are still being written.
 */
export async function listObjects(lake: string, prefix: string): Promise<LandedObject[]> {
  const root = join(lake, prefix);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw new CdcError(`cannot read the lake ${root}`, { why: error.message, cause: error });
    },
  );
  const paths = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(paths.map(async (path) => ({ path, bytes: (await stat(path)).size })));
}
