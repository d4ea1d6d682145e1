/** URLs of modules that `node --import` loads before the daemon. */

export const crashModule = (point: string, pass: number): string =>
  withQuery('crash-at.js', { point, pass: `${pass}` });

/** The module that makes a mutant, or a smaller byte budget, or both. Undefined for neither. */
export function mutantModule(mutant: string | undefined, budgetBytes: number | undefined): string | undefined {
  if (mutant === undefined && budgetBytes === undefined) return undefined;
  return withQuery('mutate.js', { ...(mutant && { mutant }), ...(budgetBytes && { budget: `${budgetBytes}` }) });
}

/** The daemon's own count of events that a retry can have stored twice, as `withCountedRepeats` makes it log them. */
export const COUNTED_REPEATS = /^possible repeats: (\d+)$/;

/** The same mutant, or the daemon as it is, which also logs each time what it counts as possible repeats. */
export function withCountedRepeats(module = withQuery('mutate.js', {})): string {
  const url = new URL(module);
  url.searchParams.set('counted', 'yes');
  return url.href;
}

function withQuery(file: string, query: Record<string, string>): string {
  const url = new URL(file, import.meta.url);
  url.search = `${new URLSearchParams(query)}`;
  return url.href;
}
