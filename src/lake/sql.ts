/** Quoting for DuckDB. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A JSON pointer to a member of that name: unlike a JSON path it needs no quoting of quotes, dots or stars. */
export const pointer = (...names: string[]): string =>
  names.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** A path as read_json_objects wants it: it takes every path for a glob. */
export const globLiteral = (path: string): string => path.replace(/[[*?]/g, '[$&]');
