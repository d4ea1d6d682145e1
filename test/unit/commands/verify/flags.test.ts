import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { verifyCommand } from '../../../../src/commands/verify.ts';
import type { VerifyRequest } from '../../../../src/verify/open-verification.ts';

const asked = vi.hoisted(() => ({ calls: [] as { request: unknown; json: boolean }[], code: 0 }));
vi.mock('../../../../src/commands/verify/run-verify.ts', () => ({
  async runVerify(_config: unknown, request: unknown, json: boolean) {
    asked.calls.push({ request, json });
    return asked.code;
  },
}));

const directory = mkdtempSync(join(tmpdir(), 'cdc-verify-flags-'));
const config = join(directory, 'cdc.yaml');
writeFileSync(config, 'source: { url: "mysql://u@h" }\nfirehose: { stream: s }\n');
afterAll(() => rmSync(directory, { recursive: true }));
const exitCode = process.exitCode;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
  process.exitCode = exitCode;
  asked.calls.length = 0;
});

/** What these words of the command line ask for. */
async function requestOf(...words: string[]): Promise<VerifyRequest & { json: boolean }> {
  const command = verifyCommand(new AbortController().signal);
  await command.parseAsync([...words, '--config', config], { from: 'user' });
  const [call] = asked.calls.splice(0);
  return { ...(call?.request as VerifyRequest), json: call?.json as boolean };
}

const PLAIN = { tables: [], repair: false, differencesMax: 100, json: false };

describe('the command line', () => {
  test.each<[string[], object]>([
    [[], {}],
    [['shop.orders', '!shop.log'], { tables: ['shop.orders', '!shop.log'] }],
    [['--since', '1d'], { since: 1_800_000_000_000 - 86_400_000 }],
    [['--wait', '10m'], { waitMs: 600_000 }],
    [['--wait', '0s'], { waitMs: 0 }],
    [['--sample', '1%'], { sample: 0.01 }],
    [['--sample', '0.25'], { sample: 0.25 }],
    [['--sample', '.5'], { sample: 0.5 }],
    [['--sample', '100%'], { sample: 1 }],
    [['--list', '0'], { differencesMax: 0 }],
    [['--list', '1000000'], { differencesMax: 1_000_000 }],
    [['--where', 'id < 3'], { where: 'id < 3' }],
    [['--repair', '--json'], { repair: true, json: true }],
  ])('%j', async (words, expected) => {
    expect(await requestOf(...words)).toEqual({ ...PLAIN, ...expected });
  });

  test.each([
    ['--sample', '0'],
    ['--sample', '0%'],
    ['--sample', '101%'],
    ['--sample', '1.5'],
    ['--sample', '-1%'],
    ['--sample', 'all'],
    ['--list', '-1'],
    ['--list', '1.5'],
    ['--list', '1000001'],
    ['--list', 'all'],
    ['--since', 'yesterday'],
    ['--wait', '-1s'],
  ])('%s %s is refused, and what it has to be is said', async (flag, value) => {
    await expect(requestOf(`${flag}=${value}`)).rejects.toMatchObject({
      ...{ message: `${flag} ${value} is not valid`, exitCode: 2, hint: expect.stringMatching(/^it must be a/) },
    });
    expect(asked.calls).toEqual([]);
  });

  test('a table that is no name is refused', async () => {
    await expect(requestOf('orders')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('orders'),
    });
  });
});

test('the exit code is that of the comparison', async () => {
  asked.code = 4;
  await requestOf();
  expect(process.exitCode).toBe(4);
});
