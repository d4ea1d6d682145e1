import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { type Cdc, type Ended, startCdcWith, until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';
import { VerifyFixture } from './verify/verify-fixture.ts';

/** What nobody may read in what cdc shows. Each is one word, so that no quoting or cutting hides it. */
const SECRETS = {
  passwordInUrl: 'MarkPasswordInUrl1',
  password: 'MarkPassword2',
  passwordInFile: 'MarkPasswordInFile3',
  nextPassword: 'MarkNextPassword4',
  wrongPassword: 'MarkWrongPassword5',
  backfillPassword: 'MarkBackfillPassword6',
  hashSecret: 'MarkHashSecret7',
  accessKeyId: 'AKIAMARKACCESSKEY888',
  secretKey: 'MarkSecretAccessKey9MarkSecretAccessKey9',
  sessionToken: 'MarkSessionToken10',
  adminToken: 'MarkAdminToken24',
  wrongToken: 'MarkWrongToken25',
};
/** Values that rules keep from leaving the database. Not even a dead letter has them. */
const RULED = { dropped: 'MarkDropped11', hashed: 'MarkHashed12', masked: 'MarkMasked13' };
/** Values that events and dead letters have, and nothing else. */
const VALUES = {
  value: 'MarkValue14',
  key: 'MarkKey15',
  updated: 'MarkUpdated16',
  poison: 'MarkPoison17',
  poisonKey: 'MarkPoisonKey18',
  large: 'MarkLarge19',
  literal: 'MarkLiteral20',
  tampered: 'MarkTampered21',
  where: 'MarkWhere22',
  quoted: 'MarkQuoted23',
};

/** The marks that a text has, as they are or encoded. */
function marksIn(text: string, marks: Record<string, string>): string[] {
  const lower = text.toLowerCase();
  return Object.entries(marks).flatMap(([name, mark]) => {
    const bytes = Buffer.from(mark);
    // In base64 the bytes at the edges depend on what is beside them.
    const base64 = [0, 1, 2].map((shift) =>
      Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .slice(shift === 0 ? 0 : 4)
        .slice(0, -4)
        .toLowerCase(),
    );
    const shapes = [mark.toLowerCase(), bytes.toString('hex'), ...base64];
    const found = shapes.find((shape) => lower.includes(shape));
    if (found === undefined) return [];
    const at = lower.indexOf(found);
    return [`${name}: …${text.slice(Math.max(0, at - 200), at + found.length + 60)}…`];
  });
}

test('the scan sees a mark as it is, in base64 and in hex', () => {
  const marks = { key: 'MarkKey15' };
  for (const text of [
    'a MarkKey15!',
    Buffer.from('xyzMarkKey15ab').toString('base64'),
    Buffer.from('MarkKey15').toString('hex'),
  ]) {
    expect(marksIn(text, marks), text).toHaveLength(1);
  }
  expect(marksIn('nothing', marks)).toEqual([]);
});

/** Everything that was shown, by where. */
const shown: [where: string, text: string][] = [];
let bed: VerifyFixture;
let server: LocalServer;
let address: string;

const ENV = {
  AWS_ACCESS_KEY_ID: SECRETS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: SECRETS.secretKey,
  AWS_SESSION_TOKEN: SECRETS.sessionToken,
  CDC_HASH_SECRET: SECRETS.hashSecret,
  AWS_REGION: 'eu-west-1',
};

beforeAll(async () => {
  server = await startTestServer({ flavor: 'mysql', settings: ['--binlog-rows-query-log-events=ON'] });
  bed = new VerifyFixture(server.url, 'marked');
  address = new URL(server.url).host;
  bed.env = { ...ENV, CDC_LOG_LEVEL: 'trace' };
});
afterAll(async () => {
  await bed.remove();
  await server.stop();
});

/** One command to its end. What it prints is kept, but for standard output if `prints` says that it has values. */
async function command(words: string[], { printsValues = false } = {}): Promise<Ended> {
  const ended = await startCdcWith({ ...ENV, CDC_LOG_LEVEL: 'trace' }, bed.directory, ...words).ended;
  shown.push([`cdc ${words.join(' ')}, standard error`, ended.stderr]);
  if (!printsValues) shown.push([`cdc ${words.join(' ')}`, ended.stdout]);
  return ended;
}

const PATHS = ['/', '/metrics', '/healthz', '/readyz', '/api/status', '/api/history', '/api/backfill', '/no/such/path'];

/** The status in every form, and everything else that the daemon serves, on its socket and on its port. */
async function look(when: string): Promise<void> {
  await command(['status']);
  await command(['status', '--json']);
  const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(bed.daemon?.stderr() ?? '')?.[1]);
  const socketPath = join(bed.directory, 'state', 'shop.sock');
  const files = await filesOf(await get({ port, path: '/' }));
  for (const path of [...PATHS, ...files]) {
    const answers = [await get({ socketPath, path }), await get({ port, path })];
    shown.push(...answers.map((answer): [string, string] => [`${path} ${when}`, answer]));
  }
  for (const token of [SECRETS.adminToken, SECRETS.wrongToken]) {
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    const call = { port, path: '/api/backfill/resume', method: 'POST', headers };
    shown.push([`a call with a token ${when}`, await get(call)]);
  }
}

