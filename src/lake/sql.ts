/** An identifier in DuckDB's SQL. */
export const duckdbIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A string literal in DuckDB's SQL. */
export const sqlLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A JSON pointer to a nested member. Unlike a JSON path, it needs no quoting of quotes, dots and stars. */
export const jsonPointer = (...names: string[]): string =>
  names.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** A path for read_json_objects, which reads every path as a glob. */
export const globLiteral = (path: string): string => path.replace(/[[*?]/g, '[$&]');
