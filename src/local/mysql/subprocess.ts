import { execFile } from 'node:child_process';
import { onAbort } from '../../runtime/abort.ts';

/** Runs a program to its end and returns its standard output. An error contains its exit status and last output. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: { signal?: AbortSignal | undefined; env?: Record<string, string>; input?: string } = {},
): Promise<string> {
  const { signal, input = '' } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const env = { ...process.env, LC_ALL: 'C.UTF-8', ...options.env };
    const child = execFile(command, args, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      removeListener();
      if (!error) return resolve(stdout);
      if (error.code === 'ENOENT') return reject(new Error(`the program ${command} is not installed`));
      const ending = error.signal ? `was ended by ${error.signal}` : `exited with ${error.code}`;
      const output = lastLines(stderr.trim() || stdout.trim(), 12);
      reject(new Error(`${command} ${ending}${output ? `: ${output}` : ''}`, { cause: error }));
    });
    // execFile's own signal rejects before the program has ended, so its files could be removed while it runs.
    const removeListener = signal ? onAbort(signal, () => child.kill('SIGKILL')) : () => {};
    // A program that fails early closes its input. Its exit gives the reason; the broken pipe does not.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
