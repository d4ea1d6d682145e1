import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Cdc, Fixture, startCdcWith, until } from './pipeline-fixture.ts';
import { RdsFront } from './rds-front.ts';
import { Authority } from './tls/authority.ts';

const RULE = {
  accessKeyId: 'AKIAMARKEDMARKED0001',
  secretAccessKey: 'MarkSecretKey94MarkSecretKey94MarkSecret',
  user: 'by_token',
  region: 'eu-west-1',
};
const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: RULE.accessKeyId,
  AWS_SECRET_ACCESS_KEY: RULE.secretAccessKey,
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
  AWS_REGION: undefined,
  AWS_EC2_METADATA_DISABLED: 'true',
};

describe.each([
  ['MySQL', 'mysqlUrl'],
  ['MariaDB', 'mariadbUrl'],
] as const)('source.iam_auth on %s', (_, server) => {
  let authority: Authority;
  let front: RdsFront;
  let fixture: Fixture;
  let daemon: Cdc | undefined;

  beforeAll(async () => {
    authority = new Authority();
    fixture = new Fixture(inject(server), 'by_token');
    fixture.env = CREDENTIALS;
    const target = Number(new URL(fixture.url).port);
    front = await RdsFront.listen(target, authority.issue({ name: 'localhost' }), {
      ...RULE,
      host: 'localhost',
      port: 0,
    });
    front.rule.port = front.port;
    await fixture.startFirehose();
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)', 'INSERT INTO item VALUES (1)');
  });
  beforeEach(() => {
    front.logins.length = 0;
    front.rule = { ...RULE, host: 'localhost', port: front.port };
    configure();
  });
  afterEach(async () => {
    daemon?.child.kill('SIGKILL');
    await daemon?.ended;
  });
  afterAll(async () => {
    front?.close();
    authority?.remove();
    await fixture?.remove();
  });

  const configure = (
    source = 'iam_auth: { region: eu-west-1 }',
    tls = `tls: verify-identity, ca_file: "${authority.file}"`,
  ): void =>
    writeFileSync(
      join(fixture.directory, 'cdc.yaml'),
      `name: shop
source: { url: "mysql://by_token@localhost:${front.port}", ${source}, ${tls} }
tables: ["by_token.*"]
firehose: { stream: changes, endpoint: "${fixture.firehose?.endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
`,
    );
  const command = (words: string[], env: Record<string, string | undefined> = CREDENTIALS) =>
    startCdcWith(env, fixture.directory, ...words).ended;

  test('each attempt of every connection has a token of its own, that AWS would accept', async () => {
    daemon = await fixture.run();
    expect(daemon.child.exitCode, daemon.stderr()).toBeNull();
    await fixture.delivered();
    const { code, stderr } = await command(['backfill', 'by_token.item', '--yes']);
    expect(code, stderr).toBe(0);
    const before = front.logins.map(({ token }) => token);
    front.cut();
    await fixture.query('INSERT INTO by_token.item VALUES (2)');
    await fixture.delivered();
    expect(await fixture.compare('item')).toMatchObject({ equal: true, lakeRows: 2 });
    expect(front.logins.map(({ problem }) => problem).filter(Boolean)).toEqual([]);
    // The time of a token is in seconds; none of before the failover is used again after it.
    const after = front.logins.slice(before.length).map(({ token }) => token);
    expect(after.length).toBeGreaterThan(0);
    expect(after.filter((token) => before.includes(token))).toEqual([]);
    expect(daemon.stderr() + daemon.stdout()).not.toMatch(/X-Amz-Signature|MarkSecretKey94/);
    expect(front.clearText).toBe('');
  });

  test('while a token is refused the daemon tries again, with a new one each time', async () => {
    daemon = await fixture.run();
    await fixture.delivered();
    front.rule = { ...front.rule, user: 'somebody' };
    front.cut();
    await until(() => (daemon?.stderr().match(/each attempt has a new token/g)?.length ?? 0) >= 2);
    front.rule = { ...front.rule, user: RULE.user };
    await fixture.query('INSERT INTO by_token.item VALUES (3)');
    await fixture.delivered();
    expect(daemon.child.exitCode).toBeNull();
  });

  test.each([
    ['the wrong secret key', { ...CREDENTIALS, AWS_SECRET_ACCESS_KEY: 'other' }, undefined, 'wrong signature'],
    ['another region', CREDENTIALS, 'iam_auth: { region: us-east-1 }', expect.stringContaining('/us-east-1/')],
    [
      'another host',
      CREDENTIALS,
      'iam_auth: { region: eu-west-1, host: "other.example:3306" }',
      expect.stringContaining('other.example:3306'),
    ],
  ])('cdc check with a token of %s names the policy and the account that it needs', async (_, env, source, problem) => {
    configure(source);
    const { code, stdout } = await command(['check'], env);
    expect(front.logins.at(-1)?.problem).toEqual(problem);
    expect(code).toBe(3);
    expect(stdout).toMatch(/rejects user by_token[\s\S]*rds-db:connect[\s\S]*AWSAuthenticationPlugin/);
    expect(stdout).not.toContain('X-Amz-Signature');
  });

  test('the endpoint that RDS names can differ from the name in the url', async () => {
    front.rule = { ...front.rule, host: 'shop.abc.eu-west-1.rds.amazonaws.com', port: 3306 };
    configure('iam_auth: { host: "shop.abc.eu-west-1.rds.amazonaws.com:3306" }');
    const { stdout, stderr } = await command(['check']);
    expect(
      front.logins.map(({ problem }) => problem),
      stdout + stderr,
    ).toEqual(front.logins.map(() => undefined));
    expect(front.logins.length).toBeGreaterThan(0);
  });

  test('without credentials or region, cdc check says what to set', async () => {
    const none = { ...CREDENTIALS, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    const noCredentials = await command(['check'], none);
    expect([noCredentials.code, noCredentials.stdout]).toEqual([
      3,
      expect.stringMatching(/no AWS credentials were found[\s\S]*AWS_PROFILE/),
    ]);
    configure('iam_auth: true');
    const noRegion = await command(['check'], { ...CREDENTIALS, AWS_CONFIG_FILE: '/nonexistent' });
    expect([noRegion.code, noRegion.stdout]).toEqual([
      3,
      expect.stringMatching(/region of AWS is not known[\s\S]*source.iam_auth.region/),
    ]);
    expect(front.logins).toEqual([]);
  });

  test('a token is never sent to a server that is not the right one, or in clear text', async () => {
    const other = new Authority();
    configure(undefined, `tls: verify-identity, ca_file: "${other.file}"`);
    expect(await command(['check'])).toMatchObject({ code: 3, stdout: expect.stringContaining('is not trusted') });
    configure(undefined, 'tls: disabled');
    expect(await command(['check'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('source.iam_auth: needs TLS'),
    });
    expect([front.logins, front.clearText]).toEqual([[], '']);
    other.remove();
  });
});
