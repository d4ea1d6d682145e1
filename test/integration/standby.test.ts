import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { DaemonStatus } from '../../src/admin/daemon-status.ts';
import { freePort } from '../../src/runtime/free-port.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { type Cdc, cdc, Fixture, startCdcWith, until } from './pipeline-fixture.ts';

let fixture: Fixture;
let started: Cdc[];
let hosts: string[];
let port: number;

beforeEach(async () => {
  fixture = new Fixture(inject('mysqlUrl'), `standby_${process.pid}`);
  await fixture.createSchema('CREATE TABLE orders (id INT PRIMARY KEY, v INT)');
  await fixture.startFirehose();
  port = await freePort();
  started = [];
  hosts = [];
});
afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await Promise.all(started.map(({ ended }) => ended));
  for (const host of hosts) rmSync(host, { recursive: true, force: true });
  await fixture.remove();
});

const configure = (extra = `admin: { listen: ${port} }`): void => {
  fixture.configure(fixture.firehose?.endpoint as string, extra);
};
/** The same configuration on another host. */
function otherHost(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-host-'));
  hosts.push(directory);
  const config = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
  writeFileSync(join(directory, 'cdc.yaml'), config.replace(/admin: .*/, ''));
  return directory;
}
function run(directory = fixture.directory, env: Record<string, string> = {}): Cdc {
  const daemon = startCdcWith(env, directory, 'run');
  started.push(daemon);
  return daemon;
}
const says = (daemon: Cdc, text: string): Promise<void> =>
  until(() => {
    if (daemon.child.exitCode !== null)
      throw new Error(`it has ended with ${daemon.child.exitCode}: ${daemon.stderr()}`);
    return daemon.stderr().includes(text);
  });
async function leads(directory = fixture.directory, env: Record<string, string> = {}): Promise<Cdc> {
  const daemon = run(directory, env);
  await says(daemon, 'following the binlog');
  return daemon;
}
async function standsBy(directory = fixture.directory): Promise<Cdc> {
  const daemon = run(directory);
  await says(daemon, 'standing by');
  return daemon;
}
const stop = async ({ child, ended }: Cdc): Promise<void> => {
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0 });
};
const insert = (id: number): Promise<void> =>
  fixture.query(`INSERT INTO ${fixture.schema}.orders VALUES (${id}, ${id})`);
const isEqual = async (): Promise<void> => {
  await fixture.delivered();
  expect(await fixture.compare('orders')).toMatchObject({ equal: true, conflicts: 0 });
};
const status = async (directory = fixture.directory): Promise<DaemonStatus> =>
  JSON.parse((await cdc(directory, 'status', '--json')).stdout);
const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
const metric = async (name: string): Promise<number | undefined> => {
  const text = await (await get('/metrics')).text();
  const value = new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
};
const inMysql = (extra = ''): string =>
  `{ mysql: { url: "${fixture.url.replace(/\/$/, '')}/${fixture.schema}"${extra} } }`;

const STANDBY = expect.arrayContaining([expect.objectContaining({ code: 'standby', severity: 'notice' })]);