/** The scripts and styles of the dashboard. */
const filesOf = async (page: string): Promise<string[]> =>
  [...page.matchAll(/(?:src|href)="(\/?[^":]+\.(?:js|css|svg|png))"/g)].map(
    ([, path]) => `/${path?.replace(/^\//, '')}`,
  );

const get = (options: RequestOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const call = request(options, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const { statusCode, headers } = response;
        resolve(`${statusCode}\n${JSON.stringify(headers)}\n${Buffer.concat(pieces)}`);
      });
    });
    call.on('error', reject);
    call.end();
  });

const configure = (source: string, extra = ''): void =>
  bed.write(`name: shop
source: ${source}
tables: ["marked.*"]
firehose: { stream: changes, endpoint: "${bed.firehose?.endpoint}", linger: 20ms }
checkpoint: { file: state/shop.json }
lake: lake
admin: { listen: "127.0.0.1:0", token: ${SECRETS.adminToken} }
columns:
  marked.item.dropped: drop
  marked.item.hashed: { hash: sha256, secret: "\${CDC_HASH_SECRET}" }
  marked.item.masked: { mask: 2 }
${extra}`);

const row = (key: string, value: string): string =>
  `INSERT INTO marked.item (id, v, dropped, hashed, masked)
   VALUES ('${key}', '${value}', '${RULED.dropped}', '${RULED.hashed}', '${RULED.masked}')`;

async function started(): Promise<Cdc> {
  const daemon = await bed.run();
  bed.daemon = daemon;
  expect(daemon.child.exitCode, daemon.stderr()).toBeNull();
  await bed.answers();
  return daemon;
}

async function stopped(): Promise<void> {
  const ended = await bed.stopDaemon();
  shown.push(['the log of cdc run', ended?.stderr ?? ''], ['the output of cdc run', ended?.stdout ?? '']);
}

