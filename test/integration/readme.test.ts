import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { type Cdc, startCdc, until } from './pipeline-fixture.ts';
import { startTestServer } from './test-server.ts';

/** The section of the README that a new user follows, on a server as it comes out of the box. */
const SECTION = /^## Your own database in five minutes\n([\s\S]*?)^## /m.exec(readFileSync('README.md', 'utf8'))?.[1];

let server: LocalServer;
const directory = mkdtempSync(join(tmpdir(), 'cdc-readme-'));
const terminals: Cdc[] = [];

beforeAll(async () => {
  const settings = ['--binlog-row-metadata=MINIMAL', '--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'];
  server = await startTestServer({ flavor: 'mysql', settings });
});
afterAll(async () => {
  for (const { child } of terminals) child.kill('SIGKILL');
  await server.stop();
  rmSync(directory, { recursive: true });
});

const blocks = (language: string): string[] =>
  [...(SECTION ?? '').matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    ([, text]) => text as string,
  );

async function administrator(sql: string | undefined): Promise<void> {
  const connection = await createConnection({ uri: server.url, multipleStatements: true });
  await connection.query(sql as string);
  connection.destroy();
}

/** Each command in a terminal of its own: nothing that one of them sets is known to another. */
function terminal(command: string, ...more: string[]): Cdc {
  const line = new RegExp(`^ {4}node dist/main\\.js (${command}.*)$|\`node dist/main\\.js (${command})\``, 'm');
  const [, block, inline] = line.exec(SECTION as string) ?? [];
  const started = startCdc(directory, ...((block ?? inline) as string).split(' '), ...more);
  terminals.push(started);
  return started;
}

test('a new user who follows the five minutes of the README has the events in the lake and in a terminal', async () => {
  const [prepare, change] = blocks('sql');
  await administrator(prepare);
  const firehose = terminal('firehose', '--listen', '127.0.0.1:0');
  await until(() => /http:\S+\d/.test(firehose.stdout()));
  const [endpoint] = /http:\S+\d/.exec(firehose.stdout()) as RegExpExecArray;
  const [yaml = ''] = blocks('yaml');
  // Both ports can be in use on this machine.
  const config = yaml.replace(':3306', `:${server.port}`).replace('http://127.0.0.1:4573', endpoint);
  expect(config.match(/127\.0\.0\.1:\d+/g)).toEqual([`127.0.0.1:${server.port}`, new URL(endpoint).host]);
  writeFileSync(join(directory, 'cdc.yaml'), config);
  expect(await terminal('check').ended).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('cdc run can start'),
  });
  const daemon = terminal('run');
  await until(() => daemon.stderr().includes('following the binlog'));
  const tail = terminal('tail');
  await until(() => tail.stderr().endsWith('\n'));
  await administrator(change);

  const images = (text: string) =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { op: string; after: unknown })
      .map(({ op, after }) => [op, after]);
  const expected = [
    ['c', { id: 1, customer: 'Ada', total: '9.90' }],
    ['u', { id: 1, customer: 'Ada', total: '12.50' }],
  ];
  const lake = join(directory, 'lake/shop-changes');
  const objects = (): string[] => {
    try {
      return readdirSync(lake, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    } catch {
      return [];
    }
  };
  await until(() => images(objects().join('')).length === 2);
  expect(images(objects().join(''))).toEqual(expected);
  await until(() => images(tail.stdout()).length === 2);
  expect(images(tail.stdout())).toEqual(expected);
});
