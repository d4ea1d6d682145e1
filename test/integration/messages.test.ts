import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { cdc, Fixture, startCdcWith, until } from './pipeline-fixture.ts';

/** What the operator reads when something is wrong: the cause that is there, as lines that programs can read. */

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavor) => {
  let fixture: Fixture;
  const user = `named_${process.pid}`;
  beforeAll(async () => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `messages_${process.pid}`);
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    fixture.configure((await fixture.startFirehose()).endpoint);
  });
  afterAll(async () => {
    await fixture.query(`DROP USER IF EXISTS ${user}@'%'`);
    await fixture.remove();
  });

  /** `cdc check` with another user. */
  async function checkAs(source: string): Promise<string> {
    const url = new URL(fixture.url);
    url.username = user;
    url.password = '';
    const file = join(fixture.directory, 'other.yaml');
    const text = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    writeFileSync(file, text.replace(`"${fixture.url}"`, `"${url.href}"${source}`));
    return (await cdc(fixture.directory, 'check', '-c', file)).stdout;
  }

  test('the hint of a limit of the account names that limit', async () => {
    await fixture.query(
      `DROP USER IF EXISTS ${user}@'%'`,
      `CREATE USER ${user}@'%' IDENTIFIED BY 'pw' WITH MAX_QUERIES_PER_HOUR 2`,
    );
    const output = await checkAs(', password: pw');
    expect(output).toMatch(/has reached its max_(questions|queries_per_hour) on/);
    expect(output).toContain(`ALTER USER '${user}'@'%' WITH MAX_QUERIES_PER_HOUR 0;`);
    expect(output).not.toContain('max_connections');
  });

  test('a user with REQUIRE SSL, without TLS, is pointed to source.tls', async () => {
    await fixture.query(`DROP USER IF EXISTS ${user}@'%'`, `CREATE USER ${user}@'%' IDENTIFIED BY 'pw' REQUIRE SSL`);
    expect(await checkAs(', password: pw')).toMatch(/a user with REQUIRE SSL needs source.tls/);
  });

  test('an empty password is named, and a missing user is proposed', async () => {
    await fixture.query(`DROP USER IF EXISTS ${user}@'%'`);
    const output = await checkAs(', password: ""');
    expect(output).toMatch(/do: {2}the password is empty/);
    expect(output).toContain(`CREATE USER '${user}'@'%' IDENTIFIED BY '…';`);
  });

  test('a KILL of the dump is a closed connection that is opened again', async () => {
    const daemon = await fixture.run();
    await fixture.delivered();
    const connection = await createConnection({ uri: fixture.url });
    const [dumps] = await connection.query<RowDataPacket[]>(
      "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    );
    for (const { id, ID } of dumps) await connection.query(`KILL ${id ?? ID}`);
    connection.destroy();
    await until(() => daemon.stderr().includes('retryInMs'));
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    const { code, stderr } = await daemon.ended;
    expect(code).toBe(0);
    const warning = stderr
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .find(({ retryInMs }) => retryInMs !== undefined);
    expect(warning.msg).toMatch(/was closed|ended the connection/);
    expect(JSON.stringify(warning)).not.toMatch(/cannot be reached|firewall/);
  });

  test.runIf(flavor === 'mysql')('the last error of cdc run is a line of its log', async () => {
    const config = readFileSync(join(fixture.directory, 'cdc.yaml'), 'utf8');
    const file = join(fixture.directory, 'nowhere.yaml');
    writeFileSync(file, config.replace('stream: changes', 'stream: change'));
    const { code, stdout, stderr } = await cdc(fixture.directory, 'run', '-c', file);
    const lines = stderr.split('\n').filter(Boolean);
    const last = JSON.parse(lines.at(-1) ?? '');
    expect(last).toMatchObject({ level: 60, msg: 'there is no stream change', exitCode: 3 });
    expect(last).toMatchObject({ why: expect.any(String), hint: expect.stringContaining('did you mean') });
    for (const line of lines) JSON.parse(line);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  });

  test.runIf(flavor === 'mysql')(
    'CDC_LOG_LEVEL that is empty is the default, and a wrong one ends with 2',
    async () => {
      const wrong = await startCdcWith({ CDC_LOG_LEVEL: 'loud' }, fixture.directory, 'run').ended;
      expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/^error: .*CDC_LOG_LEVEL is loud/) });
      fixture.env = { CDC_LOG_LEVEL: '' };
      const daemon = await fixture.run();
      expect(daemon.stderr()).toContain('following the binlog');
      daemon.child.kill('SIGTERM');
      expect(await daemon.ended).toMatchObject({ code: 0 });
    },
  );
});
