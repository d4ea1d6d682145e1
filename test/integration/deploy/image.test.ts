import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Copy, DockerfileParser, type Instruction } from 'dockerfile-ast';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readFile, root } from '../../deploy/deploy-files.ts';
import { Fixture, until } from '../pipeline-fixture.ts';

/**
 * What docker build would do, as far as it can be done without an engine: each stage gets a folder of its own, COPY
 * copies what it names and nothing else, and RUN runs there. `npm ci` is replaced by the packages that are installed
 * here: by all, and by those that --omit=dev leaves.
 */

const folder = mkdtempSync(join(tmpdir(), 'cdc-image-'));
const image = join(folder, 'image');
afterAll(() => {
  // The files of the image are read-only.
  spawnSync('chmod', ['-R', 'u+w', folder]);
  rmSync(folder, { recursive: true, force: true });
});

const instructions = DockerfileParser.parse(readFile('docker/Dockerfile')).getInstructions();
/** The folder of each stage, by its name; the last one has none. */
const stages = new Map<string, string>();

/** A path of the image, in the folder of its stage. */
const inStage = (stage: string, workdir: string, path: string): string =>
  join(stage, path.startsWith('/') ? path : join(workdir, path));

function copy(instruction: Copy, stage: string, workdir: string): void {
  const words = instruction.getArguments().map((argument) => argument.getValue());
  const target = words.pop() as string;
  const from = instruction
    .getFlags()
    .find((flag) => flag.getName() === 'from')
    ?.getValue();
  const source = from ? (stages.get(from) as string) : root;
  const to = inStage(stage, workdir, target);
  mkdirSync(to.replace(/[^/]*$/, ''), { recursive: true });
  for (const word of words) {
    const path = join(source, word);
    cpSync(path, words.length > 1 || target === './' ? join(to, word) : to, {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}

function run(command: string, stage: string, workdir: string): void {
  const cwd = join(stage, workdir);
  if (command.startsWith('npm ci')) installed(command, cwd);
  else if (command.startsWith('npm run ')) {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command}: ${stdout}${stderr}`);
  } else if (command.startsWith('mkdir -p ')) {
    // The owner is that of the volume, which the test sets itself.
    for (const path of command
      .replace(/ && .*/, '')
      .split(' ')
      .slice(2))
      mkdirSync(join(stage, path), { recursive: true });
  } else throw new Error(`the test cannot run ${command}`);
}

/** The packages of `npm ci`, from those that are installed. */
function installed(command: string, cwd: string): void {
  if (!command.includes('--omit=dev')) {
    symlinkSync(join(root, 'node_modules'), join(cwd, 'node_modules'));
    return;
  }
  const listing = spawnSync('npm', ['ls', '--all', '--parseable', '--omit=dev', '--omit=optional'], {
    cwd: root,
    encoding: 'utf8',
  });
  const names = listing.stdout.split('\n').flatMap((path) => /node_modules\/(?:@[^/]+\/)?[^/]+$/.exec(path)?.[0] ?? []);
  const present = [...new Set(names)].filter((name) => existsSync(join(root, name)));
  const { status, stderr } = spawnSync('cp', ['-a', '--parents', ...present, cwd], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

beforeAll(() => {
  let [stage, workdir] = ['', '/'];
  for (const instruction of instructions as Instruction[]) {
    const rest = instruction.getArgumentsContent() ?? '';
    switch (instruction.getKeyword()) {
      case 'FROM': {
        const name = / AS (\w+)$/.exec(rest)?.[1];
        stage = name === undefined ? image : join(folder, name);
        if (name !== undefined) stages.set(name, stage);
        [workdir] = ['/'];
        break;
      }
      case 'WORKDIR':
        workdir = rest;
        mkdirSync(join(stage, workdir), { recursive: true });
        break;
      case 'COPY':
        copy(instruction as Copy, stage, workdir);
        break;
      case 'RUN':
        run(rest, stage, workdir);
    }
  }
});

const cdc = (...words: string[]) =>
  spawnSync(process.execPath, [join(image, 'opt/cdc/dist/main.js'), ...words], { encoding: 'utf8', cwd: '/' });

test('the image has cdc, its dashboard, and no package of development', () => {
  const { version } = JSON.parse(readFile('package.json'));
  expect(cdc('--version')).toMatchObject({ stdout: `${version}\n`, status: 0 });
  expect(existsSync(join(image, 'opt/cdc/dist/dashboard/index.html'))).toBe(true);
  expect(readdirSync(join(image, 'opt/cdc')).sort()).toEqual(['LICENSE', 'dist', 'node_modules', 'package.json']);
  const development = ['typescript', 'vite', 'vitest', 'preact', 'playwright-core', '@duckdb', '@electric-sql'];
  const packages = development.filter((name) => existsSync(join(image, 'opt/cdc/node_modules', name)));
  expect(packages).toEqual([]);
});

const isRoot = process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;
/** A mount namespace in which everything except the volume is read-only. */
const READ_ONLY = 'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"';
const canMount = isRoot && spawnSync('unshare', ['-m', 'sh', '-c', READ_ONLY, tmpdir(), 'true']).status === 0;

describe.skipIf(!isRoot)(`the account 1000${canMount ? ' with a read-only root filesystem' : ''}`, () => {
  const volume = join(image, 'var/lib/cdc');
  const config = join(image, 'etc/cdc/cdc.yaml');
  const main = join(image, 'opt/cdc/dist/main.js');
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  let bed: Fixture;

  beforeAll(async () => {
    bed = new Fixture(inject('mysqlUrl'), 'deploy_image');
    await bed.createSchema('CREATE TABLE orders (id INT PRIMARY KEY)');
    bed.configure((await bed.startFirehose()).endpoint);
    const text = readFileSync(join(bed.directory, 'cdc.yaml'), 'utf8').replace(
      'state/shop.json',
      `${volume}/shop.json`,
    );
    writeFileSync(config, text);
    spawnSync('chown', ['-R', '0:0', image]);
    spawnSync('chmod', ['-R', 'a=rX,u+w', image]);
    spawnSync('chown', ['1000:1000', volume]);
    chmodSync(folder, 0o755);
  });
  afterAll(() => bed.remove());

  const words = (...command: string[]): [string, string[]] => {
    const asUser = ['--reuid=1000', '--regid=1000', '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
    const all = ['setpriv', ...asUser, process.execPath, main, ...command, '-c', config];
    return canMount ? ['unshare', ['-m', 'sh', '-c', READ_ONLY, volume, ...all]] : ['setpriv', all.slice(1)];
  };

  test('delivers, answers the health check, and ends with 0 at SIGTERM', async () => {
    const daemon = spawn(...words('run'), { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    daemon.stderr.on('data', (data) => (log += data));
    const ended = once(daemon, 'close');
    await until(() => log.includes('following the binlog') || daemon.exitCode !== null);
    await bed.query('INSERT INTO deploy_image.orders VALUES (1)');
    await bed.delivered();
    expect(spawnSync(...words('status', '--alive'), { env }).status).toBe(0);
    daemon.kill('SIGTERM');
    expect([await ended, log]).toEqual([[0, null], expect.not.stringMatching(/EACCES|EROFS|EPERM/)]);
    const owned = spawnSync('find', [image, '-user', '1000'], { encoding: 'utf8' }).stdout.trim().split('\n');
    expect(owned.filter((path) => !path.startsWith(volume))).toEqual([]);
    expect(readdirSync(volume)).toContain('shop.json');
  });
});
