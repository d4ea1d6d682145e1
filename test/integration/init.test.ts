// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Ended, Fixture, startCdcWith, until } from './pipeline-fixture.ts';
import { cdcOnTerminal, hasTerminal } from './terminal.ts';

const PASSWORD = "it's s3cret";

describe.each(['mysql', 'mariadb'] as const)('cdc init against %s', (flavor) => {
  const user = `init_${flavor}_${process.pid}`;
  let fixture: Fixture;
  let url: string;
  let endpoint: string;
  beforeEach(async () => {
    fixture = new Fixture(inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `init_${flavor}`);
    await fixture.createSchema('CREATE TABLE item (id INT PRIMARY KEY)');
    url = fixture.url.replace('root@', `${user}@`);
    ({ endpoint } = await fixture.startFirehose());
  });
  afterEach(async () => {
    await fixture.query(`DROP USER IF EXISTS '${user}'@'%'`);
    await fixture.remove();
  });

  const file = (): string => join(fixture.directory, 'cdc.yaml');
  const init = (env: Record<string, string>, ...words: string[]): Promise<Ended> =>
    startCdcWith({ CDC_MYSQL_PASSWORD: undefined, ...env }, fixture.directory, 'init', ...words).ended;
  const flags = (): string[] => [
    ...['--url', url, '--stream', 'changes', '--endpoint', endpoint, '--tables', `${fixture.schema}.*`],
  ];

  /** The statements of the output, as an administrator runs them. */
  async function runPrintedSql(output: string): Promise<void> {
    const sql = output
      .split('\n')
      .filter((line) => /^(CREATE|GRANT) /.test(line))
      .map((line) => line.replace("'choose-one'", `'${PASSWORD.replace("'", "''")}'`));
    expect(sql).toHaveLength(3);
    if (flavor === 'mariadb') sql[1] = /on MariaDB instead: (.*)$/m.exec(output)?.[1] as string;
    await fixture.query(...sql);
  }

  const createAccount = async (): Promise<void> => {
    const connection = await createConnection({ uri: fixture.url });
    await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY ?`, [PASSWORD]);
    const monitor = flavor === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';
    await connection.query(`GRANT REPLICATION SLAVE, ${monitor} ON *.* TO '${user}'@'%'`);
    await connection.query(`GRANT SELECT ON ${fixture.schema}.* TO '${user}'@'%'`);
    connection.destroy();
  };

  /** The file that was written runs, and delivers. */
  async function assertDelivers(): Promise<void> {
    const daemon = startCdcWith({ CDC_MYSQL_PASSWORD: PASSWORD }, fixture.directory, 'run');
    await until(() => daemon.stderr().includes('following the binlog') || daemon.child.exitCode !== null);
    await fixture.query(`INSERT INTO ${fixture.schema}.item VALUES (1)`);
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
    expect(await fixture.compare('item')).toMatchObject({ equal: true });
  }

  test('the statements that it prints make an account with which the file that it writes delivers', async () => {
    // The account does not exist yet.
    const before = await init({ CDC_MYSQL_PASSWORD: PASSWORD }, ...flags());
    expect(before.code).toBe(3);
    expect(before.stderr).toMatch(/^error: .*\n {2}why: .*\n {2}do: {2}/);
    await runPrintedSql(before.stdout);

    const after = await init({ CDC_MYSQL_PASSWORD: PASSWORD }, ...flags(), '--force');
    expect(after).toMatchObject({ code: 0, stderr: '' });
    expect(after.stdout).toMatch(/connected to (MySQL|MariaDB) [\d.]+/);
    expect(after.stdout).toMatch(/0 errors, \d+ warnings?: cdc run can start\nnext: cdc run\n$/);
    expect(after.stdout).toContain(
      flavor === 'mysql' ? 'GRANT REPLICATION SLAVE, REPLICATION CLIENT' : 'GRANT REPLICATION SLAVE, BINLOG MONITOR',
    );

    const text = readFileSync(file(), 'utf8');
    expect(text).toContain('password: ${CDC_MYSQL_PASSWORD}');
    expect(text).toContain(`name: ${fixture.schema}\n`);
    for (const output of [text, after.stdout, before.stdout]) expect(output).not.toContain('s3cret');
    expect(statSync(file()).mode & 0o133).toBe(0);
    await assertDelivers();
  });

  test('a password in the URL stays out of the file, and out of everything that is printed', async () => {
    await createAccount();
    const withPassword = url.replace(user, `${user}:${encodeURIComponent(PASSWORD).replaceAll("'", '%27')}`);
    const { code, stdout, stderr } = await init({}, ...flags(), '--url', withPassword);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('CDC_MYSQL_PASSWORD');
    for (const text of [stdout, readFileSync(file(), 'utf8')]) expect(text).not.toContain('s3cret');
    await assertDelivers();
  });

  test('a password file is named as the folder of the configuration has it', async () => {
    await createAccount();
    writeFileSync(join(fixture.directory, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
    const output = ['--output', join('.', 'cdc.yaml'), '--password-file', 'password'];
    expect(await init({}, ...flags(), ...output)).toMatchObject({ code: 0 });
    expect(readFileSync(file(), 'utf8')).toContain('password_file: password');
    await assertDelivers();
  });

  test('a file that exists stays as it is without --force, whatever else is given', async () => {
    writeFileSync(file(), 'mine');
    for (const more of [[], ['--yes']]) {
      expect(await init({}, ...flags(), ...more)).toMatchObject({ code: 2, stdout: '' });
      expect(readFileSync(file(), 'utf8')).toBe('mine');
    }
  });

  test('--force writes through a symbolic link, which stays one', async () => {
    await createAccount();
    mkdirSync(join(fixture.directory, 'etc'));
    const target = join(fixture.directory, 'etc', 'shop.yaml');
    writeFileSync(target, 'mine');
    symlinkSync(join('etc', 'shop.yaml'), file());
    const before = readdirSync(fixture.directory);
    expect(await init({ CDC_MYSQL_PASSWORD: PASSWORD }, ...flags())).toMatchObject({ code: 2 });
    expect(readFileSync(target, 'utf8')).toBe('mine');
    expect(await init({ CDC_MYSQL_PASSWORD: PASSWORD }, ...flags(), '--force')).toMatchObject({ code: 0 });
    expect(lstatSync(file()).isSymbolicLink()).toBe(true);
    expect(readFileSync(target, 'utf8')).toContain('stream: changes\n');
    expect(readdirSync(join(fixture.directory, 'etc'))).toEqual(['shop.yaml']);
    expect(readdirSync(fixture.directory)).toEqual(before);
  });

  test('without a terminal it asks nothing, names every flag that is missing, and writes nothing', async () => {
    const { code, stderr } = await init({});
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^error: cdc init needs --url and --stream\n/),
    });
    expect((await init({}, '--url', url)).stderr).toMatch(/^error: cdc init needs --stream\n/);
    expect(readdirSync(fixture.directory)).not.toContain('cdc.yaml');
  });

  describe.skipIf(!hasTerminal)('on a terminal', () => {
    const ask = (steps: [string, string][], ...words: string[]): Promise<string> =>
      cdcOnTerminal(fixture.directory, ['init', ...words], { steps, columns: 140, env: { CDC_MYSQL_PASSWORD: '' } });
    const DOWN = '\x1b[B';

    test('the answers make a file that delivers', async () => {
      await createAccount();
      const output = await ask([
        ['Where the events are sent', '\r'],
        ['The URL of', `${url}\r`],
        ['Its password', `${PASSWORD}\r`],
        ['The tables to capture', '\r'],
        ['The name of the pipeline', '\r'],
        ['Where the stream is', `${DOWN}\r`],
        ['Its address', `${'\x7f'.repeat(40)}${endpoint}\r`],
        ['The stream', `${'\x7f'.repeat(60)}changes\r`],
      ]);
      expect(output).toMatch(/EXIT 0$/);
      expect(output).not.toContain('s3cret');
      expect(readFileSync(file(), 'utf8')).toContain(`tables: ["${fixture.schema}.*"]`);
      await assertDelivers();
    });

    test('a wrong answer is refused at once, and an account that is denied can be corrected', async () => {
      await createAccount();
      const output = await ask(
        [
          ['Where the events are sent', '\r'],
          ['The URL of', `mysql://h/x\r`],
          ['has a path', `${'\x7f'.repeat(20)}${url}\r`],
          ['Its password', 'wrong\r'],
          ['What now?', `${DOWN}\r`],
          ['The URL of', '\r'],
          ['Its password', `${PASSWORD}\r`],
        ],
        ...flags().slice(2),
        ...['--name', 'shop'],
      );
      expect(output).toContain(`GRANT SELECT ON \`${fixture.schema}\`.* TO '${user}'@'%';`);
      expect(output).toMatch(/EXIT 0$/);
    });

    const UNREACHABLE: [string, string][] = [
      ['Where the events are sent', '\r'],
      ['The URL of', 'mysql://nobody@127.0.0.1:1\r'],
      ['Its password', '\r'],
      ['What now?', '\r'],
    ];
    test.each(
      [0, 1, 2, 3].flatMap((asked) =>
        [
          ['Ctrl-C', '\x03'],
          ['Ctrl-D', '\x04'],
        ].map(([name, key]) => [name, UNREACHABLE[asked]?.[0], asked, key] as [string, string, number, string]),
      ),
    )('%s at "%s" writes nothing, and shows the cursor', async (_, question, asked, key) => {
      const entries = readdirSync(fixture.directory);
      const output = await ask([...UNREACHABLE.slice(0, asked), [question, key]]);
      expect(output).toMatch(/EXIT 130$/);
      expect(output).not.toContain('Warning');
      expect(output.lastIndexOf('\x1b[?25h')).toBeGreaterThan(output.lastIndexOf('\x1b[?25l'));
      expect(readdirSync(fixture.directory)).toEqual(entries);
    });

    test('a file that holds no certificate is refused before anything is asked', async () => {
      writeFileSync(join(fixture.directory, 'ca.pem'), 'no certificate');
      const output = await ask([], '--ca-file', 'ca.pem');
      expect(output).toMatch(/^error: cannot use --ca-file ca\.pem\r\n {2}why: it holds no PEM certificate/);
      expect(output).toMatch(/EXIT 2$/);
    });
  });
});

test('a folder that does not exist is an error that names --output, and leaves nothing behind', async () => {
  const fixture = new Fixture(inject('mysqlUrl'), 'init_folder');
  const words = ['--url', 'mysql://u@127.0.0.1:1', '--stream', 's', '--output', 'no/such/cdc.yaml'];
  const { code, stderr } = await startCdcWith({}, fixture.directory, 'init', ...words).ended;
  expect(code).toBe(2);
  expect(stderr).toMatch(/cannot write no\/such\/cdc\.yaml/);
  expect(readdirSync(fixture.directory)).toEqual([]);
  rmSync(fixture.directory, { recursive: true });
});

test.each(['--password-file', '--ca-file'])(
  'a file of %s that is not there is wrong usage, and names the flag',
  async (flag) => {
    const fixture = new Fixture(inject('mysqlUrl'), 'init_files');
    const words = ['--url', 'mysql://u@127.0.0.1:1', '--stream', 's', flag, 'no-such-file'];
    const { code, stderr } = await startCdcWith({}, fixture.directory, 'init', ...words).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(`cannot read ${flag} no-such-file`);
    expect(readdirSync(fixture.directory)).toEqual([]);
    rmSync(fixture.directory, { recursive: true });
  },
);
