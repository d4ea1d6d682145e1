import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { pages, readPage, shellLines } from '../docs-code.ts';
import { until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';
import { VerifyFixture } from './verify/verify-fixture.ts';

/**
 * Every command line in the code of the README and of docs is run here, in this order, or is in `ELSEWHERE` with what
 * runs it instead, or why nothing does.
 */

/** How a line is run, if it is not run to its end with exit code 0. */
interface Run {
  /** What standard output or standard error has at the end. */
  shows?: RegExp;
  /** Ctrl-C is typed as soon as it shows that. */
  endless?: true;
  code?: number;
  /** What is done before, such as a change for a command that waits for one. */
  before?: () => Promise<void> | void;
  /** In a folder of its own. */
  apart?: true;
  /** What is done once it shows something. */
  meanwhile?: () => Promise<void>;
}

const tails: Run = { shows: /"table":"orders"/, endless: true, meanwhile: () => change() };
const firehose: Run = { shows: /http:\/\/127\.0\.0\.1:\d+/, endless: true, apart: true };

const RUN: Record<string, Run> = {
  'node dist/main.js --help': { shows: /dead-letter/ },
  'cdc check -c cdc.yaml': { shows: /cdc run can start/ },
  'node dist/main.js check': { shows: /cdc run can start/ },

  'cdc tail': tails,
  "cdc tail 'shop.orders' --from checkpoint": tails,
  'cdc tail --from checkpoint': tails,
  "cdc tail 'shop.*' --from earliest | jq .after": { shows: /"customer": "ada"/, endless: true },

  'cdc status -c shop.yaml': { shows: /^shop: healthy, streaming/ },
  'cdc status --watch': { shows: /events\/s/, endless: true },
  'cdc status --json | jq -e \'.health.status == "ok"\'': { shows: /^true$/m },
  'curl --unix-socket state/shop.sock http://localhost/api/status': { shows: /"state":"streaming"/ },
  'curl http://127.0.0.1:8686/readyz': { shows: /ready/ },
  'curl http://127.0.0.1:8686/metrics': { shows: /^cdc_lag_seconds /m },

  'cdc backfill --dry-run': { shows: /^tables {4}2$/m },
  'cdc backfill': { shows: /2 of 2 tables complete/ },
  'node dist/main.js backfill': { shows: /2 of 2 tables complete/ },
  "cdc backfill shop.orders 'shop.user*'": { shows: /2 of 2 tables complete/ },
  'cdc backfill shop.orders --where \'created_at >= "2026-01-01"\'': { shows: /1 of 1 tables? complete/ },
  'cdc backfill --status': { shows: /the backfill is idle/ },
  'cdc backfill --pause': {},
  'cdc backfill --resume': {},
  'cdc backfill --cancel': {},

  'cdc verify': { shows: /shop\.orders/ },
  'cdc verify --repair': { shows: /shop\.orders/ },
  'node dist/main.js verify': { shows: /shop\.orders/ },

  'cdc sql --dialect spark > tables.sql': {},
  'cdc sql --dialect spark --since tables.sql > next.sql': {},
  'cdc sql --dialect redshift > tables.sql': {},
  'cdc merge --into duckdb:warehouse.duckdb': {},

  'cdc dead-letter list': { before: () => poison(), shows: /1 dead letter in/ },
  'cdc dead-letter show 6b02e25e0000000200000006970000000020': { shows: /shop\.orders/ },
  'cdc dead-letter show 0000000020 --event | jq .after': { shows: /"customer": "poison"/ },
  'cdc dead-letter retry 6b02e25e0000000200000006970000000020': { shows: /1 sent, 0 remain/ },
  'cdc dead-letter retry --all': { before: () => poison(), shows: /1 sent, 0 remain/ },

  'npm ci && npm run demo': { apart: true, shows: /The lake equals MySQL\. The warehouse equals MySQL\./ },

  'cdc firehose --lake lake --buffer-seconds 5': firehose,
  "cdc firehose --partition '{db: .source.db, table: .source.table}' --prefix '!{partitionKeyFromQuery:db}/!{partitionKeyFromQuery:table}/!{timestamp:yyyy/MM/dd}/' --error-prefix 'failed/!{firehose:error-output-type}/'":
    firehose,
  'cdc firehose --warehouse warehouse --table landing --buffer-seconds 5': firehose,
};

/** A pattern of lines, and what runs them or why nothing does. */
const ELSEWHERE: [lines: RegExp, why: string][] = [
  [/^cdc firehose --kinesis-stream /, 'test/integration/kinesis.test.ts runs it in front of a local Kinesis'],
  [
    /^node dist\/main\.js (?:firehose --buffer-seconds 5|run)$/,
    'test/integration/readme.test.ts runs them as a new user does',
  ],
  [/^npm ci(?: && npm test)?$/, 'CI installs so before these tests, and `npm test` is this suite'],
  [/^npm run build$/, 'test/global-setup.ts runs it before these tests'],
  [
    /^cdc init/,
    'init.test.ts and init-transports.test.ts run it with flags of each transport, and on a pseudo terminal',
  ],
  [/^cdc run -c \S+ -c \S+$/, 'test/integration/fleet.test.ts runs two pipelines in one process'],
  [/^docker /, 'there is no Docker where the tests run'],
  [/^config\/aws\/deploy\.sh /, 'test/unit/aws/deploy.test.ts runs the script against an aws that notes its arguments'],
  [/^npm run bench/, 'it takes minutes, and its result is a number that depends on the machine'],
  [/^npm run chaos/, 'it takes up to hours; test/chaos runs each of them for seconds'],
  [/^npx vitest run .* -u$/, 'it writes a page of docs, and the same test without -u compares the page'],
  [/^psql /, 'test/integration/warehouse-path.test.ts makes this table with the package pg'],
  [
    /^cdc merge .* --into postgres:/,
    'it names a PostgreSQL with an account: test/integration/warehouse merges into one',
  ],
];

let server: LocalServer;
let bed: VerifyFixture;
let bin: string;

beforeAll(async () => {
  server = await startTestServer({ flavor: 'mysql' });
  bed = new VerifyFixture(server.url, 'shop');
  await bed.createSchema(
    'CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer VARCHAR(50), created_at DATE DEFAULT (CURRENT_DATE))',
    'CREATE TABLE users (id INT PRIMARY KEY)',
    "INSERT INTO orders (customer) VALUES ('ada')",
  );
  bin = join(bed.directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'cdc'), `#!/bin/sh\nexec ${process.execPath} ${resolve('dist/main.js')} "$@"\n`);
  chmodSync(join(bin, 'cdc'), 0o755);
  await bed.start('admin: { listen: "127.0.0.1:0" }\n');
  writeFileSync(join(bed.directory, 'shop.yaml'), readFileSync(join(bed.directory, 'cdc.yaml')));
  await bed.query("INSERT INTO shop.orders (customer) VALUES ('bob')");
});
afterAll(async () => {
  await bed.remove();
  await server.stop();
});

