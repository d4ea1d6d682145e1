import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The Python that has the packages of python/requirements.txt. */
export const PYTHON = process.env.CDC_PEERS_PYTHON || 'python3';
/** Where the sources are, also when this file runs from build/. */
export const PYTHON_FOLDER = join(process.cwd(), 'test/peers/python');

/** The version that requirements.txt has of a package. */
export const pinned = (name: string): string =>
  new RegExp(`^${name}(?:\\[\\w+\\])?==(.+)$`, 'm').exec(
    readFileSync(join(PYTHON_FOLDER, 'requirements.txt'), 'utf8'),
  )?.[1] ?? '';

/** Why the package cannot be used here, or undefined. */
export function missingPackage(name: string): string | undefined {
  const code = `from importlib.metadata import version; print(version("${name}"))`;
  const { status, stdout } = spawnSync(PYTHON, ['-c', code], { encoding: 'utf8' });
  const needed = `pip install -r test/peers/python/requirements.txt, and CDC_PEERS_PYTHON if that is another ${PYTHON}`;
  if (status !== 0) return `${PYTHON} has no package ${name}: ${needed}`;
  return stdout.trim() === pinned(name) ? undefined : `${name} is ${stdout.trim()}, not ${pinned(name)}: ${needed}`;
}

/** Runs Python in UTC. Returns the rows that show_rows.py has printed, sorted. @throws Error if it fails */
export function pythonRows(directory: string, words: string[], env: Record<string, string> = {}): string[] {
  const { status, stdout, stderr } = spawnSync(PYTHON, words, {
    cwd: directory,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, TZ: 'UTC', PYTHONPATH: PYTHON_FOLDER, PYSPARK_PYTHON: PYTHON, ...env },
  });
  if (status !== 0) throw new Error(`${words.join(' ')} has ended with ${status}\n${stdout}${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('row '))
    .map((line) => JSON.stringify(JSON.parse(line.slice('row '.length))))
    .sort();
}

/** Where the package is. */
export function packageFolder(name: string): string {
  const code = `import os, ${name}; print(os.path.dirname(${name}.__file__))`;
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', code], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${PYTHON} cannot import ${name}\n${stderr}`);
  return stdout.trim();
}
