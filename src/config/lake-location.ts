import { CdcError } from '../runtime/error.ts';

/** Where a lake is: a folder on this machine, or the objects of a bucket whose keys begin with a prefix. */
export type LakeLocation = { kind: 'folder'; path: string } | { kind: 's3'; bucket: string; prefix: string };

const FORMS_HINT = 'use a folder, or s3://bucket/prefix';

/**
 * Reads a folder or `s3://bucket[/prefix]`. The prefix is that of S3: every key that begins with it belongs to the
 * lake.
 * @throws CdcError with exit code 2
 */
export function parseLakeLocation(text: string): LakeLocation {
  if (text.trim() === '') throw invalidLake('is empty', FORMS_HINT);
  const s3 = /^s3:\/\/([^/]*)\/?(.*)$/s.exec(text);
  if (s3 !== null) {
    const [, bucket = '', prefix = ''] = s3;
    if (bucket === '') throw invalidLake('names no bucket', 'use s3://bucket/prefix');
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) {
      const hint = 'use s3://bucket/prefix, with the letters, digits, dots and dashes of a bucket name';
      throw invalidLake('names a bucket that S3 cannot have', hint);
    }
    return { kind: 's3', bucket, prefix };
  }
  if (/^s3:/i.test(text) || /^arn:/.test(text))
    throw invalidLake('is in S3, but in another form', 'use s3://bucket/prefix');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):\/\//.exec(text)?.[1];
  if (scheme !== undefined) throw invalidLake(`begins with ${scheme}://`, FORMS_HINT);
  return { kind: 'folder', path: text };
}

function invalidLake(what: string, hint: string): CdcError {
  return new CdcError(`the lake ${what}`, { exitCode: 2, hint });
}
