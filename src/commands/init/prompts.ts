import { readFileSync } from 'node:fs';
import { certificatesProblem } from '../../runtime/certificates.ts';

/** Thrown if a question is answered with Ctrl-C. */
export class PromptCanceled extends Error {}

/** What is wrong with a text. */
type Validate = (value: string) => string | undefined;

interface LineOptions {
  placeholder?: string;
  initialValue?: string;
  validate?: Validate;
}

interface Choice<T extends string> {
  value: T;
  label: string;
  hint?: string;
}

/** Ways to ask on a terminal. Each question rejects with PromptCanceled on Ctrl-C, or if `signal` aborts. */
export async function openPrompts(signal: AbortSignal) {
  const clack = await import('@clack/prompts');
  const answered = <T>(answer: T): Exclude<T, symbol> => {
    if (clack.isCancel(answer)) throw new PromptCanceled();
    return answer as Exclude<T, symbol>;
  };
  const text = async (message: string, { validate, ...options }: LineOptions): Promise<string> =>
    answered(await clack.text({ signal, message, validate: (value = '') => validate?.(value), ...options })) ?? '';

  return {
    log: clack.log,
    text,

    choose: async <T extends string>(message: string, choices: readonly Choice<T>[]): Promise<T> =>
      answered(await clack.select<string>({ signal, message, options: [...choices] })) as T,

    confirm: async (message: string): Promise<boolean> =>
      answered(await clack.confirm({ signal, message, initialValue: true })),

    /** The name of a file with certificates, or nothing. */
    certificates: (message: string): Promise<string> =>
      text(message, { validate: (file) => (file === '' ? undefined : fileProblem(file)) }),

    password: async (message: string, validate?: Validate): Promise<string> => {
      const check = (value = ''): string | undefined => validate?.(value);
      const complete = `${message}; the file will not contain it`;
      return answered(await clack.password({ signal, message: complete, validate: check })) ?? '';
    },
  };
}

export type Prompts = Awaited<ReturnType<typeof openPrompts>>;

function fileProblem(file: string): string | undefined {
  try {
    return certificatesProblem(readFileSync(file, 'utf8'));
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
}