describe('a second daemon', () => {
  test('on the same host stands by, takes over with socket and port, and the checkpoint continues', async () => {
    configure();
    const first = await leads();
    await insert(1);
    await fixture.delivered();
    const second = await standsBy();
    expect((await status()).pid).toBe(first.child.pid);
    first.child.kill('SIGKILL');
    await says(second, 'following the binlog');
    await insert(2);
    await isEqual();
    await until(async () => (await status()).pid === second.child.pid);
    expect((await status()).stream?.epoch).toBeGreaterThan(0);
    expect((await get('/readyz')).status).toBe(200);
    expect(await metric('cdc_leader')).toBe(1);
    await stop(second);
  });

  test('on another host is ready to follow, and says who leads', async () => {
    fixture.store = inMysql();
    configure('');
    const first = await leads(otherHost());
    configure();
    const second = await standsBy();
    // A standby of the leader's host, as here, leaves the addresses to it first.
    await until(async () => (await status()).state === 'standby');
    const seen = await status();
    expect(seen).toMatchObject({
      ...{ state: 'standby', stream: null, lag: { seconds: null } },
      health: { status: 'ok', ready: false, problems: STANDBY },
      lease: { leads: false, holder: { pid: first.child.pid }, generation: null, lost: 0, storeError: null },
      checkpoint: { location: expect.stringMatching(/^mysql:\/\/127\.0\.0\.1:\d+\/standby_\d+\.cdc_checkpoint$/) },
    });
    expect(seen.checkpoint.position?.gtids).toMatch(/^[0-9a-f-]+:/);
    expect(
      await Promise.all(['/healthz', '/readyz', '/readyz?standby=ok'].map(async (path) => (await get(path)).status)),
    ).toEqual([200, 503, 200]);
    expect(await metric('cdc_leader')).toBe(0);
    expect(await metric('cdc_lag_seconds')).toBeUndefined();
    expect(await metric('cdc_lease_generation')).toBeUndefined();
    const { epoch } = (await status(hosts[0])).stream as { epoch: number };
    await stop(first);
    await says(second, 'following the binlog');
    expect((await status()).stream?.epoch).toBe(epoch);
    expect(await metric('cdc_lease_generation')).toBe(2);
    await insert(1);
    await isEqual();
    await stop(second);
  });

  test.each([
    ['file', '{ file: state/shop.json }'],
    ['mysql', undefined],
  ])('that begins at the same moment stands by, and the leader has socket and port (%s)', async (_, inFile) => {
    fixture.store = inFile ?? inMysql();
    configure();
    for (let round = 0; round < 3; round++) {
      const both = [run(), run()];
      await until(() => both.some((daemon) => daemon.stderr().includes('standing by')));
      const leader = (): Cdc | undefined => both.find((daemon) => daemon.stderr().includes('following the binlog'));
      await until(() => leader() !== undefined);
      await until(async () => (await status()).pid === leader()?.child.pid);
      await until(async () => (await get('/readyz').catch(() => undefined))?.status === 200);
      expect(both.map(({ child }) => child.exitCode)).toEqual([null, null]);
      for (const daemon of both) await stop(daemon);
    }
  });

  test('ends with 0 while it stands by', async () => {
    configure();
    const first = await leads();
    const second = await standsBy();
    await stop(second);
    await stop(first);
  });

  test('that the checks reject ends, and does not wait until it is needed', async () => {
    fixture.store = inMysql();
    configure();
    await leads();
    const host = otherHost();
    const config = readFileSync(join(host, 'cdc.yaml'), 'utf8');
    writeFileSync(join(host, 'cdc.yaml'), config.replace('stream: changes', 'stream: missing'));
    expect(await run(host).ended).toMatchObject({ code: 3 });
  });

  test('is none for a command that needs the lease: that ends with 2 and names the leader', async () => {
    fixture.store = inMysql();
    configure();
    const first = await leads();
    const ended = await cdc(otherHost(), 'backfill', '--yes');
    expect(ended).toMatchObject({ code: 2 });
    expect(ended.stderr).toContain(`another cdc (process ${first.child.pid} on `);
    await insert(1);
    await isEqual();
  });

  test('elsewhere is named by cdc status, where no daemon runs', async () => {
    fixture.store = inMysql();
    configure();
    const first = await leads();
    const { health, state, checkpoint } = await status(otherHost());
    expect({ state, checkpoint }).toMatchObject({ state: 'stopped', checkpoint: { position: expect.anything() } });
    expect(health.problems[0]?.what).toContain(`process ${first.child.pid} on `);
  });
});

describe('a checkpoint that is removed under a running daemon', () => {
  test.each([
    ['file', '{ file: state/shop.json }'],
    ['mysql', undefined],
  ])('is written again by a standby that takes over, from what it has seen (%s)', async (_, inFile) => {
    fixture.store = inFile ?? inMysql();
    configure();
    const first = await leads();
    await insert(1);
    await fixture.delivered();
    const second = await standsBy(inFile === undefined ? otherHost() : fixture.directory);
    // What follows is committed, and delivered by nobody.
    first.child.kill('SIGSTOP');
    await insert(2);
    if (inFile === undefined) await fixture.query(`DELETE FROM ${fixture.schema}.cdc_checkpoint`);
    else rmSync(join(fixture.directory, 'state'), { recursive: true });
    await says(second, 'following the binlog');
    expect(second.stderr()).toContain('the checkpoint was removed, and is written again');
    first.child.kill('SIGKILL');
    await insert(3);
    await isEqual();
    await stop(second);
  });

  test('with its folder is written again, and the socket is there again', async () => {
    configure();
    const daemon = await leads();
    await insert(1);
    await fixture.delivered();
    rmSync(join(fixture.directory, 'state'), { recursive: true });
    await insert(2);
    await says(daemon, 'the checkpoint was removed, and is written again');
    await isEqual();
    await until(async () => (await status()).pid === daemon.child.pid);
    expect(await metric('cdc_leases_lost_total')).toBe(1);
    await stop(daemon);
    // A start after that begins where this daemon ended, and not at source.start.
    await insert(3);
    const next = await leads();
    await isEqual();
    await stop(next);
  });

  test('with its row is written again, under the same epoch', async () => {
    fixture.store = inMysql();
    configure();
    const daemon = await leads();
    await insert(1);
    await fixture.delivered();
    const { epoch } = (await status()).stream as { epoch: number };
    await fixture.query(`DELETE FROM ${fixture.schema}.cdc_checkpoint`);
    await says(daemon, 'the checkpoint was removed, and is written again');
    await insert(2);
    await isEqual();
    expect((await status()).stream?.epoch).toBe(epoch);
    expect(await metric('cdc_leases_lost_total')).toBe(1);
    await stop(daemon);
  });
});