describe('with marked secrets, keys and values', () => {
  test('a daemon goes through faults, restarts, rotations, a backfill, dead letters and a verify', async () => {
    await bed.createSchema(
      `CREATE TABLE item (id VARCHAR(40) PRIMARY KEY, v LONGTEXT, dropped VARCHAR(50), hashed VARCHAR(50),
         masked VARCHAR(50))`,
      'CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(50))',
      row('MarkKey15before', VALUES.value),
      `INSERT INTO other VALUES (1, '${VALUES.quoted}')`,
    );
    await bed.query(`CREATE USER marked IDENTIFIED BY '${SECRETS.passwordInFile}'`, 'GRANT ALL ON *.* TO marked');
    await bed.startFirehose();
    writeFileSync(join(bed.directory, 'password'), SECRETS.passwordInFile);
    configure(`{ url: "mysql://marked@${address}", password_file: password }`);
    await command(['check']);
    await command(['backfill', '--dry-run']);
    await started();

    // Ordinary changes, and statements with literals.
    await bed.query(
      row(VALUES.key, VALUES.value),
      `UPDATE marked.item SET v = '${VALUES.updated}' WHERE id = '${VALUES.key}'`,
      `ALTER TABLE marked.other ADD COLUMN note VARCHAR(50) DEFAULT '${VALUES.literal}' COMMENT '${VALUES.literal}'`,
      `CREATE VIEW marked.view AS SELECT * FROM marked.item WHERE v = '${VALUES.literal}'`,
      `SET SESSION binlog_format = STATEMENT`,
      `CREATE TABLE marked.made (id INT PRIMARY KEY, v VARCHAR(50) DEFAULT '${VALUES.literal}')`,
    );
    await bed.delivered();

    // Firehose throttles until it was looked at: the lane is stuck then, however slow this machine is.
    bed.firehose?.setFaults({ rules: [{ fault: 'all-fail' }] } as never);
    await bed.query(row('MarkKey15throttled', VALUES.value));
    await until(() => /retrying/.test(bed.daemon?.stderr() ?? ''));
    await look('while it throttles');
    // Its errors quote what it was sent.
    bed.firehose?.setFaults({
      rules: [
        {
          ...{ fault: 'error', type: 'ServiceUnavailableException', times: 2 },
          message: `Authorization=AWS4-HMAC-SHA256 Credential=${SECRETS.accessKeyId}/20260101, X-Amz-Security-Token=${SECRETS.sessionToken}`,
        },
        { fault: 'html', times: 1 },
      ],
    } as never);
    await bed.delivered();

    // One event that Firehose never accepts, and one that is too large.
    bed.firehose?.setFaults({ rules: [{ fault: 'poison', text: VALUES.poison }] } as never);
    await bed.query(row(VALUES.poisonKey, VALUES.poison), row('MarkKey15large', VALUES.large.repeat(100_000)));
    await until(() => (bed.daemon?.stderr().match(/dead letter/g)?.length ?? 0) >= 2);
    await look('with dead letters');
    bed.firehose?.setFaults(undefined);
    await bed.delivered();

    // A backfill, and others that the server refuses with a message that quotes values.
    await command(['backfill', 'marked.item', '--yes']);
    for (const where of [
      `v = '${VALUES.where}`,
      `v = no_such_function('${VALUES.where}')`,
      `v LIKE '${VALUES.where}%' AND extractvalue(1, concat('~', v))`,
      `uuid_to_bin(v) = '${VALUES.where}'`,
      `CAST(v AS JSON) = '${VALUES.where}'`,
    ]) {
      const { code } = await command(['backfill', 'marked.other', '--where', where, '--yes']);
      expect(code, where).not.toBe(0);
    }
    await look('after backfills');

    // The server restarts; the password is rotated, with a wrong one in between.
    await server.restart();
    await bed.query(`INSERT INTO marked.other (id, v) VALUES (2, '${VALUES.value}')`);
    await bed.delivered();
    writeFileSync(join(bed.directory, 'password'), SECRETS.wrongPassword);
    await bed.query(`ALTER USER marked IDENTIFIED BY '${SECRETS.nextPassword}'`);
    await server.restart();
    await until(() => /rejects user/.test(bed.daemon?.stderr() ?? ''));
    await look('with a wrong password');
    writeFileSync(join(bed.directory, 'password'), SECRETS.nextPassword);
    await bed.delivered();

    // A verify that finds a difference, and mends it.
    const [line] = await bed.lines('item', VALUES.updated);
    if (line !== undefined) bed.replace(line, line.text.replaceAll(VALUES.updated, VALUES.tampered));
    const verified = await command(['verify', '--json', '--wait', '60s'], { printsValues: true });
    expect(verified.code, verified.stderr).toBe(4);
    await look('with a difference');
    await command(['verify', '--repair', '--wait', '60s'], { printsValues: true });
    await command(['dead-letter', 'retry', '--all']);
    await look('at the end');
    await stopped();
    await command(['status']);
  });

  test('the log for a person, at level debug, until a logged statement stops it', async () => {
    bed.env = { ...ENV, CDC_LOG_LEVEL: 'debug', CDC_LOG_FORMAT: 'text' };
    const daemon = await started();
    await bed.query(
      row('MarkKey15text', VALUES.value),
      'SET SESSION binlog_format = STATEMENT',
      `UPDATE marked.item SET v = '${VALUES.literal}' WHERE id = '${VALUES.key}'`,
    );
    await until(() => daemon.child.exitCode !== null || /incomplete|copy them again/.test(daemon.stderr()));
    await stopped();
  });

  test.each([
    ['the url', `{ url: "mysql://marked:${SECRETS.passwordInUrl}@ADDRESS" }`, ''],
    ['password', `{ url: "mysql://marked@ADDRESS", password: ${SECRETS.password} }`, ''],
    [
      'backfill.url',
      '{ url: "mysql://marked@ADDRESS", password_file: password }',
      `backfill: { url: "mysql://marked@ADDRESS", password: ${SECRETS.backfillPassword} }\n`,
    ],
    ['a url that is wrong', `{ url: "mysql://marked:${SECRETS.passwordInUrl}@ADDRESS/with/path?and=more" }`, ''],
    ['a url that is none', `{ url: "mysql//marked:${SECRETS.passwordInUrl}@ADDRESS" }`, ''],
    ['a key that is none', `{ url: "mysql://marked@ADDRESS", pasword: ${SECRETS.password} }`, ''],
    ['a password that is a list', `{ url: "mysql://marked@ADDRESS", password: [${SECRETS.password}] }`, ''],
    [
      'a hash secret of the wrong kind',
      '{ url: "mysql://marked@ADDRESS" }',
      `x: { secret: [${SECRETS.hashSecret}] }\n`,
    ],
    ['YAML that is none', `{ url: "mysql://marked@ADDRESS", password: "${SECRETS.password} }`, ''],
  ])('each command with a wrong password in %s', async (where, source, extra) => {
    configure(source.replace('ADDRESS', address), extra.replace('ADDRESS', address));
    const once = [['check'], ['check', '--json'], ['backfill', '--dry-run'], ['status']];
    // With the right password of the source these two run without end.
    const endless = where === 'backfill.url' ? [] : [['run'], ['tail'], ['verify']];
    for (const words of [...once, ...endless]) await command(words);
  });

  test('nothing of them is in logs, outputs of commands, status, metrics or the dashboard', () => {
    const leaks = shown.flatMap(([where, text]) =>
      marksIn(text, { ...SECRETS, ...RULED, ...VALUES }).map((found) => `${where}: ${found}`),
    );
    expect(leaks).toEqual([]);
    expect(shown.some(([where, text]) => where === 'the log of cdc run' && text.includes('"level":40'))).toBe(true);
    expect(shown.length).toBeGreaterThan(100);
    // The scan saw real answers: metrics, the page, a table and a stuck lane.
    const answers = (path: string): string[] =>
      shown.filter(([where]) => where.startsWith(`${path} `)).map(([, text]) => text);
    expect(answers('/metrics').every((text) => text.startsWith('200\n') && text.includes('\ncdc_'))).toBe(true);
    expect(answers('/api/status').some((text) => text.includes('"attempts":'))).toBe(true);
    expect(answers('/api/history').every((text) => text.startsWith('200\n'))).toBe(true);
    expect(answers('/')[0]).toMatch(/^200\n.*<html/s);
  });

  test('a dead letter has the event, and neither secrets nor what a rule withholds', () => {
    const folder = join(bed.directory, 'state', 'dead-letter');
    const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
    expect(files.length).toBeGreaterThan(0);
    expect(files.join('\n')).toContain(VALUES.large);
    expect(files.flatMap((text) => marksIn(text, { ...SECRETS, ...RULED }))).toEqual([]);
  });

  test('the checkpoint has none of them', () => {
    const text = readFileSync(bed.checkpoint, 'utf8');
    expect(marksIn(text, { ...SECRETS, ...RULED })).toEqual([]);
  });
});
