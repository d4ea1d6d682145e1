import { parseLakeLocation } from '../config/lake-location.ts';
import type { Config } from '../config/schema.ts';
import { CdcError } from '../runtime/error.ts';
import type { LakeStore } from './object-store.ts';

export interface LakeOptions {
  /** The region of the bucket, if it is known; otherwise that of the environment, or the one that S3 names. */
  region?: string | undefined;
}

/**
 * Opens a lake. The libraries of AWS are loaded only for `s3://`.
 * @param location an absolute folder, or `s3://bucket/prefix`
 * @throws CdcError with exit code 1 if the folder is not there, with 2 if the location has another form
 */
export async function openLake(location: string, { region }: LakeOptions = {}): Promise<LakeStore> {
  const lake = parseLakeLocation(location);
  if (lake.kind === 'folder') {
    const { openFolder } = await import('./folder-store.ts');
    return openFolder(lake.path);
  }
  const { S3Store } = await import('./s3-store.ts');
  return S3Store.open(lake.bucket, lake.prefix, region);
}

/**
 * Opens the lake that the configuration names.
 * @throws CdcError with exit code 2 if it names none; otherwise as `openLake`
 */
export async function openConfiguredLake({ lake, firehose }: Pick<Config, 'lake' | 'firehose'>): Promise<LakeStore> {
  if (lake !== undefined) return openLake(lake, { region: firehose?.region });
  throw new CdcError('the configuration names no lake', {
    exitCode: 2,
    why: 'cdc does not know where the objects of its stream are',
    hint: 'add lake: s3://bucket/prefix, or a folder, to the configuration',
  });
}
