import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  type _Object as ListedObject,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { AwsFailure } from '../aws/aws-failure.ts';
import { abortable, onAbort, sleepUnlessAborted } from '../runtime/abort.ts';
import { fullJitterBackoff } from '../runtime/backoff.ts';
import { CdcError } from '../runtime/error.ts';
import { type LakeObject, type LakeStore, LostObject } from './object-store.ts';
import { s3Client, s3Endpoint } from './s3-client.ts';
import { isTransient, lossOf, notS3, otherRegion, rejectsCredentials, type S3Request, s3Error } from './s3-error.ts';

/** Attempts without any progress before a failure ends the reading. */
const ATTEMPTS_MAX = 6;
const RETRY_DELAYS = { baseMs: 200, maxMs: 5_000 };
/** A request without an answer, or a body without another byte, is given up after this time. */
const SILENCE_MS = 30_000;

/** The lake in a bucket. */
export class S3Store implements LakeStore {
  readonly location: string;
  readonly #bucket: string;
  readonly #prefix: string;
  /** The last one is used. The others had the wrong region. */
  readonly #clients: S3Client[];

  static async open(bucket: string, prefix: string, region: string | undefined): Promise<S3Store> {
    return new S3Store(bucket, prefix, await s3Client(region));
  }

  private constructor(bucket: string, prefix: string, client: S3Client) {
    this.location = `s3://${bucket}/${prefix}`;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#clients = [client];
  }

  async list(signal: AbortSignal = NEVER): Promise<LakeObject[]> {
    const objects: LakeObject[] = [];
    for (let token: string | undefined; ; ) {
      const page = await this.#listPage(token, signal);
      // Something else can answer too, and its answer looks like an empty lake.
      if (page.Name === undefined || page.IsTruncated === undefined) throw notS3(s3Endpoint());
      for (const found of page.Contents ?? []) objects.push(lakeObject(found, page.EncodingType === 'url'));
      const next = page.NextContinuationToken;
      if (!page.IsTruncated) return objects.sort((a, b) => (a.name < b.name ? -1 : 1));
      // The rest would be missing without a word.
      if (!next || next === token)
        throw new CdcError(`S3 does not list ${this.location} to its end`, { kind: 'retry' });
      token = next;
    }
  }

