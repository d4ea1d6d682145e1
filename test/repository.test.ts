import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder)).flatMap((name) => (name.endsWith(ending) ? [`${folder}/${name}`] : []));

/** Everything that lies at the top of the repository. A new entry needs a reason, and a line here. */
const TOP_LEVEL = [
  '.ci',
  '.editorconfig',
  '.github',
  '.gitignore',
  '.npmrc',
  '.nvmrc',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'biome.json',
  'config',
  'docker',
  'docs',
  'package-lock.json',
  'package.json',
  'src',
  'test',
  'tsconfig.bench.json',
  'tsconfig.build.json',
  'tsconfig.json',
  'vitest.config.ts',
];

// A tarball of the sources has no index to compare with.
test.skipIf(!existsSync(join(root, '.git')))('nothing but the known files lies at the top of the repository', () => {
  const git = spawnSync('git', ['-c', 'safe.directory=*', 'ls-files'], { cwd: root, encoding: 'utf8' });
  expect(git.status, git.error?.message ?? git.stderr).toBe(0);
  const entries = new Set(git.stdout.split('\n').flatMap((path) => (path === '' ? [] : [path.split('/')[0]])));
  expect([...entries].sort()).toEqual([...TOP_LEVEL].sort());
});

interface Job {
  strategy?: { matrix?: { node?: string[]; include?: { run?: string }[] } };
  steps: { run?: string; uses?: string }[];
}

function jobsOf(path: string): Job[] {
  const document = parseDocument(read(path));
  expect(document.errors).toEqual([]);
  return Object.values(document.toJS().jobs);
}

/** The commands of a job, those that its matrix lists included. */
const commandsOf = ({ steps, strategy }: Job): string[] =>
  [...steps, ...(strategy?.matrix?.include ?? [])].flatMap(({ run }) => run ?? []);

const majorOf = (version: string): string => /\d+/.exec(version)?.[0] ?? '';
const { engines, scripts } = JSON.parse(read('package.json'));

describe('.github', () => {
  test('the ci workflow runs .ci/run on each supported Node version, the oldest one included', () => {
    const complete = jobsOf('.github/workflows/ci.yml').filter((job) => commandsOf(job).includes('.ci/run'));
    const versions = complete.flatMap((job) => job.strategy?.matrix?.node ?? []);
    expect(versions).toContain(majorOf(engines.node));
    expect(versions).toEqual(['20', '22', '24']);
  });

  test.each(filesIn('.github/workflows', '.yml'))('%s runs npm scripts and files that are there', (path) => {
    const commands = jobsOf(path).flatMap(commandsOf).join('\n');
    const called = [...commands.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] as string);
    expect(called.filter((name) => !(name in scripts))).toEqual([]);
    const programs = [...commands.matchAll(/^\.[\w/.-]+/gm)].map(([program]) => program);
    expect(programs.filter((program) => !existsSync(join(root, program)))).toEqual([]);
  });

  test.each(filesIn('.github/ISSUE_TEMPLATE', '.yml'))('%s is YAML', (path) => {
    expect(parseDocument(read(path)).errors).toEqual([]);
  });
});

test('.nvmrc names the major version of the engines minimum', () => {
  expect(read('.nvmrc').trim()).toBe(majorOf(engines.node));
});

describe('docs/decisions', () => {
  const pages = filesIn('docs/decisions', '.md').filter((path) => !path.endsWith('README.md'));

  test.each(pages)('%s has the four sections', (path) => {
    const sections = [...read(path).matchAll(/^## (.+)$/gm)].map((match) => match[1]);
    expect(sections).toEqual(['Context', 'Decision', 'What was measured', 'What it costs']);
  });

  test('the index lists every page with its number and title, in order', () => {
    const listed = [...read('docs/decisions/README.md').matchAll(/^\| (\d{4}) \| \[(.+)\]\((.+)\) \|/gm)];
    expect(listed.map(([, number, title, file]) => `docs/decisions/${file}: # ${number}. ${title}`)).toEqual(
      pages.map((path) => `${path}: ${read(path).split('\n')[0]}`),
    );
    expect(listed.map(([, number]) => Number(number))).toEqual(pages.map((_, i) => i + 1));
  });
});

test.each([
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  '.github/PULL_REQUEST_TEMPLATE.md',
  ...filesIn('docs/decisions', '.md'),
])('%s links to files that are there', (path) => {
  const links = [...read(path).matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)].map((match) => match[1] as string);
  const local = links.filter((link) => !/^https?:/.test(link));
  expect(local.filter((link) => !existsSync(join(root, dirname(path), link)))).toEqual([]);
});
