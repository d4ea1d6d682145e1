import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import type { TestProject } from 'vitest/node';

/** Compiles the harness and the daemon into `build/chaos`, once for all chaos tests. */
export default function setup({ config: { root } }: TestProject): void {
  const words = [
    resolve(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.bench.json',
    '--outDir',
    'build/chaos',
  ];
  const build = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`the chaos harness does not compile\n${build.stdout}${build.stderr}`);
}
