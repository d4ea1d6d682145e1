import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lastLines } from '../../src/local/mysql/subprocess.ts';
import type { KafkaArtifacts } from './artifacts.ts';

/** A short life is worth no better code, and two cores no threads that collect garbage. */
const QUICK_START = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-XX:-UsePerfData'];

/** Starts a main class of the artifacts. `log` has the end of what it wrote to its standard error. */
export function spawnJava(
  artifacts: KafkaArtifacts,
  args: readonly string[],
  stdio: 'ignore' | 'pipe' = 'ignore',
): { child: ChildProcess; log: () => string } {
  const { java, classPath } = artifacts;
  const logging = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dlog4j2.level=OFF'];
  // Linux kills it when this process is killed. util-linux has the program that requests it.
  const wrapped = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];
  const [command, ...rest] = [...wrapped, ...java.command, ...QUICK_START, ...logging, '-cp', classPath, ...args];
  const child = spawn(command as string, rest, {
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...java.env },
    stdio: [stdio, stdio, 'pipe'],
  });
  let text = '';
  child.on('error', (error) => (text += `${error.message}\n`));
  child.stderr?.on('data', (bytes) => (text = (text + bytes).slice(-16_384)));
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('close', () => process.off('exit', killAtExit));
  return { child, log: () => lastLines(text, 40) };
}
