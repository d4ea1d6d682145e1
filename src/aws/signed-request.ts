import { onAbort } from '../runtime/abort.ts';
import type { BodyHash } from './body-hash.ts';

/** When a request was sent, on the clock of `performance`, and what it was signed with: undefined if it was not. */
export interface SentRequest {
  sentAt: number;
  signature: RequestSignature | undefined;
}

export interface RequestSignature {
  accessKeyId: string | undefined;
  /** The time in the signature, in milliseconds. */
  signedAt: number;
}

type Handler = (args: { request: unknown }) => Promise<never>;

/** What a command of the AWS SDK has for those who change its requests. */
interface MiddlewareStack {
  add(
    middleware: (next: Handler) => Handler,
    options: { step: 'build' | 'finalizeRequest'; priority: 'high' | 'low'; name: string },
  ): void;
}

/** The signature takes the hash of the body from this header (Signature Version 4, AWS reference). */
const BODY_HASH_HEADER = 'x-amz-content-sha256';

/** Sends `body` in place of what the serializer has written. The later steps sign it and measure its length. */
export function replaceBody({ middlewareStack }: { middlewareStack: unknown }, body: Buffer, hash: BodyHash): void {
  (middlewareStack as MiddlewareStack).add(
    (next) => async (args) => {
      const request = args.request as { body: unknown; headers: Record<string, string> };
      request.body = body;
      request.headers[BODY_HASH_HEADER] = await hash.of(body);
      return next(args);
    },
    { step: 'build', priority: 'high', name: 'bodyMiddleware' },
  );
}

/** Notes what a command is signed with. The time begins now. */
export function noteSignature({ middlewareStack }: { middlewareStack: unknown }): SentRequest {
  const sent: SentRequest = { sentAt: performance.now(), signature: undefined };
  (middlewareStack as MiddlewareStack).add(
    (next) => (args) => {
      sent.signature = signatureOf(args.request);
      return next(args);
    },
    { step: 'finalizeRequest', priority: 'low', name: 'signatureMiddleware' },
  );
  return sent;
}

/** The signature in the headers of a request that the SDK has signed; undefined if there is none. */
function signatureOf(request: unknown): SentRequest['signature'] {
  const { headers = {} } = request as { headers?: Record<string, string> };
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headers['x-amz-date'] ?? '') ?? [];
  if (s === undefined) return undefined;
  return {
    accessKeyId: /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1],
    signedAt: Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`),
  };
}

/**
 * Sends a request and waits for the complete response. The SDK's own timeout starts after the credentials are found
 * and ends with the response headers. Without this deadline, missing credentials or a stalled response body would
 * block the lanes forever.
 * @throws TimeoutError after `timeoutMs`
 */
export async function sendWithDeadline<Output>(
  send: (options: { abortSignal: AbortSignal }) => Promise<Output>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Output> {
  const request = new AbortController();
  const removeListener = onAbort(signal, () => request.abort());
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `no complete response within ${timeoutMs} ms`;
      reject(Object.assign(new Error(message), { name: 'TimeoutError' }));
      request.abort();
    }, timeoutMs);
  });
  try {
    return await Promise.race([send({ abortSignal: request.signal }), deadline]);
  } finally {
    clearTimeout(timer);
    removeListener();
  }
}
