import { execFile } from 'node:child_process';

export interface VerifyRun {
  exitCode: number;
  /** What it printed on standard output, and on standard error if it failed. */
  text: string;
}

/** Runs `cdc verify` as a user does, beside the daemon. */
export function verifyBesideDaemon(entry: string, configFile: string, signal: AbortSignal): Promise<VerifyRun> {
  return new Promise((resolve, reject) => {
    const words = [entry, 'verify', '-c', configFile];
    execFile(process.execPath, words, { signal, maxBuffer: 16 * 2 ** 20 }, (error, stdout, stderr) => {
      const { code = 0 } = error ?? {};
      if (typeof code !== 'number') return reject(error);
      resolve({ exitCode: code, text: code === 0 ? stdout : stdout + stderr });
    });
  });
}
