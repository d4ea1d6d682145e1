import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type CopiedFlavor, makeData, startOnCopy } from './server-data.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Servers shared by all integration tests, with a root who needs no password: every test makes its own schemas. */
    mysqlUrl: string;
    mariadbUrl: string;
    /** The folder of the data that `startTestServer` copies. */
    serverData: string;
  }
}

/** Runs once before integration tests, and only if there are any: the built command, and a server of each flavor. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: project.config.root, encoding: 'utf8' });
  if (build.status !== 0) {
    throw new Error(`npm run build failed\n${build.stdout}${build.stderr}${build.error?.message ?? ''}`);
  }
  const report = (line: string) => process.stderr.write(`${line}\n`);
  const serverData = mkdtempSync(join(tmpdir(), 'cdc-servers-'));
  const start = async (flavor: CopiedFlavor) => {
    await makeData(flavor, serverData, report);
    return startOnCopy(serverData, { flavor });
  };
  const starts = await Promise.allSettled([start('mysql'), start('mariadb')]);
  const stop = async () => {
    await Promise.all(starts.map((start) => start.status === 'fulfilled' && start.value.stop()));
    rmSync(serverData, { recursive: true, force: true, maxRetries: 3 });
  };
  const [mysql, mariadb] = starts;
  if (mysql.status === 'rejected' || mariadb.status === 'rejected') {
    await stop();
    throw mysql.status === 'rejected' ? mysql.reason : (mariadb as PromiseRejectedResult).reason;
  }
  project.provide('mysqlUrl', mysql.value.url);
  project.provide('mariadbUrl', mariadb.value.url);
  project.provide('serverData', serverData);
  return stop;
}
