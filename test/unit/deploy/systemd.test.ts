import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadDeployed, readFile, root } from '../../deploy/deploy-files.ts';
import { cdcWords, parseCommand } from '../../deploy/parse-command.ts';

const UNIT = 'config/deploy/systemd/cdc@.service';
const unit = readFile(UNIT);
const value = (key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map((match) => match[1]!);

const folder = mkdtempSync(join(tmpdir(), 'cdc-unit-'));
afterAll(() => rmSync(folder, { recursive: true }));
/** An instance of the template, which is what systemd runs. */
const instance = join(folder, 'cdc@shop.service');
copyFileSync(join(root, UNIT), instance);

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
const analyze = (...words: string[]) => spawnSync('systemd-analyze', [...words, instance], { encoding: 'utf8' });

test.skipIf(!hasSystemd)('systemd-analyze verifies the unit', () => {
  const { status, stdout, stderr } = analyze('verify', '--man=no');
  expect([stdout + stderr, status]).toEqual(['', 0]);
});

test.skipIf(!hasSystemd)('systemd-analyze rates its sandbox as safe', () => {
  // 0 is the best, 10 the worst. Without the sandbox it is 9.2.
  const { status, stdout } = analyze('security', '--offline=true', '--threshold=20', '--no-pager');
  expect([stdout.trim().split('\n').at(-1), status]).toEqual([expect.stringContaining('OK'), 0]);
});

test('it gives cdc time to deliver, and starts it again unless a person is needed', () => {
  expect(Number(value('TimeoutStopSec')[0])).toBeGreaterThan(30);
  expect(value('Restart')).toEqual(['on-failure']);
  expect(value('RestartPreventExitStatus')).toEqual(['2 3 4']);
  expect(value('MemoryDenyWriteExecute')).toEqual([]);
});

test('it starts a command of cdc', async () => {
  const [start = ''] = value('ExecStart');
  await parseCommand(cdcWords(start.split(' ')) as string[]);
});

test('its configuration loads, and writes only below the StateDirectory', () => {
  const config = loadDeployed(readFile('config/deploy/systemd/shop.yaml'), '/etc/cdc');
  const [state = ''] = value('StateDirectory');
  const allowed = `/var/lib/${state.replace('%i', config.name)}/`;
  const written = [config.checkpoint.file, config.dead_letter.directory, config.admin.socket];
  expect(written.filter((path) => !path?.startsWith(allowed))).toEqual([]);
  expect(config.admin.address?.host).toBe('127.0.0.1');
});
