import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { type Cdc, Fixture, startCdcWith, until } from './pipeline-fixture.ts';
import { SecretsManagerServer } from './secrets-manager-server.ts';

// What of a secret a process leaves where another one can read it: docs of SECURITY.md, "What to know".
const PASSWORD = 'MarkPassword95x7Qz';
const KEY = 'MarkAwsKey96x7QzMarkAwsKey96x7QzMarkAws0';

let fixture: Fixture;
let aws: SecretsManagerServer;
let daemon: Cdc | undefined;

beforeAll(async () => {
  fixture = new Fixture(inject('mysqlUrl'), 'traces');
  aws = await SecretsManagerServer.listen();
  aws.secrets.set('x', JSON.stringify({ password: PASSWORD }));
  await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
  await fixture.query(
    'DROP USER IF EXISTS traced',
    `CREATE USER traced IDENTIFIED BY '${PASSWORD}'`,
    'GRANT ALL ON *.* TO traced',
  );
  await fixture.startFirehose();
  writeFileSync(join(fixture.directory, 'password'), PASSWORD);
});
afterEach(async () => {
  daemon?.child.kill('SIGKILL');
  await daemon?.ended;
});
afterAll(async () => {
  await fixture.query('DROP USER IF EXISTS traced');
  await fixture.remove();
  await aws.close();
});

async function start(source: string, env: Record<string, string>): Promise<Cdc> {
  const { host } = new URL(fixture.url);
  writeFileSync(
    join(fixture.directory, 'cdc.yaml'),
    `name: shop
source: { url: "mysql://traced@${host}", tls: disabled, ${source} }
tables: ["traces.*"]
firehose: { stream: changes, endpoint: "${fixture.firehose?.endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
`,
  );
  const options = `--report-on-signal --report-signal=SIGUSR2 --report-directory=${fixture.directory}`;
  daemon = startCdcWith(
    { ...env, NODE_OPTIONS: options, AWS_ACCESS_KEY_ID: 'AKIAMARKED', AWS_SECRET_ACCESS_KEY: KEY },
    fixture.directory,
    'run',
  );
  const { stderr, child } = daemon;
  await until(() => stderr().includes('following the binlog') || child.exitCode !== null);
  await fixture.delivered();
  return daemon;
}

/** The report that a signal makes Node write, once it is complete. */
async function report(): Promise<string> {
  const before = readdirSync(fixture.directory);
  daemon?.child.kill('SIGUSR2');
  let text = '';
  await until(() => {
    const name = readdirSync(fixture.directory).find((file) => file.startsWith('report.') && !before.includes(file));
    text = name === undefined ? '' : readFileSync(join(fixture.directory, name), 'utf8');
    return /\}\s*$/.test(text);
  });
  return text;
}

const proc = (file: string): string => readFileSync(`/proc/${daemon?.child.pid}/${file}`, 'latin1');

const linux = process.platform === 'linux';
test.skipIf(!linux).each([
  ['password_file', () => 'password_file: password', {}],
  ['password_secret', () => `password_secret: { id: x, endpoint: "${aws.endpoint}" }`, {}],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the configuration
  ['a variable', () => 'password: "${TRACED_PASSWORD}"', { TRACED_PASSWORD: PASSWORD }],
])('the password of %s is in no argument, report or log of the daemon', async (from, source, env) => {
  const { child, stderr, stdout } = await start(source(), env);
  expect(proc('cmdline')).not.toContain(PASSWORD);
  // The kernel shows the environment that the process was started with; nobody but the owner and root can read it.
  expect(proc('environ').includes(PASSWORD)).toBe(from === 'a variable');
  const text = await report();
  expect(JSON.parse(text).header.trigger).toBe('Signal');
  expect(text).not.toContain(PASSWORD);
  if ('excludeEnv' in process.report) expect(text).not.toContain(KEY);
  expect(stderr() + stdout()).not.toMatch(/MarkPassword95|MarkAwsKey96/);
  expect(child.exitCode).toBeNull();
});

test.skipIf(!linux)('processes that cdc starts for AWS credentials do not inherit the password', async () => {
  const dump = join(fixture.directory, 'inherited');
  const config = join(fixture.directory, 'aws-config');
  const answer = JSON.stringify({ Version: 1, AccessKeyId: 'AKIAX', SecretAccessKey: 'x' });
  writeFileSync(join(fixture.directory, 'give.sh'), `env > "${dump}"\necho '${answer}'\n`);
  writeFileSync(config, `[profile p]\ncredential_process = sh ${join(fixture.directory, 'give.sh')}\n`);
  const { host } = new URL(fixture.url);
  writeFileSync(
    join(fixture.directory, 'cdc.yaml'),
    // No local endpoint: those need no credentials. Nothing answers at this one.
    `name: shop
source: { url: "mysql://traced@${host}", tls: disabled, password: "\${TRACED_PASSWORD}" }
firehose: { stream: changes, region: eu-west-1, endpoint: "http://192.0.2.1:1" }
`,
  );
  const check = spawn(process.execPath, [join(process.cwd(), 'dist/main.js'), 'check'], {
    cwd: fixture.directory,
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      HOME: fixture.directory,
      AWS_CONFIG_FILE: config,
      AWS_PROFILE: 'p',
      TRACED_PASSWORD: PASSWORD,
    },
  });
  await once(check, 'close');
  const inherited = readFileSync(dump, 'utf8');
  expect(inherited).toContain('AWS_PROFILE=p');
  expect(inherited).not.toContain('MarkPassword95');
});
