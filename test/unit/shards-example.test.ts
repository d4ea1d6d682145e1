import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { assertDistinct, type LoadedConfig } from '../../src/config/load-fleet.ts';

// docs/examples/shards: one configuration, a hundred shards.

const EXAMPLE = 'docs/examples/shards';
const SHARDS = 100;
const read = (file: string): string => readFileSync(join(EXAMPLE, file), 'utf8');

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-shards-'));
  mkdirSync(join(directory, 'secrets'));
  for (let shard = 0; shard < SHARDS; shard++) writeFileSync(join(directory, 'secrets', `shop-${shard}`), 'secret\n');
  copyFileSync(join(EXAMPLE, 'shard.yaml'), join(directory, 'shard.yaml'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const load = (env: Record<string, string>): LoadedConfig => ({
  file: `shard ${env.CDC_SHARD}`,
  config: loadConfig(join(directory, 'shard.yaml'), {
    CDC_STATE: join(directory, 'state'),
    CDC_SECRETS: join(directory, 'secrets'),
    ...env,
  }),
});

/** Runs the shell command of a deployment with a cdc that prints its environment. */
function environmentOf(command: string, env: Record<string, string>): Record<string, string> {
  const fake = join(directory, 'node');
  writeFileSync(fake, '#!/bin/sh\nenv\n', { mode: 0o755 });
  const { stdout } = spawnSync('/bin/sh', ['-c', command], {
    env: { PATH: `${directory}:/bin:/usr/bin`, ...env },
    encoding: 'utf8',
  });
  return Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)));
}

describe('a hundred shards of one file', () => {
  test('on one host, as systemd starts them, share nothing', () => {
    const unit = read('cdc@.service');
    const command = /^ExecStart=\/bin\/sh -c '(.*)'$/m.exec(unit)?.[1] as string;
    const loaded = Array.from({ length: SHARDS }, (_, shard) => {
      const { CDC_PORT = '' } = environmentOf(command, { CDC_SHARD: String(shard) });
      return load({ CDC_SHARD: String(shard), CDC_PORT });
    });
    expect(() => assertDistinct(loaded)).not.toThrow();
    expect(new Set(loaded.map(({ config }) => config.source.url)).size).toBe(SHARDS);
    expect(new Set(loaded.map(({ config }) => config.source.password_file)).size).toBe(SHARDS);
    expect(loaded[17]?.config.admin.address).toEqual({ host: '0.0.0.0', port: 20017 });
  });

  test('two of them with one number are a collision', () => {
    const same = [load({ CDC_SHARD: '1', CDC_PORT: '1' }), load({ CDC_SHARD: '1', CDC_PORT: '2' })];
    expect(() => assertDistinct(same)).toThrow(/problems/);
  });

  test('a pod has the number of its name', () => {
    const { spec } = parse(read('statefulset.yaml'));
    const [container] = spec.template.spec.containers;
    const env = Object.fromEntries(
      container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
    );
    const { CDC_SHARD, CDC_PORT } = environmentOf(container.args[0], { HOSTNAME: 'cdc-17', ...env });
    expect({ CDC_SHARD, CDC_PORT }).toEqual({ CDC_SHARD: '17', CDC_PORT: '8686' });
    expect(spec.replicas).toBe(SHARDS);
    expect(load({ CDC_SHARD: CDC_SHARD as string, CDC_PORT: CDC_PORT as string }).config.name).toBe('shop-17');
    const mounts = container.volumeMounts.map(({ name }: { name: string }) => name);
    const volumes = [...spec.template.spec.volumes.map(({ name }: { name: string }) => name), 'state'];
    expect(mounts.sort()).toEqual(volumes.sort());
    // What the configuration names is where the volumes are.
    expect(container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)).toEqual(
      expect.arrayContaining([env.CDC_STATE, env.CDC_SECRETS]),
    );
  });

  test('the file needs every variable that it names', () => {
    expect(() => load({ CDC_PORT: '1' })).toThrow(/errors/);
    expect(resolve(EXAMPLE)).toContain('shards');
  });
});
