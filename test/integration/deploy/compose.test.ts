import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { debianProgram, programUnavailable } from '../../deploy/debian-program.ts';
import { readYaml, root } from '../../deploy/deploy-files.ts';
import { startCdc, until } from '../pipeline-fixture.ts';

/** Docker Compose itself, which needs no engine to read a file. Without it the test is skipped. */
const COMPOSE = {
  packageName: 'docker-compose',
  path: 'usr/libexec/docker/cli-plugins/docker-compose',
  check: ['version'],
  unstable: true,
} as const;
const program = { ...COMPOSE, check: [...COMPOSE.check] };
const unavailable = await programUnavailable(program);

describe.skipIf(unavailable !== undefined)(`Docker Compose ${unavailable ?? ''}`, () => {
  test('reads compose.yaml, without a warning', async () => {
    const { command, env } = await debianProgram(program);
    const { status, stdout, stderr } = spawnSync(command, ['-f', 'compose.yaml', 'config', '--format', 'json'], {
      cwd: join(root, 'docker'),
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expect([status, stderr]).toEqual([0, '']);
    const { services } = JSON.parse(stdout);
    expect(Object.keys(services).sort()).toEqual(['cdc', 'firehose', 'grafana', 'mysql', 'prometheus']);
    expect(services.cdc).toMatchObject({ read_only: true, cap_drop: ['ALL'], stop_grace_period: '30s' });
  });
});

test('the health check of the local Firehose is healthy while it runs, and not afterwards', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdc-compose-'));
  const { firehose } = readYaml('docker/compose.yaml').services;
  const words = firehose.command
    .replace('0.0.0.0:4573', '127.0.0.1:0')
    .replace('/var/lib/cdc/lake', join(folder, 'lake'))
    .split(' ');
  const running = startCdc(folder, ...words);
  const address = (): string | undefined =>
    /http:\/\/(127\.0\.0\.1:\d+)/.exec(running.stdout() + running.stderr())?.[1];
  await until(() => address() !== undefined || running.child.exitCode !== null);
  const port = address();
  const check = (): number | null => {
    const [, node, flag, script] = firehose.healthcheck.test;
    return spawnSync(node, [flag, script.replace('127.0.0.1:4573', port)]).status;
  };
  expect([port, check()]).toEqual([expect.any(String), 0]);
  running.child.kill('SIGTERM');
  await running.ended;
  expect(check()).toBe(1);
  rmSync(folder, { recursive: true });
});