test('a lease that is taken ends the pipeline, and the process leads again only once it is free', async () => {
  fixture.store = inMysql();
  configure();
  const daemon = await leads();
  await insert(1);
  await fixture.delivered();
  await fixture.query(`UPDATE ${fixture.schema}.cdc_checkpoint SET generation = generation + 10`);
  await says(daemon, 'this process does not lead any more');
  await until(async () => (await metric('cdc_lease_generation')) === 12);
  await insert(2);
  await isEqual();
  expect(await metric('cdc_leases_lost_total')).toBe(1);
  await stop(daemon);
});

test('a store that does not answer: nothing is sent, it shows, and it continues by itself', async () => {
  const proxy = await TcpProxy.listen(Number(new URL(fixture.url).port));
  try {
    fixture.store = `{ mysql: { url: "mysql://root@127.0.0.1:${proxy.port}/${fixture.schema}" } }`;
    configure();
    const daemon = await leads();
    await insert(1);
    await fixture.delivered();
    proxy.blackhole('open and new');
    await until(async () => (await status()).health.problems.some(({ code }) => code === 'checkpoint_store'));

    const before = (await fixture.landed()).length;
    await insert(2);
    await new Promise((done) => setTimeout(done, 3_000));
    expect((await fixture.landed()).length).toBe(before);
    await until(async () => ((await metric('cdc_checkpoint_errors_total')) ?? 0) > 0);
    expect((await status()).health.status).not.toBe('ok');
    proxy.resume();
    await isEqual();
    await until(async () => (await status()).health.problems.every(({ code }) => code !== 'checkpoint_store'));
    await stop(daemon);
  } finally {
    await proxy.close();
  }
});

/** Whether the name was free: the daemon can be writing. */
function linkToFull(path: string): boolean {
  try {
    symlinkSync('/dev/full', path);
    return true;
  } catch {
    return false;
  }
}

test.skipIf(process.platform !== 'linux')(
  'a full disk lets the daemon wait, and it continues once there is room',
  async () => {
    configure();
    const daemon = await leads();
    await insert(1);
    await fixture.delivered();
    // Whatever is written there fails as on a full disk; the attempt removes the link.
    await until(() => linkToFull(`${fixture.checkpoint}.tmp`));
    await insert(2);
    await says(daemon, 'ENOSPC');
    await isEqual();
    expect(await metric('cdc_checkpoint_errors_total')).toBeGreaterThan(0);
    await until(async () => (await status()).state === 'streaming');
    await stop(daemon);
  },
);