const change = (): Promise<void> => bed.query("INSERT INTO shop.orders (customer) VALUES ('ada')");
const letters = (): string[] => {
  try {
    return readdirSync(join(bed.directory, 'state', 'dead-letter')).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
};

/** One event becomes a dead letter. */
async function poison(): Promise<void> {
  bed.firehose?.setFaults({ rules: [{ fault: 'poison', text: 'poison' }] } as never);
  await bed.query("INSERT INTO shop.orders (customer) VALUES ('poison')");
  await until(() => letters().length === 1);
  bed.firehose?.setFaults(undefined);
}

/** The line for this fixture: its ports and its dead letter, and no fixed port of its own. */
function fitted(line: string): string {
  const [, port] = /http:\/\/127\.0\.0\.1:(\d+)/.exec(bed.daemon?.stderr() ?? '') ?? [];
  const seq = /\.([0-9a-f]{36})\.json/.exec(letters()[0] ?? '')?.[1] ?? '';
  return (
    line
      .replace('127.0.0.1:8686', `127.0.0.1:${port}`)
      .replace('6b02e25e0000000200000006970000000020', seq)
      .replace('0000000020', seq.slice(-10))
      .replace(/^npm ci && npm run demo$/, 'cdc demo --seconds 5')
      .replace(/^node dist\/main\.js/, 'cdc')
      // Into a pipe it writes whole blocks otherwise.
      .replace('| jq .', '| jq --unbuffered .')
      .replace(/^cdc firehose/, 'cdc firehose --listen 127.0.0.1:0')
      .replace('--warehouse warehouse', '--warehouse warehouse --warehouse-listen 127.0.0.1:0')
  );
}

const isInstalled = (program: string): boolean => spawnSync('bash', ['-c', `command -v ${program}`]).status === 0;

const documented = [...new Set(pages.flatMap((page) => shellLines(readPage(page))))];

describe('every command line of the docs', () => {
  test('is run here, or it is said what runs it', () => {
    const open = documented.filter((line) => !(line in RUN) && !ELSEWHERE.some(([lines]) => lines.test(line)));
    expect(open).toEqual([]);
  });

  test('and nothing else is in the lists', () => {
    expect(Object.keys(RUN).filter((line) => !documented.includes(line))).toEqual([]);
    const unused = ELSEWHERE.filter(([lines]) => !documented.some((line) => lines.test(line)));
    expect(unused).toEqual([]);
  });

  test.each(Object.keys(RUN))('%s', async (line) => {
    // What a line pipes into, and curl, are not a part of the project.
    if (['jq', 'curl'].some((program) => line.includes(program) && !isInstalled(program))) return;
    const { shows, endless, apart, code = 0, before, meanwhile } = RUN[line] as Run;
    await before?.();
    const child = spawn('bash', ['-o', 'pipefail', '-c', fitted(line)], {
      cwd: apart ? mkdtempSync(join(bed.directory, 'apart-')) : bed.directory,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    const ended = once(child, 'close');
    if (endless) {
      // It says first where it begins.
      if (meanwhile !== undefined) await until(() => output !== '' || child.exitCode !== null);
      await meanwhile?.();
      await until(() => (shows as RegExp).test(output) || child.exitCode !== null);
      expect(child.exitCode, output).toBeNull();
      // As a terminal does: the whole pipe gets it.
      process.kill(-(child.pid as number), 'SIGINT');
      await ended;
    } else {
      const [exitCode] = await ended;
      expect(exitCode, output).toBe(code);
    }
    if (shows !== undefined) expect(output).toMatch(shows);
  });
});
