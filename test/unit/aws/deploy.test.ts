import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { checkStack } from '../../aws/stacks.ts';
import { readTemplate, templateNames } from '../../aws/template.ts';

/** deploy.sh with an `aws` that notes its arguments, because the AWS CLI needs an account. */

const SCRIPT = resolve(import.meta.dirname, '../../../config/aws/deploy.sh');
const folder = mkdtempSync(join(tmpdir(), 'cdc-deploy-'));
const calls = join(folder, 'calls');
const bin = join(folder, 'bin');
mkdirSync(bin);
writeFileSync(
  join(bin, 'aws'),
  `#!/bin/sh
for argument in "$@"; do printf '%s\\n' "$argument"; done >>"$CALLS"
printf '\\n' >>"$CALLS"
case "$*" in
  *describe-stacks*CdcConfiguration*) printf 'firehose:\\n  stream: shop-changes-staging\\n' ;;
  *describe-stacks*ProducerPolicy*) echo arn:producer ;;
  *describe-stacks*ReaderPolicy*) echo arn:reader ;;
  *deploy*) exit "\${DEPLOY_STATUS:-0}" ;;
esac
`,
);
chmodSync(join(bin, 'aws'), 0o755);

beforeEach(() => writeFileSync(calls, ''));
afterAll(() => rmSync(folder, { recursive: true }));

const deploy = (args: string[], env: NodeJS.ProcessEnv = {}) => {
  const path = env.PATH ?? `${bin}:${process.env.PATH}`;
  const run = spawnSync('sh', [SCRIPT, ...args], { encoding: 'utf8', env: { CALLS: calls, ...env, PATH: path } });
  const made = readFileSync(calls, 'utf8')
    .split('\n\n')
    .filter(Boolean)
    .map((call) => call.trim().split('\n'));
  return { ...run, made };
};

const overrides = (call: string[]): string[] => call.slice(call.indexOf('--parameter-overrides') + 1);

test('the stack of S3 in staging is what a bucket alone asks for', () => {
  const { status, stdout, stderr, made } = deploy(['shop-lake']);
  expect([status, stderr]).toEqual([0, '']);
  expect(made[0]!.slice(0, 8)).toEqual([
    'cloudformation',
    'deploy',
    '--template-file',
    SCRIPT.replace('deploy.sh', 's3.yaml'),
    '--stack-name',
    'shop-changes-staging-s3',
    '--capabilities',
    'CAPABILITY_IAM',
  ]);
  expect(overrides(made[0]!)).toEqual(['Environment=staging', 'DataLocation=shop-lake', 'StreamName=shop-changes']);
  expect(made.slice(1).every((call) => call.includes('shop-changes-staging-s3'))).toBe(true);
  expect(stdout).toContain('Put this into cdc.yaml:\n\nfirehose:\n  stream: shop-changes-staging\n');
  expect(stdout).toContain('arn:producer');
  expect(stdout).toContain('arn:reader');
});

test('options and parameters reach the template, spaces and quotes included', () => {
  const parameters = ['WorkgroupName=shop', `SecretArn=it's a "secret"`];
  const args = ['--stack', 'redshift', '--name', 'orders', '--existing', 'shop-lake', 'production', ...parameters];
  const { status, stdout, made } = deploy(args);
  expect(status).toBe(0);
  expect(made[0]).toContain('orders-production-redshift');
  expect(overrides(made[0]!)).toEqual([
    'Environment=production',
    'DataLocation=shop-lake',
    'StreamName=orders',
    'DataLocationIs=existing',
    ...parameters,
  ]);
  expect(stdout).not.toContain('arn:reader');
});

test('every template can be chosen, and has the parameters and outputs that the script names', () => {
  for (const name of templateNames()) {
    const { status, made } = deploy(['--stack', name, 'shop-lake', 'Port=1']);
    expect([name, status]).toEqual([name, 0]);
    const { Parameters: parameters, Outputs: outputs } = readTemplate(name);
    const set = overrides(made[0]!).slice(0, 3);
    expect([...set, 'DataLocationIs='].filter((one) => !(one.split('=')[0]! in parameters))).toEqual([]);
    const asked = made.slice(1).map((call) => /OutputKey=='(\w+)'/.exec(call.join(' '))![1]!);
    expect(asked.filter((key) => !(key in outputs))).toEqual([]);
    writeFileSync(calls, '');
  }
});

