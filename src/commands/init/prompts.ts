import type { TextOptions } from '@clack/prompts';
import { type CdcError, formatError } from '../../runtime/error.ts';
import { type AnswerName, problemWith, splitPatterns } from './answers.ts';

/** Thrown if a question is answered with Ctrl-C. */
export class PromptCanceled extends Error {}

/** The questions of `cdc init` on a terminal. Each rejects with PromptCanceled on Ctrl-C, or if `signal` aborts. */
export async function openPrompts(signal: AbortSignal) {
  const clack = await import('@clack/prompts');
  const answered = <T>(answer: T): Exclude<T, symbol> => {
    if (clack.isCancel(answer)) throw new PromptCanceled();
    return answer as Exclude<T, symbol>;
  };
  /** A line of text; `validate` names the key that it must suit. */
  const line = async (
    message: string,
    { validate, ...options }: Omit<TextOptions, 'message' | 'validate'> & { validate: AnswerName },
  ): Promise<string> => {
    const problem = (value = ''): string | undefined =>
      problemWith(validate, validate === 'tables' ? splitPatterns(value) : value);
    return answered(await clack.text({ signal, message, validate: problem, ...options })) ?? '';
  };

  return {
    say: (message: string): void => clack.log.info(message),

    url: (initialValue?: string): Promise<string> =>
      line('The URL of the MySQL or MariaDB server, without a password', {
        placeholder: 'mysql://cdc@db.example.com:3306',
        ...(initialValue !== undefined && { initialValue }),
        validate: 'url',
      }),

    password: async (): Promise<string> =>
      answered(
        await clack.password({ signal, message: 'Its password (empty for none; the file will not contain it)' }),
      ) ?? '',

    tables: async (databases: readonly string[]): Promise<string[]> => {
      const only = databases.length === 1 ? `${databases[0]}.*` : '*.*';
      const initialValue = problemWith('tables', [only]) === undefined ? only : '*.*';
      const message = `The tables to capture, with commas between patterns${known(databases)}`;
      return splitPatterns(await line(message, { initialValue, validate: 'tables' }));
    },

    name: (initialValue: string): Promise<string> =>
      line('The name of the pipeline', { initialValue, validate: 'name' }),

    stream: (initialValue: string): Promise<string> => line('The stream', { initialValue, validate: 'stream' }),

    /** The region, or the address of a local Firehose; an empty region is that of the AWS configuration. */
    destination: async (): Promise<{ region?: string; endpoint?: string }> => {
      const options = [
        { value: 'aws', label: 'Amazon Data Firehose' },
        { value: 'local', label: 'a local Firehose (cdc firehose)', hint: 'to try it' },
      ];
      const chosen = answered(await clack.select({ signal, message: 'Where the events are sent', options }));
      if (chosen === 'local') {
        return { endpoint: await line('Its address', { initialValue: 'http://127.0.0.1:4573', validate: 'endpoint' }) };
      }
      const message = 'Its AWS region (empty for that of the AWS configuration)';
      const validate = (value = ''): string | undefined => (value === '' ? undefined : problemWith('region', value));
      const initialValue = process.env.AWS_REGION ?? '';
      const region = answered(await clack.text({ signal, message, initialValue, validate })) ?? '';
      return region === '' ? {} : { region };
    },

    afterFailure: async (failure: CdcError, sql: string): Promise<'again' | 'change' | 'continue' | 'stop'> => {
      clack.log.error(formatError(failure));
      clack.log.message(sql);
      const options = [
        { value: 'again' as const, label: 'try again' },
        { value: 'change' as const, label: 'another URL or password' },
        { value: 'continue' as const, label: 'write the file anyway' },
        { value: 'stop' as const, label: 'stop, and write nothing' },
      ];
      return answered(await clack.select({ signal, message: 'What now?', options }));
    },
  };
}

export type Prompts = Awaited<ReturnType<typeof openPrompts>>;

/** The databases that the account can see, as far as they fit. */
function known(databases: readonly string[]): string {
  if (databases.length === 0) return '';
  return `; there are ${databases.slice(0, 5).join(', ')}${databases.length > 5 ? ', …' : ''}`;
}
