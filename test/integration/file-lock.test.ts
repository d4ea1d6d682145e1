import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';

const ROUNDS = 40;
const RIVALS = 4;
const ROUND_MS = 60;

/** Tries to acquire one lock after the other, each at a moment that all rivals share; prints which it got. */
const RIVAL = `
import { lockFile } from ${JSON.stringify(resolve('dist/runtime/file-lock.js'))};
import { once } from 'node:events';
const directory = process.argv.at(-1);
const got = [];
console.log('ready');
const [begin] = await once(process.stdin, 'data');
for (let round = 0; round < ${ROUNDS}; round++) {
  while (Date.now() < Number(begin) + round * ${ROUND_MS});
  await lockFile(directory + '/lock-' + round, () => new Error('held')).then(() => got.push(round), () => {});
}
console.log(JSON.stringify(got));
// The holder of a lock must run while the others try: the end of the input says that all have tried.
process.stdin.resume();
`;

test('exactly one of several processes that try in the same millisecond gets a lock, stale or new', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-lock-'));
  for (let round = 0; round < ROUNDS; round += 2) writeFileSync(join(directory, `lock-${round}`), '4194300 17\n');
  const rivals = Array.from({ length: RIVALS }, () => {
    const { stdin, stdout } = spawn(process.execPath, ['--input-type=module', '-e', RIVAL, '--', directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return { stdin, line: createInterface(stdout)[Symbol.asyncIterator]() };
  });
  const lines = async (): Promise<string[]> =>
    (await Promise.all(rivals.map(({ line }) => line.next()))).map(({ value }) => value as string);
  expect(await lines()).toEqual(rivals.map(() => 'ready'));
  const begin = String(Date.now() + 100);
  for (const { stdin } of rivals) stdin.write(begin);
  const got = (await lines()).flatMap((line) => JSON.parse(line) as number[]).sort((a, b) => a - b);
  for (const { stdin } of rivals) stdin.end();
  rmSync(directory, { recursive: true });
  expect(got).toEqual(Array.from({ length: ROUNDS }, (_, round) => round));
});
