import { type CdcError, formatError } from '../../runtime/error.ts';
import { problemWith, splitPatterns } from './answers.ts';
import type { Prompts } from './prompts.ts';

export const askUrl = (prompts: Prompts, initialValue: string | undefined): Promise<string> =>
  prompts.text('The URL of the MySQL or MariaDB server, without a password', {
    placeholder: 'mysql://cdc@db.example.com:3306',
    ...(initialValue !== undefined && { initialValue }),
    validate: (value) => problemWith('url', value),
  });

/** @param databases that the account can see */
export async function askTables(prompts: Prompts, databases: readonly string[]): Promise<string[]> {
  const only = databases.length === 1 ? `${databases[0]}.*` : '*.*';
  const initialValue = problemWith('tables', [only]) === undefined ? only : '*.*';
  const message = `The tables to capture, with commas between patterns${known(databases)}`;
  const validate = (value: string) => problemWith('tables', splitPatterns(value));
  return splitPatterns(await prompts.text(message, { initialValue, validate }));
}

/** The databases, as far as they fit. */
function known(databases: readonly string[]): string {
  if (databases.length === 0) return '';
  return `; there are ${databases.slice(0, 5).join(', ')}${databases.length > 5 ? ', …' : ''}`;
}

export const askName = (prompts: Prompts, initialValue: string): Promise<string> =>
  prompts.text('The name of the pipeline', { initialValue, validate: (value) => problemWith('name', value) });

export function askAfterFailure(prompts: Prompts, failure: CdcError, sql: string) {
  prompts.log.error(formatError(failure));
  prompts.log.message(sql);
  return prompts.choose('What now?', [
    { value: 'again', label: 'try again' },
    { value: 'change', label: 'another URL or password' },
    { value: 'continue', label: 'write the file anyway' },
    { value: 'stop', label: 'stop, and write nothing' },
  ]);
}
