import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Cdc, Fixture, tableOf } from './pipeline-fixture.ts';

const TABLE = 'CREATE TABLE item (id INT PRIMARY KEY, n INT NOT NULL)';
const YEARS_10 = 10 * 365 * 86_400;

describe('the files beside and of the checkpoint', () => {
  let fixture: Fixture;
  let endpoint: string;
  let daemon: Cdc | undefined;
  beforeEach(async () => {
    fixture = new Fixture(inject('mysqlUrl'), 'state_files');
    await fixture.createSchema(TABLE);
    endpoint = (await fixture.startFirehose()).endpoint;
    fixture.configure(endpoint);
  });
  afterEach(async () => {
    daemon?.child.kill('SIGKILL');
    await fixture.remove();
  });

  const stop = async (): Promise<void> => {
    daemon?.child.kill('SIGTERM');
    expect(await daemon?.ended).toMatchObject({ code: 0 });
  };
  const runWithClockAhead = async (): Promise<Cdc> => {
    const ahead = `const now = Date.now; Date.now = () => now() + ${YEARS_10 * 1000};`;
    const { NODE_OPTIONS } = process.env;
    process.env.NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(ahead)}`;
    try {
      return await fixture.run();
    } finally {
      if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = NODE_OPTIONS;
    }
  };
  const seqs = async (n: number): Promise<string[]> =>
    (await fixture.landed())
      .filter((event) => tableOf(event) === 'item' && (event.after as { n: number }).n === n)
      .map(({ seq }) => seq as string);

  test('seq grows after a first start with a clock ahead, although the checkpoint was moved away', async () => {
    daemon = await runWithClockAhead();
    await fixture.query('INSERT INTO state_files.item VALUES (1, 1)');
    await fixture.delivered();
    await stop();
    renameSync(fixture.checkpoint, join(fixture.directory, 'away.json'));
    daemon = await fixture.run();
    await fixture.query('UPDATE state_files.item SET n = 2');
    await fixture.delivered();
    const [first = ''] = await seqs(1);
    const [second = ''] = await seqs(2);
    expect(Number.parseInt(first, 16)).toBeGreaterThan(0);
    expect(Number.parseInt(first.slice(0, 8), 16)).toBeGreaterThan(Date.now() / 1000 + YEARS_10 / 2);
    expect(second > first).toBe(true);
    expect(await fixture.compare('item')).toMatchObject({ equal: true });
    await stop();

    // Without the epoch file too, source.epoch says from where on.
    renameSync(dirname(fixture.checkpoint), join(fixture.directory, 'state.away'));
    const above = Number.parseInt(second.slice(0, 8), 16) + 1;
    writeFileSync(join(fixture.directory, 'cdc.yaml'), withEpoch(fixture.url, endpoint, above));
    daemon = await fixture.run();
    await fixture.query('UPDATE state_files.item SET n = 3');
    await fixture.delivered();
    const [third = ''] = await seqs(3);
    expect(third > second).toBe(true);
    expect(await fixture.compare('item')).toMatchObject({ equal: true });
    await stop();
  });

  test('a checkpoint that is a symbolic link stays one, and a restart continues from what it leads to', async () => {
    mkdirSync(join(fixture.directory, 'disk'));
    mkdirSync(dirname(fixture.checkpoint));
    symlinkSync('../disk/real.json', fixture.checkpoint);
    daemon = await fixture.run();
    await fixture.query('INSERT INTO state_files.item VALUES (1, 1)');
    await fixture.delivered();
    await stop();
    await fixture.query('UPDATE state_files.item SET n = 2');
    daemon = await fixture.run();
    await fixture.delivered();
    expect(await fixture.compare('item')).toMatchObject({ equal: true, repeats: 0 });
    expect(lstatSync(fixture.checkpoint).isSymbolicLink()).toBe(true);
    expect(readdirSync(join(fixture.directory, 'disk')).sort()).toEqual([
      'real.json',
      'real.json.epoch',
      'real.json.lock',
    ]);
  });

  const canMount =
    process.platform === 'linux' && spawnSync('unshare', ['-m', 'sh', '-c', 'mount --bind /tmp /tmp']).status === 0;
  test.skipIf(!canMount)('a checkpoint that is mounted alone is found by cdc check, before cdc run fails', async () => {
    mkdirSync(dirname(fixture.checkpoint));
    daemon = await fixture.run();
    await stop();
    const mounted = join(fixture.directory, 'mounted.json');
    writeFileSync(mounted, '');
    spawnSync('cp', [fixture.checkpoint, mounted]);
    const cdc = async (command: string) => {
      const script = 'mount --bind "$0" "$1" && shift && exec "$@"';
      const words = ['-m', 'sh', '-c', script, mounted, fixture.checkpoint];
      const child = spawn('unshare', [...words, process.execPath, resolve('dist/main.js'), command], {
        cwd: fixture.directory,
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
      const [code] = await once(child, 'close');
      return { code, output };
    };
    const expected = (code: number) => ({
      code,
      output: expect.stringMatching(
        /(?=[\s\S]*cannot write the checkpoint)[\s\S]*mount the folder of the checkpoint instead/,
      ),
    });
    expect(await cdc('check')).toEqual(expected(3));
    expect(await cdc('run')).toEqual(expected(3));
    expect(readdirSync(dirname(fixture.checkpoint)).filter((name) => name.includes('check.'))).toEqual([]);
  });
});

const withEpoch = (url: string, endpoint: string, epoch: number): string => `name: shop
source: { url: "${url}", epoch: ${epoch} }
tables: ["state_files.*"]
firehose: { stream: changes, endpoint: "${endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
`;
