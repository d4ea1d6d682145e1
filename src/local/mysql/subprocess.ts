import { execFile } from 'node:child_process';

/** Runs a program to its end and gives its standard output; a failure says how it ended and what it last wrote. */
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
      signal?.removeEventListener('abort', kill);
      if (!error) return resolve(stdout);
      if (error.code === 'ENOENT') return reject(new Error(`there is no ${command} on this machine`));
      const ending = error.signal ? `was ended by ${error.signal}` : `exited with ${error.code}`;
      const words = lastLines(stderr.trim() || stdout.trim(), 12);
      reject(new Error(`${command} ${ending}${words ? `: ${words}` : ''}`, { cause: error }));
    });
    // Not execFile's own signal: that gives up at once, and a program still running would miss its files.
    const kill = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    // A program that fails early closes its input; its exit says why, not the broken pipe.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
