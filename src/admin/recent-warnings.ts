import type { LogWarning } from '../runtime/log.ts';
import type { LoggedWarning } from './daemon-status.ts';

/** Warnings that the status has. */
const WARNINGS_MAX = 50;

/** The last warnings and errors of the log. */
export class RecentWarnings {
  readonly #warnings: LoggedWarning[] = [];

  add(warning: LogWarning): void {
    const [last] = this.#warnings;
    const isSame = last?.message === warning.message && last.why === warning.why && last.hint === warning.hint;
    if (isSame && last !== undefined) {
      this.#warnings[0] = { ...last, at: warning.at, times: last.times + 1 };
      return;
    }
    this.#warnings.unshift({ ...warning, times: 1 });
    this.#warnings.length = Math.min(this.#warnings.length, WARNINGS_MAX);
  }

  /** The newest first. */
  get list(): LoggedWarning[] {
    return [...this.#warnings];
  }
}
