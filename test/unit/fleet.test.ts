import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type LoadedConfig, loadFleet } from '../../src/config/load-fleet.ts';
import { runFleet } from '../../src/fleet.ts';
import { CdcError, type ExitCode } from '../../src/runtime/error.ts';

// How pipelines are supervised. test/integration/fleet.test.ts has real ones.

let directory: string;
let stop: AbortController;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-fleet-'));
  stop = new AbortController();
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = (name: string, more = ''): string => {
  const file = join(directory, `${name}.yaml`);
  writeFileSync(file, `name: ${name}\nsource: { url: "mysql://u@h" }\nfirehose: { stream: s }\n${more}`);
  return file;
};
const fleetOf = (...names: string[]): LoadedConfig[] => loadFleet(names.map((name) => write(name)));

/** A pipeline that runs until the signal aborts. */
const runs = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });
const fails = (exitCode: ExitCode = 1): Promise<void> => Promise.reject(new CdcError('failed', { exitCode }));
const AT_ONCE = { baseMs: 1, maxMs: 600_000 };
const NEVER = { baseMs: 600_000, maxMs: 600_000 };

test('a pipeline that fails is started again, and the others run on', async () => {
  const starts: string[] = [];
  const code = await runFleet(fleetOf('a', 'b', 'c'), stop.signal, {
    restart: AT_ONCE,
    run: async ({ name }, _log, signal) => {
      starts.push(name);
      if (name === 'b' && starts.filter((one) => one === 'b').length < 4) await fails(4);
      if (name === 'b') stop.abort();
      await runs(signal);
    },
  });
  expect(starts).toEqual(['a', 'b', 'c', 'b', 'b', 'b']);
  expect(code).toBe(0);
});

test('a signal ends a fleet with code 0, also while a pipeline waits for its restart', async () => {
  const ended = runFleet(fleetOf('a', 'b'), stop.signal, {
    restart: NEVER,
    run: async ({ name }, _log, signal) => {
      if (name === 'b') {
        setTimeout(() => stop.abort(), 10);
        await fails();
      }
      await runs(signal);
    },
  });
  expect(await ended).toBe(0);
});

test.each<[codes: ExitCode[], code: number]>([
  [[4, 4], 4],
  [[3, 4], 1],
  [[2], 2],
])(
  'if all have failed for good (%s) the process ends with code %i, and nothing is started again',
  async (codes, code) => {
    const starts: string[] = [];
    const names = codes.map((_, i) => `p${i}`);
    const ended = runFleet(fleetOf(...names), stop.signal, {
      restart: NEVER,
      run: async ({ name }) => {
        starts.push(name);
        await fails(codes[names.indexOf(name)]);
      },
    });
    expect(await ended).toBe(code);
    expect(starts).toEqual(names);
  },
);

test('a pipeline whose restart is under way counts as one that works', async () => {
  let failed = 0;
  const ended = runFleet(fleetOf('a', 'b'), stop.signal, {
    restart: AT_ONCE,
    run: async ({ name }, _log, signal) => {
      if (name === 'a' && failed++ === 0) await fails();
      // It fails once the other one runs again.
      if (name === 'b') {
        while (failed < 1) await new Promise((done) => setTimeout(done, 1));
        await new Promise((done) => setTimeout(done, 100));
        stop.abort();
        await fails(4);
      }
      await runs(signal);
    },
  });
  expect(await ended).toBe(4);
});

test('a failure at the end is the exit code', async () => {
  const ended = runFleet(fleetOf('a', 'b'), stop.signal, {
    run: async ({ name }, _log, signal) => {
      if (name === 'b') setTimeout(() => stop.abort(), 10);
      await runs(signal);
      if (name === 'b') await fails(1);
    },
  });
  expect(await ended).toBe(1);
});

test('the file of a pipeline is read again before a restart, and an error in it leaves the others as they are', async () => {
  const seen: string[] = [];
  const fleet = fleetOf('a', 'b');
  await runFleet(fleet, stop.signal, {
    restart: AT_ONCE,
    run: async (config, _log, signal) => {
      if (config.name !== 'b') return runs(signal);
      seen.push(config.format);
      if (seen.length === 1) {
        write('b', 'format: wrong\n');
        setTimeout(() => write('b', 'format: flat\n'), 50);
        await fails();
      }
      stop.abort();
    },
  });
  expect(seen).toEqual(['debezium', 'flat']);
});
