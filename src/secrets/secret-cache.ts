import type { PasswordSecret } from '../model/source-connection.ts';
import { CdcError } from '../runtime/error.ts';
import { fetchSecret, type Secret } from './secrets-manager.ts';

/** How long an answer is used again: many connections of one moment are one request. */
const FRESH_MS = 30_000;

interface CachedSecret {
  /** -Infinity once the answer is not to be used again. */
  readAt: number;
  answer: Promise<Secret>;
  /** The last good answer, this one or an earlier one; undefined once the server has rejected it. */
  last: Secret | undefined;
}

/** The secrets of Secrets Manager that were read, for a short time. */
export class SecretCache {
  readonly #fetch: typeof fetchSecret;
  readonly #now: () => number;
  readonly #entries = new Map<string, CachedSecret>();

  constructor(fetch = fetchSecret, now: () => number = () => performance.now()) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /**
   * @throws CdcError if it cannot be read. While AWS cannot be reached, the last answer is used: the password of an
   * hour ago is mostly still the one of now, and the server decides.
   */
  async read(at: PasswordSecret, section: string): Promise<Secret & { isCached: boolean }> {
    const key = JSON.stringify(at);
    const known = this.#entries.get(key);
    const isFresh = known !== undefined && this.#now() - known.readAt < FRESH_MS;
    const entry: CachedSecret = isFresh
      ? known
      : { readAt: this.#now(), answer: this.#fetch(at, section), last: known?.last };
    this.#entries.set(key, entry);
    try {
      const secret = await entry.answer;
      if (!isFresh) entry.last = secret;
      return { ...secret, isCached: isFresh };
    } catch (error) {
      entry.readAt = Number.NEGATIVE_INFINITY;
      if (entry.last === undefined || !(error instanceof CdcError) || error.kind !== 'retry') throw error;
      return { ...entry.last, isCached: true };
    }
  }

  /** The server has rejected this password. Another one that was read meanwhile stays. */
  forget(at: PasswordSecret, password: string | undefined): void {
    const entry = this.#entries.get(JSON.stringify(at));
    if (entry?.last?.password !== password || entry === undefined) return;
    entry.last = undefined;
    entry.readAt = Number.NEGATIVE_INFINITY;
  }
}

/** One for the process: all connections share what was read. */
export const secrets = new SecretCache();
