import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWarehouse, type Warehouse } from '../../src/local/warehouse/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'warehouse-'));
const lines: string[] = [];
let warehouse: Warehouse;

const start = (directory = join(folder, 'wh')) =>
  startWarehouse({ directory, listen: { host: '127.0.0.1', port: 0 }, log: (line) => lines.push(line) });

beforeAll(async () => {
  warehouse = await start();
}, 60_000);
afterAll(async () => {
  await warehouse.close();
  rmSync(folder, { recursive: true });
  expect(lines).toEqual([]);
});

async function connected<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: warehouse.url });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

const count = async (client: pg.Client, table: string): Promise<number> =>
  Number((await client.query(`SELECT count(*) FROM ${table}`)).rows[0].count);

const dies = (client: pg.Client) =>
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();

test('clients at the same time get their own answers, large parameters and errors included', async () => {
  const large = 'ü'.repeat(1_500_000);
  await Promise.all(
    [1, 2, 3, 4].map((id) =>
      connected(async (client) => {
        for (let i = 0; i < 40; i++) {
          const { rows } = await client.query('SELECT $1::int * 1000 + $2::int AS n, $3::text AS text', [
            id,
            i,
            `${id}`,
          ]);
          expect(rows).toEqual([{ n: id * 1000 + i, text: `${id}` }]);
          if (i % 8 === id) {
            await expect(client.query('SELECT $1::int / 0', [id])).rejects.toMatchObject({ code: '22012' });
            const { rows: lengths } = await client.query('SELECT length($1::text) AS n', [large]);
            expect(lengths).toEqual([{ n: large.length }]);
          }
        }
      }),
    ),
  );
});

test('a second client waits for the transaction of the first, and sees nothing of it before', async () => {
  await connected(async (first) => {
    await first.query('CREATE TABLE waits (n int)');
    await first.query('BEGIN');
    await first.query('INSERT INTO waits VALUES (1)');
    await connected(async (second) => {
      let answered = false;
      const counting = count(second, 'waits').finally(() => {
        answered = true;
      });
      await sleep(100);
      expect(answered).toBe(false);
      await first.query('INSERT INTO waits VALUES (2)');
      await first.query('COMMIT');
      expect(await counting).toBe(2);
    });
  });
});

test('a client that dies in its transaction is rolled back, and the next one has its turn', async () => {
  await connected(async (second) => {
    await second.query('CREATE TABLE dies (n int)');
    await connected(async (first) => {
      await first.query('BEGIN');
      await first.query('INSERT INTO dies VALUES (1)');
      const counting = count(second, 'dies');
      dies(first);
      expect(await counting).toBe(0);
    });
  });
});

test('COPY in both directions, refused lines, and a COPY that the client gives up', async () => {
  await connected(async (client) => {
    await client.query('CREATE TABLE copied (n int, text text)');
    const copy = async (table: string, ...data: string[]) => {
      const stream = client.query(copyFrom(`COPY ${table} FROM STDIN`));
      for (const text of data) stream.write(text);
      stream.end();
      await once(stream, 'finish');
    };
    await copy('copied', '1\tone\n2\t', 'zwölf\n');
    await expect(copy('copied', 'x\tone\n')).rejects.toMatchObject({ code: '22P02' });
    await expect(copy('nowhere', '1\n')).rejects.toMatchObject({ code: '42P01' });
    const given = client.query(copyFrom('COPY copied FROM STDIN'));
    given.write('7\tseven\n');
    given.destroy(new Error('no more'));
    await once(given, 'close').catch(() => {});
    expect((await client.query('SELECT * FROM copied ORDER BY n')).rows).toEqual([
      { n: 1, text: 'one' },
      { n: 2, text: 'zwölf' },
    ]);
    await expect(client.query('BEGIN; COPY copied FROM STDIN')).rejects.toMatchObject({ code: '0A000' });
    await expect(client.query({ text: 'COPY copied FROM STDIN', values: [], name: 'c' })).rejects.toMatchObject({
      code: '0A000',
    });
    expect(await count(client, 'copied')).toBe(2);
  });
});

test('what the last client has set does not reach the next one', async () => {
  await connected(async (client) => void (await client.query("SET statement_timeout = '7s'")));
  await connected(async (client) => {
    // The first connection can be served to its end a moment later.
    for (;;) {
      const { rows } = await client.query('SHOW statement_timeout');
      if (rows[0].statement_timeout === '0') break;
      await sleep(20);
    }
  });
});

const psql = (process.env.PATH ?? '')
  .split(delimiter)
  .map((path) => join(path, 'psql'))
  .find(existsSync);

test.skipIf(psql === undefined)('psql: statements, an error, \\copy', async () => {
  const script =
    'CREATE TABLE shell (n int, text text);\n\\copy shell from stdin\n1\tone\n\\.\nSELECT 1/0;\nSELECT * FROM shell;\n';
  const child = spawn(psql as string, [warehouse.url, '--no-psqlrc', '--quiet', '--csv', '--tuples-only']);
  const output = { out: '', err: '' };
  child.stdout.on('data', (text) => (output.out += text));
  child.stderr.on('data', (text) => (output.err += text));
  child.stdin.end(script);
  await once(child, 'close');
  expect(output).toEqual({ out: '1,one\n', err: 'ERROR:  division by zero\n' });
});

test('the data is there after a restart; another process cannot open the folder meanwhile', async () => {
  await connected(async (client) => void (await client.query('CREATE TABLE stays AS SELECT 7 AS n')));
  await expect(start()).rejects.toMatchObject({ message: expect.stringContaining('has the warehouse') });
  await warehouse.close();
  warehouse = await start();
  expect(await connected((client) => count(client, 'stays'))).toBe(1);
});
