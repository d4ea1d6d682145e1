import { compileTableFilter } from './table-filter.ts';

/** The stream of each table. */
export interface Routes {
  /** All streams, the default stream first. */
  streams: readonly string[];
  /** The index of the table's stream in `streams`. */
  streamOf(schema: string, table: string): number;
}

/** @param routes streams by table pattern; the first pattern that matches a table decides */
export function compileRoutes(
  routes: Readonly<Record<string, string>>,
  defaultStream: string,
  options: { caseSensitive: boolean },
): Routes {
  const streams = [...new Set([defaultStream, ...Object.values(routes)])];
  const entries = Object.entries(routes).map(([pattern, stream]) => ({
    matches: compileTableFilter([pattern], options),
    index: streams.indexOf(stream),
  }));
  return {
    streams,
    streamOf: (schema, table) => entries.find(({ matches }) => matches(schema, table))?.index ?? 0,
  };
}
