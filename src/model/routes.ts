import { compileTableFilter } from './table-filter.ts';

/** Which stream the events of a table go to. */
export interface Routes {
  /** All streams, the default one first. */
  streams: readonly string[];
  /** The index in `streams`. */
  streamOf(schema: string, table: string): number;
}

/** @param routes streams by table pattern; the first pattern that matches decides */
export function compileRoutes(
  routes: Readonly<Record<string, string>>,
  fallback: string,
  options: { caseSensitive: boolean },
): Routes {
  const streams = [...new Set([fallback, ...Object.values(routes)])];
  const entries = Object.entries(routes).map(([pattern, stream]) => ({
    matches: compileTableFilter([pattern], options),
    index: streams.indexOf(stream),
  }));
  return {
    streams,
    streamOf: (schema, table) => entries.find(({ matches }) => matches(schema, table))?.index ?? 0,
  };
}
