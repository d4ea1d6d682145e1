import { readFileSync } from 'node:fs';
import { CdcError } from '../runtime/error.ts';

const PACKAGE = '@duckdb/node-api';

/**
 * DuckDB, which is an optional package: what streams and what verifies works without it.
 * @throws CdcError that says how to install it
 */
export async function loadDuckdb(): Promise<typeof import('@duckdb/node-api')> {
  try {
    return await import('@duckdb/node-api');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new CdcError(`DuckDB ${isMissing ? 'is not installed' : 'cannot be loaded'}`, {
      why: isMissing ? 'it folds the lake, and is an optional package' : message.split('\n', 1)[0]!,
      hint: `run npm install ${PACKAGE}@${wantedVersion()} where cdc is installed`,
      cause: error,
    });
  }
}

/** The version in package.json, which is one folder above both src/ and dist/. */
const wantedVersion = (): string =>
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).optionalDependencies[PACKAGE];
