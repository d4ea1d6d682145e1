import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Where the sources are, also when this file runs from build/. */
const FOLDER = join(process.cwd(), 'test/peers');

/** Why Java cannot run here, or undefined. */
export function missingJava(): string | undefined {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(java.stderr ?? '')?.[1]);
  if (version >= 17) return undefined;
  return Number.isNaN(version) ? 'java is not installed' : `java is ${version}, 17 is needed`;
}

/** Why Java or Maven cannot run here, or undefined. */
export function missingMaven(): string | undefined {
  return missingJava() ?? (spawnSync('mvn', ['-version']).status === 0 ? undefined : 'mvn (Maven) is not installed');
}

/** The jars of a pom.xml of this folder, as Maven resolves them. */
export function mavenClasspath(pom: `${string}/pom.xml`): string {
  const output = join(mkdtempSync(join(tmpdir(), 'cdc-peers-')), 'classpath');
  const path = join(FOLDER, pom);
  const words = ['-q', '-B', '-f', path, 'dependency:build-classpath', `-Dmdep.outputFile=${output}`];
  const { status, stdout, stderr } = spawnSync('mvn', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Maven cannot resolve ${path}\n${stdout}${stderr}`);
  return readFileSync(output, 'utf8');
}

/** A program of one file, on the classpath that Maven makes of the pom.xml beside it. */
export function startJava(file: `${string}/${string}.java`, ...words: string[]): ChildProcessWithoutNullStreams {
  const classpath = mavenClasspath(`${dirname(file)}/pom.xml`);
  return spawn('java', [...OPENED, '-cp', classpath, join(FOLDER, file), ...words]);
}

/** Flink and Kafka still reach into these. */
const OPENED = ['java.base/java.lang', 'java.base/java.util', 'java.base/java.net', 'java.base/java.time'].flatMap(
  (module) => ['--add-opens', `${module}=ALL-UNNAMED`],
);
