import type { DaemonStatus, History } from '../admin/daemon-status.ts';

/** A daemon that does not answer is noticed within this time. */
const TIMEOUT_MS = 4_000;
const TOKEN_KEY = 'cdc-admin-token';

/** An answer that reports an error, or no answer: then `status` is 0. */
export class CallFailure extends Error {
  readonly status: number;
  readonly why: string | undefined;
  readonly hint: string | undefined;

  constructor(status: number, message: string, why?: string, hint?: string) {
    super(message);
    this.status = status;
    this.why = why;
    this.hint = hint;
  }
}

export type BackfillCall =
  | { act: 'pause' | 'resume' }
  /** `tables` as `schema.table`; all of them if it is left out. */
  | { act: 'cancel'; tables?: string[] };

export const fetchStatus = (): Promise<DaemonStatus> => call('/api/status') as Promise<DaemonStatus>;

/** @param since the last sample that is known, in milliseconds since 1970 */
export const fetchHistory = (since: number | undefined): Promise<History> =>
  call(since === undefined ? '/api/history' : `/api/history?since=${since}`) as Promise<History>;

/** @throws CallFailure with status 401 if the daemon does not take the token, or there is none */
export async function controlBackfill({ act, ...body }: BackfillCall): Promise<void> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  await call(`/api/backfill/${act}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token !== null && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
}

/** The token lives as long as the tab, and is never part of a URL. */
export const rememberToken = (token: string): void => sessionStorage.setItem(TOKEN_KEY, token);
export const forgetToken = (): void => sessionStorage.removeItem(TOKEN_KEY);

/** @throws CallFailure */
async function call(path: string, init: RequestInit = {}): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, { ...init, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    text = await response.text();
  } catch (error) {
    const isLate = (error as Error).name === 'TimeoutError';
    throw new CallFailure(
      0,
      'the daemon does not answer',
      isLate ? `no answer within ${TIMEOUT_MS / 1000} s` : 'no connection',
      'look at the log of the daemon, and whether its process runs',
    );
  }
  const body = parseJson(text);
  if (response.ok && body !== undefined) return body;
  throw failureOf(response.status, body);
}

function failureOf(status: number, body: unknown): CallFailure {
  const { message, why, hint } = (body as { error?: Record<string, unknown> } | undefined)?.error ?? {};
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return new CallFailure(status, text(message) ?? `the daemon answered with status ${status}`, text(why), text(hint));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
