import { createGunzip } from 'node:zlib';

/** Compressed bytes that zlib gets at once. They can become a thousand times as many. */
const INPUT_BYTES = 64 * 1024;
const OUTPUT_BYTES = 1024 * 1024;

/** Bytes that are not gzip, or not all of it. */
export class GzipDamage extends Error {
  override readonly name = 'GzipDamage';
}

/**
 * The decompressed bytes of gzip members, one after the other. zlib works on threads of its own.
 * @throws GzipDamage after all bytes before the damage, up to one call of zlib (64 KiB of compressed bytes)
 */
export async function* gunzipped(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: OUTPUT_BYTES });
  let output: Buffer[] = [];
  let hasEnded = false;
  let fed = 0;
  let wake = (): void => {};
  gunzip.on('data', (bytes: Buffer) => output.push(bytes));
  gunzip.on('end', () => {
    hasEnded = true;
    wake();
  });
  gunzip.on('error', () => wake());
  /** What zlib has made when it has done its work, has failed, or is at the end. */
  const step = async (work: (done: () => void) => void): Promise<Buffer[]> => {
    await new Promise<void>((resolve) => {
      wake = resolve;
      work(resolve);
    });
    const made = output;
    output = [];
    return made;
  };
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; at += INPUT_BYTES) {
        const input = chunk.subarray(at, at + INPUT_BYTES);
        fed += input.length;
        yield* await step((done) => gunzip.write(input, done));
        if (gunzip.errored) throw damage(gunzip.errored);
        // It ends at a byte that begins no member, such as zero.
        if (hasEnded) throw new GzipDamage(GARBAGE);
      }
    }
    // Only now: with the end in the same call, zlib would keep what it has before a truncation.
    yield* await step(() => gunzip.end());
    if (gunzip.errored) throw damage(gunzip.errored);
    if (gunzip.bytesWritten < fed) throw new GzipDamage(GARBAGE);
  } finally {
    gunzip.destroy();
  }
}

const GARBAGE = 'bytes follow its gzip data that are not gzip';

function damage({ code, message }: NodeJS.ErrnoException): GzipDamage {
  if (code === 'Z_BUF_ERROR') return new GzipDamage('its gzip data ends early');
  return new GzipDamage(message === 'incorrect header check' ? GARBAGE : `its gzip data is damaged (${message})`);
}
