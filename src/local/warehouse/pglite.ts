import { readFileSync } from 'node:fs';
import { CdcError } from '../../runtime/error.ts';

const PACKAGE = '@electric-sql/pglite';

/**
 * PGlite, which is an optional package: only the embedded warehouse needs it.
 * @throws CdcError that says how to install it
 */
export async function loadPglite(): Promise<typeof import('@electric-sql/pglite')> {
  try {
    return await import('@electric-sql/pglite');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new CdcError(`PGlite ${isMissing ? 'is not installed' : 'cannot be loaded'}`, {
      why: isMissing ? 'it is the embedded warehouse, and is an optional package' : message.split('\n', 1)[0]!,
      hint: `run npm install ${PACKAGE}@${pinnedVersion()} where cdc is installed`,
      cause: error,
    });
  }
}

/** The version in package.json, which is two folders above both src/local and dist/local. */
const pinnedVersion = (): string =>
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).optionalDependencies[PACKAGE];
