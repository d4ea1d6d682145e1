import { invalidArgument } from '../aws-error.ts';

/** A name in the SQL of PostgreSQL and Redshift. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A name without quotes is in lower case for the server; one in quotes is as it is written. */
const NAME = /\s*(?:"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))\s*/y;

function namesOf(text: string, separator: '.' | ',', field: string): string[] {
  const names: string[] = [];
  let at = 0;
  for (;;) {
    NAME.lastIndex = at;
    const match = NAME.exec(text);
    if (!match)
      throw invalidArgument(`${field} '${text}' is not ${separator === '.' ? 'a table' : 'a list of columns'}`);
    names.push(match[1]?.replaceAll('""', '"') ?? match[2]!.toLowerCase());
    at = NAME.lastIndex;
    if (at === text.length) return names;
    if (text[at] !== separator) throw invalidArgument(`${field} '${text}' has an unexpected ${text[at]}`);
    at++;
  }
}

/** DataTableName as SQL, with its schema if it has one. @throws AwsError if it is no name */
export function parseDataTableName(text: string): string {
  const names = namesOf(text, '.', 'DataTableName');
  if (names.length > 2) throw invalidArgument(`DataTableName '${text}' has more parts than a schema and a table`);
  return names.map(quoteName).join('.');
}

/** DataTableColumns, a list with commas; undefined if there is none. @throws AwsError if it is no list of names */
export function parseDataTableColumns(text: string | undefined): string[] | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  return namesOf(text, ',', 'DataTableColumns');
}
