import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

interface Packed {
  filename: string;
  unpackedSize: number;
  files: { path: string; size: number; mode: number }[];
}
interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

const MINUTES = 60_000;
const directory = mkdtempSync(join(tmpdir(), 'cdc-package-'));
const empty = join(directory, 'empty');
let packed: Packed;
/** Why nothing could be installed; undefined if it was. */
let unreachable: string | undefined;
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Without what npm gives to its scripts, a test run included: a user has none of it. */
const ENV = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_(lifecycle|package|command|execpath|node)|NODE_|VITEST)/.test(name),
  ),
);

const run = (cwd: string, program: string, ...words: string[]): Promise<Ran> =>
  new Promise((settle) => {
    execFile(program, words, { cwd, env: ENV, maxBuffer: 1e8 }, (error, stdout, stderr) =>
      settle({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });

beforeAll(async () => {
  // A copy: `prepack` replaces dist, which other tests run.
  const tree = join(directory, 'tree');
  for (const file of execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0').filter(existsSync)) {
    mkdirSync(join(tree, dirname(file)), { recursive: true });
    cpSync(file, join(tree, file));
  }
  symlinkSync(resolve('node_modules'), join(tree, 'node_modules'));
  mkdirSync(join(tree, 'dist'));
  writeFileSync(join(tree, 'dist', 'left-over.js'), 'of an earlier build');
  const { stdout, stderr, code } = await run(tree, 'npm', 'pack', '--json', '--pack-destination', directory);
  expect(code, stderr).toBe(0);
  packed = JSON.parse(stdout.slice(stdout.indexOf('[')))[0] as Packed;
  mkdirSync(empty);
  // npm would take a folder above that has node_modules.
  const install = [
    'install',
    '--prefix',
    empty,
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(directory, packed.filename),
  ];
  const installed = await run(empty, 'npm', ...install);
  // Nothing of the package decides whether there is a registry.
  const isAway = /ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ECONNRESET|E40[135]|network/.test(installed.stderr);
  if (installed.code !== 0 && isAway) unreachable = installed.stderr.split('\n')[0];
  else expect(installed.code, installed.stderr).toBe(0);
}, 10 * MINUTES);

describe('the published package', () => {
  const paths = (): string[] => packed.files.map(({ path }) => path);

  test('holds what it needs, and nothing else', () => {
    const folders = new Set(paths().map((path) => (path.includes('/') ? path.slice(0, path.indexOf('/') + 1) : path)));
    expect([...folders].sort()).toEqual(
      [
        'CHANGELOG.md',
        'CONTRIBUTING.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'config/',
        'dist/',
        'docs/',
        'package.json',
      ].sort(),
    );
    expect(paths().filter((path) => /\.(map|d\.ts|tsx?)$|left-over|(^|\/)test\//.test(path))).toEqual([]);
    expect(paths()).toEqual(
      expect.arrayContaining([
        'dist/main.js',
        'dist/dashboard/index.html',
        'config/cdc.example.yaml',
        'config/cdc.schema.json',
        'config/aws/deploy.sh',
      ]),
    );
    expect(packed.unpackedSize).toBeLessThan(5_000_000);
  });

  test('has a module for each of src, and no other', () => {
    const modules = execFileSync('git', ['ls-files', 'src'], { encoding: 'utf8' })
      .split('\n')
      .filter((file) => file.endsWith('.ts') && !file.startsWith('src/dashboard/') && existsSync(file))
      .map((file) => file.replace(/^src(.*)\.ts$/, 'dist$1.js'));
    const built = paths().filter((path) => path.endsWith('.js') && !path.startsWith('dist/dashboard/'));
    expect(built.sort()).toEqual(modules.sort());
  });

  test('each link of its README leads to a file in it', () => {
    const links = [...readFileSync('README.md', 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, path]) =>
      normalize(path as string),
    );
    expect(links.length).toBeGreaterThan(20);
    const known = new Set(paths().flatMap((path) => [path, `${path.slice(0, path.lastIndexOf('/'))}/`, dirname(path)]));
    expect(links.filter((link) => !known.has(link))).toEqual([]);
  });

  test('says each version of what it depends on', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    const loose = Object.entries(dependencies).filter(
      ([, range]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(range as string),
    );
    expect(loose).toEqual([]);
  });
});

describe('installed in an empty folder', () => {
  test('cdc --version, and the error of cdc check without a configuration', async ({ skip }) => {
    if (unreachable !== undefined) return skip(`no registry: ${unreachable}`);
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await run(empty, 'npx', '--no-install', 'cdc', '--version')).toMatchObject({
      code: 0,
      stdout: `${version}\n`,
    });
    const checked = await run(empty, 'npx', '--no-install', 'cdc', 'check');
    expect(checked).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cannot read the configuration cdc.yaml'),
    });
  });

  test('the example of the package loads', async ({ skip }) => {
    if (unreachable !== undefined) return skip(`no registry: ${unreachable}`);
    const example = join('node_modules', 'mysql-firehose-cdc', 'config', 'cdc.example.yaml');
    const { stderr, code } = await run(empty, 'npx', '--no-install', 'cdc', 'status', '-c', example);
    expect([code, stderr]).toEqual([2, expect.stringContaining('CDC_MYSQL_PASSWORD is not set')]);
  });

  test(
    'cdc demo runs to its end, and finds MySQL and the lake equal',
    async ({ skip }) => {
      if (unreachable !== undefined) return skip(`no registry: ${unreachable}`);
      const { code, stdout, stderr } = await run(
        empty,
        'npx',
        '--no-install',
        'cdc',
        'demo',
        '--seconds',
        '4',
        '--rate',
        '50',
        '--json',
      );
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ problems: [], kills: 1 });
    },
    10 * MINUTES,
  );
});
