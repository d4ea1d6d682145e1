import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROUNDS = 40;
const RIVALS = 4;
const ROUND_MS = 60;

/** Tries to acquire one lock after the other, each at a moment that all rivals share; prints which it got. */
const RIVAL = `
import { lockFile } from ${JSON.stringify(resolve('dist/runtime/file-lock.js'))};
const [directory, begin] = process.argv.slice(-2);
const got = [];
for (let round = 0; round < ${ROUNDS}; round++) {
  while (Date.now() < Number(begin) + round * ${ROUND_MS});
  await lockFile(directory + '/lock-' + round, () => new Error('held')).then(() => got.push(round), () => {});
}
// The holder of a lock must run while the others try.
await new Promise((done) => setTimeout(done, 1000));
console.log(JSON.stringify(got));
`;

test('exactly one of several processes that try in the same millisecond gets a lock, stale or new', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-lock-'));
  for (let round = 0; round < ROUNDS; round += 2) writeFileSync(join(directory, `lock-${round}`), '4194300 17\n');
  const begin = String(Date.now() + 1500);
  const rivals = Array.from({ length: RIVALS }, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', RIVAL, '--', directory, begin]);
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    await once(child, 'close');
    return JSON.parse(output) as number[];
  });
  const got = (await Promise.all(rivals)).flat().sort((a, b) => a - b);
  rmSync(directory, { recursive: true });
  expect(got).toEqual(Array.from({ length: ROUNDS }, (_, round) => round));
});
