import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { CdcError } from '../../runtime/error.ts';

/** One run of `cdc run` in a process of its own. */
export interface DaemonProcess {
  /** Rejects when the daemon ends although nobody asked it to. */
  died: Promise<never>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. @throws CdcError unless the daemon exits with 0 in time. */
  stop(withinMs: number): Promise<void>;
}

export interface DaemonOptions {
  /** The script that node runs: this very program. */
  entry: string;
  configFile: string;
  logFile: string;
}

export function startDaemon({ entry, configFile, logFile }: DaemonOptions): DaemonProcess {
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [entry, 'run', '-c', configFile], {
    stdio: ['ignore', log, log],
    // An interrupt at the terminal is for us, and we end the daemon.
    detached: true,
  });
  closeSync(log);
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : `exited with ${code}`));
  }).finally(() => process.off('exit', killWithUs));

  let expected = false;
  const failure = (what: string) =>
    new CdcError(`the daemon ${what}`, {
      why: `the end of ${logFile} says\n${tail(logFile)}`,
      hint: `run it by hand: cdc run -c ${configFile}`,
    });
  const died = ended.then((ending): Promise<never> => {
    if (!expected) throw failure(`${ending} in the middle of the demo`);
    return new Promise(() => {});
  });
  died.catch(() => {}); // whoever waits for something races with it; at other times it waits to be asked

  const kill = async () => {
    expected = true;
    child.kill('SIGKILL');
    await ended;
  };
  const stop = async (withinMs: number) => {
    expected = true;
    child.kill('SIGTERM');
    const ending = await Promise.race([ended, timeout(withinMs, child)]);
    if (ending === undefined) {
      await kill();
      throw failure(`did not end within ${withinMs / 1000} s of SIGTERM`);
    }
    if (ending !== 'exited with 0') throw failure(`${ending} after SIGTERM, where 0 was due`);
  };
  return { died, kill, stop };
}

const timeout = (ms: number, child: ChildProcess): Promise<undefined> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    child.once('exit', () => clearTimeout(timer));
  });

const tail = (file: string): string => readFileSync(file, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
