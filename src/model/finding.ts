/** A result of `cdc check`: what is wrong, why it matters, and the exact statement or setting that fixes it. */
export interface Finding {
  /** error: `cdc run` cannot work. warning: `cdc run` works with a restriction or a risk. */
  severity: 'error' | 'warning';
  what: string;
  why: string;
  fix: string;
  /** The error can clear by itself, such as an outage. The daemon starts anyway and retries. */
  transient?: true;
}

export const error = (what: string, why: string, fix: string): Finding => ({ severity: 'error', what, why, fix });
/** An error that can clear by itself. */
export const transientError = (what: string, why: string, fix: string): Finding => ({
  ...error(what, why, fix),
  transient: true,
});
export const warning = (what: string, why: string, fix: string): Finding => ({ severity: 'warning', what, why, fix });

/** Shortens a long list of names: `a, b, c and 4 more`. */
export function shortList(names: readonly string[], max = 5): string {
  const shown = names.slice(0, max).join(', ');
  return names.length > max ? `${shown} and ${names.length - max} more` : shown;
}
