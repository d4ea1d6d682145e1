import { execFile, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

/** Runs a command on a pseudo terminal. Each step waits for a text, then types keys; the last one ends it. */
const ON_A_TERMINAL = `
import fcntl, json, os, pty, select, struct, sys, termios, time
size, steps = json.loads(sys.argv[1]), json.loads(sys.argv[2])
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[3], sys.argv[3:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', size[1], size[0], 0, 0))
seen, begin, since = b'', 0, time.time()
while True:
    ready, _, _ = select.select([fd], [], [], 1)
    if ready:
        try: data = os.read(fd, 65536)
        except OSError: break
        if not data: break
        seen += data
    if steps and steps[0][0].encode() in seen[begin:]:
        begin = len(seen)
        os.write(fd, steps.pop(0)[1].encode())
    elif time.time() > since + 120:
        os.kill(pid, 9); break
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen + b'EXIT %d' % os.waitstatus_to_exitcode(status))
`;

export const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;

interface TerminalOptions {
  /** A text to wait for, and the keys that are typed then. */
  steps?: [text: string, keys: string][];
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
}

/**
 * One `cdc` command on a terminal, to its end.
 * @returns what the terminal got, and `EXIT <code>` behind it
 */
export const cdcOnTerminal = (
  directory: string,
  words: readonly string[],
  options: TerminalOptions = {},
): Promise<string> => onTerminal(directory, [process.execPath, resolve('dist/main.js'), ...words], options);

/** The same with any program. */
export async function onTerminal(
  directory: string,
  program: readonly string[],
  { steps = [], columns = 80, rows = 50, env = {} }: TerminalOptions = {},
): Promise<string> {
  const inherited = { ...process.env };
  // Node reads each of them, CI as well, for the number of colours of a terminal.
  for (const name of ['CI', 'NO_COLOR', 'FORCE_COLOR', 'NODE_DISABLE_COLORS', 'TEAMCITY_VERSION', 'TF_BUILD', 'TMUX']) {
    delete inherited[name];
  }
  const { stdout } = await promisify(execFile)(
    'python3',
    ['-c', ON_A_TERMINAL, JSON.stringify([columns, rows]), JSON.stringify(steps), ...program],
    {
      cwd: directory,
      maxBuffer: 2 ** 26,
      env: { ...inherited, TERM: 'xterm-256color', LANG: 'C.UTF-8', CDC_LOG_LEVEL: 'info', ...env },
    },
  );
  return stdout;
}
