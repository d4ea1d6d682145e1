import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { CdcError } from '../../runtime/error.ts';

/** One `cdc run` in its own process. */
export interface DaemonProcess {
  /** Rejects when the daemon ends unexpectedly. */
  died: Promise<never>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. @throws CdcError unless the daemon exits with 0 in time. */
  stop(withinMs: number): Promise<void>;
}

export interface DaemonOptions {
  /** The script of this program, which node runs. */
  entry: string;
  configFile: string;
  logFile: string;
}

export function startDaemon({ entry, configFile, logFile }: DaemonOptions): DaemonProcess {
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [entry, 'run', '-c', configFile], {
    stdio: ['ignore', log, log],
    // Ctrl-C at the terminal must reach only this process, which then ends the daemon.
    detached: true,
  });
  closeSync(log);
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : `exited with ${code}`));
  }).finally(() => process.off('exit', killAtExit));

  let expected = false;
  const failure = (ending: string) =>
    new CdcError(`the daemon ${ending}`, {
      why: `the last lines of ${logFile} are\n${lastLogLines(logFile)}`,
      hint: `start it yourself: cdc run -c ${configFile}`,
    });
  const died = ended.then((ending): Promise<never> => {
    if (!expected) throw failure(`${ending} during the demo`);
    return new Promise(() => {});
  });
  died.catch(() => {}); // the demo observes it only while it waits for something

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
      throw failure(`did not exit within ${withinMs / 1000} s after SIGTERM`);
    }
    if (ending !== 'exited with 0') throw failure(`${ending} after SIGTERM instead of with 0`);
  };
  return { died, kill, stop };
}

const timeout = (ms: number, child: ChildProcess): Promise<undefined> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    child.once('exit', () => clearTimeout(timer));
  });

const lastLogLines = (file: string): string => readFileSync(file, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