/** The calls of deploy.sh in docs/AWS.md: what follows the program, line by line. */
const documented = readFileSync(join(SCRIPT, '../../../docs/AWS.md'), 'utf8')
  .replaceAll(/ \\\n\s*/g, ' ')
  .split('\n')
  .flatMap((line) => (line.startsWith('    config/aws/deploy.sh ') ? [line.trim()] : []));

test.each(documented)('%s, as documented, deploys a valid stack', (line) => {
  const { status, stderr, made } = deploy(line.split(' ').slice(1));
  expect([status, stderr]).toEqual([0, '']);
  const [, name] = /([\w]+)\.yaml$/.exec(made[0]!.find((one) => one.endsWith('.yaml'))!)!;
  const parameters = Object.fromEntries(
    overrides(made[0]!).map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]),
  );
  expect(checkStack(readTemplate(name!), parameters)).toEqual([]);
});

test('docs/AWS.md shows how to deploy each stack', () => {
  const shown = new Set(documented.map((line) => /--stack (\w+)/.exec(line)?.[1] ?? 's3'));
  expect([...shown].sort()).toEqual(templateNames().sort());
});

test.each<[string, string[], string]>([
  ['no bucket', [], 'the bucket is missing'],
  ['a url', ['s3://shop-lake'], 's3://shop-lake is no name of a bucket'],
  ['capitals', ['Shop'], 'Shop is no name of a bucket'],
  ['two lines', ['shop\nlake'], 'is no name of a bucket'],
  ['another environment', ['shop-lake', 'test'], 'the environment is test: it must be staging or production'],
  ['two environments', ['shop-lake', 'staging', 'production'], 'production is no PARAMETER=VALUE'],
  ['another stack', ['--stack', 'splunk', 'shop-lake'], 'there is no stack splunk'],
  ['a path as stack', ['--stack', '../s3', 'shop-lake'], 'there is no stack ../s3'],
  ['an option without value', ['--stack'], '--stack needs a value'],
  ['an unknown option', ['--force', 'shop-lake'], 'there is no option --force'],
  ['a name with a slash', ['--name', 'a/b', 'shop-lake'], 'a/b is no name of a stream'],
  ['a name of 54 letters', ['--name', 'a'.repeat(54), 'shop-lake'], 'is no name of a stream'],
  ['a parameter twice', ['shop-lake', 'Environment=production'], 'Environment is set by'],
])('%s is rejected before anything is called', (_what, args, message) => {
  const { status, stdout, stderr, made } = deploy(args);
  expect([status, stdout, made]).toEqual([2, '', []]);
  expect(stderr).toContain(message);
});

test('a deployment that fails names the command that shows why', () => {
  const { status, stdout, stderr, made } = deploy(['shop-lake'], { DEPLOY_STATUS: '255' });
  expect([status, stdout, made.length]).toEqual([1, '', 1]);
  expect(stderr).toContain('aws cloudformation describe-stack-events --stack-name shop-changes-staging-s3');
});

test('a machine without the AWS CLI gets an error', () => {
  const without = join(folder, 'without');
  mkdirSync(without);
  for (const program of ['sh', 'cat', 'dirname', 'grep', 'wc']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' });
    writeFileSync(join(without, program), `#!/bin/sh\nexec ${stdout.trim()} "$@"\n`, { mode: 0o755 });
  }
  const { status, stderr } = deploy(['shop-lake'], { PATH: without });
  expect([status, stderr.split('\n')[0]]).toEqual([
    2,
    'deploy.sh: there is no AWS CLI: install it (aws --version), and configure its credentials',
  ]);
});

test('--help shows every option', () => {
  const { status, stdout, made } = deploy(['--help']);
  expect([status, made]).toEqual([0, []]);
  for (const name of [...templateNames(), '--stack', '--name', '--existing']) expect(stdout).toContain(name);
});

/** Where it is installed: it is a package of Debian, not of npm. */
const shellcheck = spawnSync('shellcheck', ['--version']);

test.skipIf(shellcheck.error)('shellcheck finds nothing', () => {
  const { status, stdout } = spawnSync('shellcheck', [SCRIPT], { encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, '']);
});
