/** Something that `cdc check` found: what is wrong, why it matters, and the exact statement or setting that fixes it. */
export interface Finding {
  /** error: `cdc run` would not work. warning: it works, but not as well as it could. */
  severity: 'error' | 'warning';
  what: string;
  why: string;
  fix: string;
  /** It may pass by itself, as an outage does: the daemon waits for that instead of refusing to start. */
  transient?: true;
}

export const error = (what: string, why: string, fix: string): Finding => ({ severity: 'error', what, why, fix });
/** An error that may pass by itself. */
export const transientError = (what: string, why: string, fix: string): Finding => ({
  ...error(what, why, fix),
  transient: true,
});
export const warning = (what: string, why: string, fix: string): Finding => ({ severity: 'warning', what, why, fix });

/** `a, b, c and 4 more`: long lists stay readable. */
export function indentedList(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
