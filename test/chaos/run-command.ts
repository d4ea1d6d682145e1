import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** Where `test/chaos/build.ts` compiles to. */
export const BUILD = resolve('build/chaos');

/** Runs a command of the harness and returns its report. */
export async function runForReport<T>(command: string, ...words: string[]): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-chaos-test-'));
  const file = join(directory, 'report.json');
  const program = join(BUILD, 'test', 'chaos', `${command}.js`);
  try {
    await promisify(execFile)(process.execPath, [program, '--report', file, ...words]).catch(() => {});
    return JSON.parse(readFileSync(file, 'utf8'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