  #listPage(token: string | undefined, signal: AbortSignal): Promise<ListObjectsV2CommandOutput> {
    const command = new ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: this.#prefix,
      // XML cannot hold every name.
      EncodingType: 'url',
      ...(token !== undefined && { ContinuationToken: token }),
    });
    return this.#send('s3:ListBucket', (client, limit) => client.send(command, { abortSignal: limit }), { signal });
  }

  async read(object: LakeObject, signal: AbortSignal = NEVER): Promise<Readable> {
    const first = await this.#get(object, 0, signal);
    const bytes = Readable.from(this.#bytesOf(object, first, signal), { highWaterMark: 4 });
    return bytes.once('close', () => void (first.Body as Readable).destroy());
  }

  async #get(object: LakeObject, from: number, signal: AbortSignal): Promise<GetObjectCommandOutput> {
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: object.name,
      IfMatch: object.version,
      ...(from > 0 && { Range: `bytes=${from}-` }),
    });
    const answer = await this.#send('s3:GetObject', (client, limit) => client.send(command, { abortSignal: limit }), {
      signal,
      object: object.name,
    });
    // Not every S3 knows IfMatch.
    if (answer.ETag === object.version) return answer;
    (answer.Body as Readable).destroy();
    throw new LostObject('changed');
  }

  /** The bytes of an object. After a cut it continues where the last byte was. */
  async *#bytesOf(object: LakeObject, first: GetObjectCommandOutput, signal: AbortSignal): AsyncGenerator<Buffer> {
    let answer = first;
    let at = 0;
    for (let attempt = 0; ; ) {
      const before = at;
      let failure: unknown;
      try {
        // A server that does not know ranges begins again.
        let skipped = answer.ContentRange === undefined ? at : 0;
        for await (const chunk of untilSilent(answer.Body as Readable, signal)) {
          const bytes = chunk.subarray(Math.min(skipped, chunk.length));
          skipped -= chunk.length - bytes.length;
          at += bytes.length;
          if (at > object.bytes) throw new LostObject('changed');
          if (bytes.length > 0) yield bytes;
        }
        if (at === object.bytes) return;
      } catch (thrown) {
        signal.throwIfAborted();
        if (thrown instanceof LostObject) throw thrown;
        failure = thrown;
      }
      attempt = at > before ? 1 : attempt + 1;
      if (attempt === ATTEMPTS_MAX) {
        // Without a failure, the server has fewer bytes than it listed.
        throw failure === undefined
          ? new LostObject('changed')
          : await this.#error('s3:GetObject', failure as AwsFailure, object.name);
      }
      await sleepUnlessAborted(fullJitterBackoff(attempt - 1, RETRY_DELAYS), signal);
      answer = await this.#get(object, at, signal);
    }
  }

  /** Sends a request until it has an answer that another attempt does not change. */
  async #send<T>(
    action: S3Request['action'],
    call: (client: S3Client, signal: AbortSignal) => Promise<T>,
    { signal, object }: { signal: AbortSignal; object?: string },
  ): Promise<T> {
    let corrections = 2;
    for (let attempt = 1; ; ) {
      const client = this.#client;
      try {
        return await answered((limit) => call(client, limit), signal);
      } catch (thrown) {
        signal.throwIfAborted();
        const failure = thrown as AwsFailure;
        const lost = lossOf(failure);
        if (lost !== undefined) throw lost;
        if (corrections-- > 0 && (await this.#correct(failure, client))) continue;
        if (!isTransient(failure) || attempt === ATTEMPTS_MAX) throw await this.#error(action, failure, object);
        await sleepUnlessAborted(fullJitterBackoff(attempt - 1, RETRY_DELAYS), signal);
        attempt++;
      }
    }
  }

  get #client(): S3Client {
    return this.#clients.at(-1) as S3Client;
  }

  /** Whether the next request differs: it goes to the region of the bucket, or has other credentials. */
  async #correct(failure: AwsFailure, client: S3Client): Promise<boolean> {
    const region = otherRegion(failure, await client.config.region());
    if (region !== undefined) {
      const next = await s3Client(region);
      // Another request has been redirected at the same time.
      if (client === this.#client) this.#clients.push(next);
      else next.destroy();
      return true;
    }
    if (!rejectsCredentials(failure)) return false;
    const used = await client.config.credentials();
    const renewed = await client.config.credentials({ forceRefresh: true });
    return renewed.accessKeyId !== used.accessKeyId || renewed.sessionToken !== used.sessionToken;
  }

  async #error(action: S3Request['action'], failure: AwsFailure, object?: string): Promise<CdcError> {
    const region = await this.#client.config.region();
    const place = { bucket: this.#bucket, prefix: this.#prefix, region, endpoint: s3Endpoint() };
    return s3Error(failure, { action, object, ...place });
  }

  close(): void {
    for (const client of this.#clients) client.destroy();
  }
}

const NEVER = new AbortController().signal;

function lakeObject({ Key = '', Size = 0, ETag = '', LastModified }: ListedObject, isEncoded: boolean): LakeObject {
  // S3 writes a space as +, and a plus as %2B.
  const name = isEncoded ? decodeURIComponent(Key.replaceAll('+', ' ')) : Key;
  return { name, bytes: Size, version: ETag, modifiedAt: LastModified?.getTime() ?? 0 };
}

/** The answer of a call that is given up after a time of silence. The search for credentials counts too. */
async function answered<T>(call: (limit: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const limit = new AbortController();
  const removeListener = onAbort(signal, () => limit.abort(signal.reason));
  const timer = setTimeout(() => limit.abort(silence()), SILENCE_MS);
  try {
    return await abortable(call(limit.signal), limit.signal);
  } finally {
    clearTimeout(timer);
    removeListener();
  }
}

/** The bytes of a body, which fails once it is silent for too long. */
async function* untilSilent(body: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  const removeListener = onAbort(signal, () => body.destroy(signal.reason));
  let timer: NodeJS.Timeout | undefined;
  const listen = () => {
    timer = setTimeout(() => body.destroy(silence()), SILENCE_MS);
  };
  try {
    listen();
    for await (const chunk of body) {
      clearTimeout(timer);
      yield chunk;
      listen();
    }
  } finally {
    clearTimeout(timer);
    removeListener();
    body.destroy();
  }
}

const silence = (): Error =>
  Object.assign(new Error(`no byte within ${SILENCE_MS / 1000} s`), { name: 'TimeoutError', code: 'ETIMEDOUT' });
