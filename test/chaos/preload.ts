/** Modules that are loaded before the daemon, as `node --import` takes them. */

export const crashModule = (point: string, pass: number): string =>
  withQuery('crash-at.js', { point, pass: `${pass}` });

/** A mutant, or a smaller byte budget, or both; undefined for neither. */
export function mutantModule(bug: string | undefined, budgetBytes: number | undefined): string | undefined {
  if (bug === undefined && budgetBytes === undefined) return undefined;
  return withQuery('mutate.js', { ...(bug && { bug }), ...(budgetBytes && { budget: `${budgetBytes}` }) });
}

function withQuery(file: string, query: Record<string, string>): string {
  const url = new URL(file, import.meta.url);
  url.search = `${new URLSearchParams(query)}`;
  return url.href;
}
