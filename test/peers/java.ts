import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the sources are, also when this file runs from build/. */
const FOLDER = join(process.cwd(), 'test/peers');

/** What is missing for the peers, or undefined. */
export function missingProgram(): string | undefined {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(java.stderr ?? '')?.[1]);
  if (!(version >= 17)) return Number.isNaN(version) ? 'java is not installed' : `java is ${version}, 17 is needed`;
  return spawnSync('mvn', ['-version']).status === 0 ? undefined : 'mvn (Maven) is not installed';
}

/** A program of one file, on the classpath that Maven makes of the pom.xml beside it. */
export function startJava(file: `${string}/${string}.java`, ...words: string[]): ChildProcessWithoutNullStreams {
  const output = join(mkdtempSync(join(tmpdir(), 'cdc-peers-')), 'classpath');
  const pom = join(FOLDER, file, '../pom.xml');
  const maven = ['-q', '-B', '-f', pom, 'dependency:build-classpath', `-Dmdep.outputFile=${output}`];
  const { status, stdout, stderr } = spawnSync('mvn', maven, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Maven cannot resolve ${pom}\n${stdout}${stderr}`);
  return spawn('java', [...OPENED, '-cp', readFileSync(output, 'utf8'), join(FOLDER, file), ...words]);
}

/** Flink and Kafka still reach into these. */
const OPENED = ['java.base/java.lang', 'java.base/java.util', 'java.base/java.net', 'java.base/java.time'].flatMap(
  (module) => ['--add-opens', `${module}=ALL-UNNAMED`],
);
