import { readFileSync } from 'node:fs';
import { onAbort } from '../../runtime/abort.ts';
import { certificatesProblem } from '../../runtime/certificates.ts';

/** Thrown if a question is answered with Ctrl-C or Ctrl-D. */
export class PromptCanceled extends Error {}

const CTRL_D = '\x04';

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

/** Ways to ask on a terminal. Each question rejects with PromptCanceled on Ctrl-C, Ctrl-D, or if `signal` aborts. */
export async function openPrompts(signal: AbortSignal) {
  const clack = await import('@clack/prompts');
  // Without it, the input would end and the question would never settle.
  clack.updateSettings({ aliases: { [CTRL_D]: 'cancel' } });
  const answered = async <T>(ask: (own: AbortSignal) => Promise<T>): Promise<Exclude<T, symbol>> => {
    const answer = await withOwnSignal(signal, ask);
    if (clack.isCancel(answer)) throw new PromptCanceled();
    return answer as Exclude<T, symbol>;
  };
  const text = async (message: string, { validate, ...options }: LineOptions): Promise<string> => {
    const check = (value = ''): string | undefined => validate?.(value);
    return (await answered((signal) => clack.text({ signal, message, validate: check, ...options }))) ?? '';
  };

  return {
    log: clack.log,
    text,

    choose: async <T extends string>(message: string, choices: readonly Choice<T>[]): Promise<T> =>
      (await answered((signal) => clack.select<string>({ signal, message, options: [...choices] }))) as T,

    confirm: (message: string): Promise<boolean> =>
      answered((signal) => clack.confirm({ signal, message, initialValue: true })),

    /** The name of a file with certificates, or nothing. */
    certificates: (message: string): Promise<string> =>
      text(message, { validate: (file) => (file === '' ? undefined : fileProblem(file)) }),

    password: async (message: string, validate?: Validate): Promise<string> => {
      const check = (value = ''): string | undefined => validate?.(value);
      const complete = `${message}; the file will not contain it`;
      return (await answered((signal) => clack.password({ signal, message: complete, validate: check }))) ?? '';
    },
  };
}

/** Clack leaves a listener on the signal of each question: it gets one that is unlinked from `signal` afterwards. */
function withOwnSignal<T>(signal: AbortSignal, ask: (own: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController();
  const unlink = onAbort(signal, () => own.abort());
  return ask(own.signal).finally(unlink);
}

export type Prompts = Awaited<ReturnType<typeof openPrompts>>;

function fileProblem(file: string): string | undefined {
  try {
    return certificatesProblem(readFileSync(file, 'utf8'));
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
}