test.skipIf(process.platform !== 'linux')('a leader that died and was not waited for is followed', async () => {
  configure();
  // A parent that never waits leaves a process that is dead and has a pid.
  const parent = spawn('python3', ['-c', ORPHANAGE, process.execPath, resolve('dist/main.js')], {
    cwd: fixture.directory,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let log = '';
  parent.stderr.on('data', (data) => (log += data));
  try {
    await until(() => log.includes('following the binlog'));
    const second = await standsBy();
    parent.stdin.write('kill\n');
    await says(second, 'following the binlog');
    await insert(1);
    await isEqual();
    await stop(second);
  } finally {
    parent.kill('SIGKILL');
  }
});

/** Starts a daemon, kills it at a line of input, and does not wait for it. */
const ORPHANAGE = `
import os, subprocess, sys, time
child = subprocess.Popen([sys.argv[1], sys.argv[2], 'run'])
sys.stdin.readline()
child.kill()
time.sleep(300)
`;

/** Shifts the clock of a process by the milliseconds in a file, at SIGUSR2. */
const CLOCK = `
import { readFileSync } from 'node:fs';
const RealDate = Date;
let shift = 0;
globalThis.Date = class extends RealDate {
  constructor(...parts) { parts.length === 0 ? super(RealDate.now() + shift) : super(...parts); }
  static now() { return RealDate.now() + shift; }
};
process.on('SIGUSR2', () => { shift = Number(readFileSync(process.env.CLOCK_SHIFT_FILE, 'utf8')); });
`;

test.each([
  ['forward', 3_600_000],
  ['back', -3_600_000],
])('a clock that jumps an hour %s changes nothing', async (_, shiftMs) => {
  fixture.store = inMysql();
  configure();
  const preload = join(fixture.directory, 'clock.mjs');
  const shiftFile = join(fixture.directory, 'shift');
  writeFileSync(preload, CLOCK);
  const daemon = await leads(fixture.directory, {
    NODE_OPTIONS: `--import ${pathToFileURL(preload).href}`,
    CLOCK_SHIFT_FILE: shiftFile,
  });
  const second = await standsBy(otherHost());
  await insert(1);
  await fixture.delivered();
  writeFileSync(shiftFile, String(shiftMs));
  daemon.child.kill('SIGUSR2');
  await until(async () => Math.abs(Date.parse((await status()).at) - Date.now() - shiftMs) < 600_000);
  await insert(2);
  await isEqual();
  // Longer than a lease lasts.
  await new Promise((done) => setTimeout(done, 6_000));
  await insert(3);
  await isEqual();
  expect(await metric('cdc_leader')).toBe(1);
  expect(await metric('cdc_leases_lost_total')).toBe(0);
  expect(await metric('cdc_lag_seconds')).toBeLessThan(60);
  expect(second.stderr()).not.toContain('this process leads');
  daemon.child.kill('SIGKILL');
  await says(second, 'following the binlog');
  await insert(4);
  await isEqual();
});

test.each([
  ['of a later version', (text: string) => text.replace(/"version": \d+/, '"version": 99'), /later version of cdc/],
  ['of another pipeline', (text: string) => text.replace('"name": "shop"', '"name": "other"'), /is damaged|belongs to/],
])('a checkpoint %s stops the daemon with 2, and is not changed', async (_, replace, message) => {
  fixture.store = inMysql();
  configure();
  await stop(await leads());
  const text = async (): Promise<string> => {
    const connection = await createConnection({ uri: fixture.url });
    const [rows] = await connection.query(`SELECT checkpoint FROM ${fixture.schema}.cdc_checkpoint`);
    connection.destroy();
    return (rows as { checkpoint: string }[])[0]?.checkpoint as string;
  };
  const wrong = replace(await text());
  const connection = await createConnection({ uri: fixture.url });
  await connection.query(`UPDATE ${fixture.schema}.cdc_checkpoint SET checkpoint = ?`, [wrong]);
  connection.destroy();
  const { code, stderr } = await run().ended;
  expect(code === 2 || code === 3, `${code}`).toBe(true);
  expect(stderr).toMatch(message);
  expect(await text()).toBe(wrong);
});

test('a checkpoint in the source: its table is not captured, and an idle source stays idle', async () => {
  fixture.store = inMysql();
  configure();
  const daemon = await leads();
  await insert(1);
  await fixture.delivered();
  const savedAt = async (): Promise<number> => {
    const connection = await createConnection({ uri: fixture.url });
    const [rows] = await connection.query(`SELECT MAX(saved_at) AS saved FROM ${fixture.schema}.cdc_checkpoint`);
    connection.destroy();
    return Date.parse(String((rows as { saved: Date }[])[0]?.saved));
  };
  const seen = new Set<number>();
  for (let i = 0; i < 24; i++) {
    seen.add(await savedAt());
    await new Promise((done) => setTimeout(done, 500));
  }
  // Its own saves, and what other tests write, move the position: it is saved now and then, and not each second.
  expect(seen.size).toBeLessThanOrEqual(4);
  const tables = (await fixture.landed()).map((event) => (event.source as { table: string }).table);
  expect(new Set(tables)).toContain('orders');
  expect(tables).not.toContain('cdc_checkpoint');
  await stop(daemon);
});
