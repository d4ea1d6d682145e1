import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateDeliveryStreamCommand,
  DeleteDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  PutRecordBatchCommand,
  type RedshiftDestinationConfiguration,
} from '@aws-sdk/client-firehose';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import { startWarehouse } from '../../src/local/warehouse/server.ts';
import { postgresUnavailable, startPostgres } from './postgres-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'redshift-'));
const closing: (() => Promise<unknown> | unknown)[] = [];
let names = 0;

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const newName = (kind: string): string => `${kind}_${names++}`;

/** Polls without end: the test's own limit ends what hangs. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}

function clientFor(endpoint: string): FirehoseClient {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = new FirehoseClient({ region: 'us-east-1', endpoint, maxAttempts: 1, credentials });
  closing.push(() => client.destroy());
  return client;
}

async function start(lake = join(folder, newName('lake')), warehouse?: { host: string; port: number }) {
  const log: string[] = [];
  const listen = { host: '127.0.0.1', port: 0 };
  const firehose = await startLocalFirehose({ listen, lake, warehouse, log: (line) => log.push(line) });
  closing.push(() => firehose.close());
  return { lake, log, firehose, client: clientFor(firehose.endpoint) };
}

const ROLE = 'arn:aws:iam::123456789012:role/firehose';
const S3: RedshiftDestinationConfiguration['S3Configuration'] = {
  RoleARN: ROLE,
  BucketARN: 'arn:aws:s3:::staging',
  BufferingHints: { IntervalInSeconds: 0, SizeInMBs: 1 },
};

const destination = (
  jdbcUrl: string,
  table: string,
  more: Partial<RedshiftDestinationConfiguration> = {},
): RedshiftDestinationConfiguration => ({
  RoleARN: ROLE,
  ClusterJDBCURL: jdbcUrl,
  CopyCommand: { DataTableName: table, CopyOptions: "JSON 'auto'" },
  Username: 'postgres',
  Password: 'password',
  S3Configuration: S3,
  ...more,
});

const create = (client: FirehoseClient, redshift: RedshiftDestinationConfiguration, name = 's') =>
  client.send(
    new CreateDeliveryStreamCommand({ DeliveryStreamName: name, RedshiftDestinationConfiguration: redshift }),
  );

const put = (client: FirehoseClient, ...records: (string | Buffer)[]) =>
  client.send(
    new PutRecordBatchCommand({
      DeliveryStreamName: 's',
      Records: records.map((Data) => ({ Data: Buffer.from(Data) })),
    }),
  );

/** The files below the lake. */
const filesOf = (lake: string): string[] =>
  readdirSync(lake, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(lake, join(entry.parentPath, entry.name)))
    .sort();

const manifestsOf = (lake: string): string[] => filesOf(lake).filter((name) => name.includes('manifests/'));

interface Server {
  url: string;
  jdbcUrl: string;
  stop(): Promise<void>;
}

/** A server of its own, and what it answers. */
async function openPgServer(server: Server) {
  const client = new pg.Client({ connectionString: server.url });
  client.on('error', () => {});
  await client.connect();
  return {
    jdbcUrl: server.jdbcUrl,
    sql: async (text: string): Promise<Record<string, unknown>[]> => (await client.query(text)).rows,
    stop: async () => {
      await client.end();
      await server.stop();
    },
  };
}

const embedded = async (): Promise<Server> => {
  const directory = join(folder, newName('warehouse'));
  const warehouse = await startWarehouse({ directory, listen: { host: '127.0.0.1', port: 0 } });
  return { url: warehouse.url, jdbcUrl: warehouse.jdbcUrl, stop: warehouse.close };
};

const debian = async (): Promise<Server> => {
  const { url, port, stop } = await startPostgres();
  return { url, jdbcUrl: `jdbc:redshift://127.0.0.1:${port}/postgres`, stop };
};

const unavailable = await postgresUnavailable();
const servers = [
  { name: 'the embedded warehouse', open: embedded, skip: false },
  {
    name: unavailable === undefined ? 'PostgreSQL' : `PostgreSQL: ${unavailable}`,
    open: debian,
    skip: unavailable !== undefined,
  },
];

for (const { name, open, skip } of servers) {
  describe.skipIf(skip)(`into ${name}`, () => {
    let db: Awaited<ReturnType<typeof openPgServer>>;
    beforeAll(async () => {
      db = await openPgServer(await open());
    }, 120_000);
    afterAll(() => db?.stop());

    const count = async (table: string): Promise<number> =>
      Number((await db.sql(`SELECT count(*) AS n FROM ${table}`))[0]?.n);

    test('values arrive exactly, keys in any order, nested ones as JSON or as its text', async () => {
      const table = newName('exact');
      await db.sql(`CREATE TABLE ${table} (
        id numeric, price numeric(38, 18), amount text, name varchar(20), after jsonb, nested text, flag bool,
        at timestamptz, day date, small smallint, plain json, missing int DEFAULT 7, nothing int DEFAULT 8, none text,
        number serial)`);
      const { client, lake } = await start();
      const copy = { DataTableName: `public.${table.toUpperCase()}`, CopyOptions: "format as json 'auto' gzip" };
      const config = destination(db.jdbcUrl, table, {
        CopyCommand: copy,
        S3Configuration: { ...S3, CompressionFormat: 'GZIP', Prefix: 'in/' },
      });
      await create(client, config);
      const line =
        '{"unknown":{"a":[1,"}"]},"name":"Zoë 🦊 \\u00e9\\n","id":18446744073709551615,"small":-3,' +
        '"price":12345678901234567890.123456789012345678,"amount":1.10,"after":{"z":18446744073709551615,"d":1.10},' +
        '"nested":{"b":  1.0,"a":[true]},"flag":true,"at":"2026-03-01T14:05:09.123456+02:00","day":"2026-03-01",' +
        '"plain":[1.0],"nothing":null}';
      await put(client, `${line}\n`, '{"id":2,"after":null,"plain":"text","number":70}{"id":3}\n\n{\n "id": 4\n}\n');
      await until(async () => (await count(table)) === 4);
      const rows = await db.sql(`SELECT id::text, price::text, amount, name, after::text, nested, flag,
        to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS at, day::text, small, plain::text, missing, nothing,
        none FROM ${table} WHERE id > 5`);
      expect(rows).toEqual([
        {
          id: '18446744073709551615',
          price: '12345678901234567890.123456789012345678',
          amount: '1.10',
          name: 'Zoë 🦊 é\n',
          after: '{"d": 1.10, "z": 18446744073709551615}',
          nested: '{"b":  1.0,"a":[true]}',
          flag: true,
          at: '2026-03-01 12:05:09.123456',
          day: '2026-03-01',
          small: -3,
          plain: '[1.0]',
          missing: 7,
          nothing: null,
          none: null,
        },
      ]);
      expect(
        await db.sql(`SELECT id::text, after, plain, nothing, number FROM ${table} WHERE id < 5 ORDER BY id`),
      ).toEqual([
        { id: '2', after: null, plain: 'text', nothing: 8, number: 70 },
        { id: '3', after: null, plain: null, nothing: 8, number: expect.any(Number) },
        { id: '4', after: null, plain: null, nothing: 8, number: expect.any(Number) },
      ]);
      expect(filesOf(lake).every((file) => /^s\/in\/\d{4}\/\d\d\/\d\d\/\d\d\/s-1-.*\.gz$/.test(file))).toBe(true);
    });

    test('options of COPY, and a list of columns', async () => {
      const table = newName('options');
      await db.sql(`CREATE TABLE ${table} (
        a varchar(3), b text, "At" timestamp, day date, n int, skipped int DEFAULT 5, s timestamptz)`);
      const { client, log } = await start();
      const CopyOptions =
        "JSON 'auto ignorecase' TIMEFORMAT 'epochmillisecs' DATEFORMAT 'DD.MM.YYYY' BLANKSASNULL EMPTYASNULL " +
        "TRUNCATECOLUMNS maxerror as 3 ACCEPTINVCHARS '^' COMPUPDATE OFF STATUPDATE on";
      const config = destination(db.jdbcUrl, table, {
        CopyCommand: { DataTableName: table, DataTableColumns: 'a, b,"At", day,n,s', CopyOptions },
      });
      await create(client, config);
      await put(
        client,
        '{"A":"abcdef","B":"  ","at":1772373909123,"DAY":"24.12.2026","n":"","skipped":1,"S":1772373909123}\n',
        '{"a":"","n":"x"}\n',
        '{"a":"üöäß","n":1}\nno object\n',
        Buffer.from([...Buffer.from('{"b":"'), 0xff, ...Buffer.from('","n":2}\n')]),
      );
      await until(async () => (await count(table)) === 3);
      const rows = await db.sql(`SELECT a, b, "At"::text AS at, day::text, n, skipped,
        extract(epoch FROM s)::text AS s FROM ${table} ORDER BY n NULLS FIRST`);
      expect(rows).toEqual([
        {
          a: 'abc',
          b: null,
          at: '2026-03-01 14:05:09.123',
          day: '2026-12-24',
          n: null,
          skipped: 5,
          s: '1772373909.123000',
        },
        { a: 'üöä', b: null, at: null, day: null, n: 1, skipped: 5, s: null },
        { a: null, b: '^', at: null, day: null, n: 2, skipped: 5, s: null },
      ]);
      await until(() => log.some((line) => line.includes('lines left out by MAXERROR: 2')));
      expect(log.find((line) => line.includes('left out'))).toContain(
        'line 2: invalid input syntax for type integer: "x"',
      );
    });

    test('bad lines fail their COPY as a whole: retries, then a manifest, and the next objects are copied', async () => {
      const table = newName('bad');
      await db.sql(`CREATE TABLE ${table} (n int)`);
      const { client, lake, log } = await start();
      const config = destination(db.jdbcUrl, table, {
        RetryOptions: { DurationInSeconds: 1 },
        CopyCommand: { DataTableName: table, CopyOptions: "JSON 'auto' MAXERROR 2" },
        S3Configuration: { ...S3, BufferingHints: { SizeInMBs: 128, IntervalInSeconds: 0 } },
      });
      await create(client, config);
      // Several parts, the first of which are good.
      const pad = 'x'.repeat(30_000);
      const lines = Array.from(
        { length: 100 },
        (_, n) => `{"n":${n}${n % 20 === 10 && n > 40 ? ' 2' : ''},"pad":"${pad}"}\n`,
      );
      await put(client, ...lines.slice(0, 80));
      await until(() => manifestsOf(lake).length === 1);
      const [manifest = ''] = manifestsOf(lake);
      const [object] = filesOf(lake).filter((name) => name !== manifest);
      expect(manifest).toMatch(/^s\/errors\/manifests\/\d{4}\/\d\d\/\d\d\/\d\d\/s-1-/);
      expect(JSON.parse(readFileSync(join(lake, manifest), 'utf8'))).toEqual({
        entries: [{ url: `s3://staging/${object}`, mandatory: true }],
      });
      expect(await count(table)).toBe(0);
      await until(() => log.some((line) => line.includes('gave up')));
      expect(log.filter((line) => line.includes('trying again for 1 s'))).toHaveLength(1);
      expect(log.find((line) => line.includes('gave up'))).toMatch(/line 71 of .*invalid input syntax for type json/);
      await put(client, '{"n":7}\n');
      await until(async () => (await count(table)) === 1);
      await until(() => !readdirSync(`${lake}.spool`).some((name) => name.endsWith('.copy')));
    });

    test('a table that appears meanwhile gets its rows, and one that never appears a manifest', async () => {
      const table = newName('late');
      const { client, lake, log } = await start();
      await create(client, destination(db.jdbcUrl, table));
      await put(client, '{"n":1}\n');
      await until(() => log.some((line) => line.includes('does not exist')));
      await db.sql(`CREATE TABLE ${table} (n int)`);
      await until(async () => (await count(table)) === 1);
      const never = await start();
      const config = destination(db.jdbcUrl, newName('never'), {
        RetryOptions: { DurationInSeconds: 0 },
        S3Configuration: { ...S3, ErrorOutputPrefix: 'failed/!{firehose:error-output-type}/' },
      });
      await create(never.client, config);
      await put(never.client, '{"n":1}\n');
      await until(() => manifestsOf(never.lake).length === 1);
      expect(manifestsOf(never.lake)[0]).toMatch(/^s\/failed\/errors\/manifests\//);
      expect(manifestsOf(lake)).toEqual([]);
    });

    test('a second client reads while objects are loaded, and sees each COPY as a whole', async () => {
      const table = newName('read');
      await db.sql(`CREATE TABLE ${table} (n int, text text)`);
      const { client, firehose } = await start();
      await create(client, destination(db.jdbcUrl, table));
      let reads = 0;
      let done = false;
      const reading = (async () => {
        while (!done) {
          expect((await count(table)) % 500).toBe(0);
          reads++;
        }
      })();
      for (let batch = 0; batch < 10; batch++) {
        await put(client, ...Array.from({ length: 500 }, (_, n) => `{"n":${n},"text":"${'x'.repeat(500)}"}\n`));
      }
      await until(async () => (await count(table)) === 5000);
      await firehose.close();
      done = true;
      await reading;
      expect(reads).toBeGreaterThan(0);
    });

    test('the backup has the records too', async () => {
      const table = newName('backup');
      await db.sql(`CREATE TABLE ${table} (n int)`);
      const { client, lake, firehose } = await start();
      const S3BackupConfiguration = { ...S3, Prefix: 'backup/' };
      await create(client, destination(db.jdbcUrl, table, { S3BackupMode: 'Enabled', S3BackupConfiguration }));
      await put(client, '{"n":1}\n');
      await firehose.close();
      expect(await count(table)).toBe(1);
      const files = filesOf(lake);
      expect(files).toHaveLength(2);
      const backup = files.find((name) => name.startsWith('s/backup/')) ?? '';
      expect(readFileSync(join(lake, backup), 'utf8')).toBe('{"n":1}\n');
    });
  });
}

describe('a local Firehose that ends', () => {
  test('objects that were staged and not copied are copied by the next one, after SIGKILL and after a stop', async () => {
    const db = await openPgServer(await embedded());
    closing.push(db.stop);
    const lake = join(folder, newName('lake'));
    const flags = ['--lake', lake, '--redshift', db.jdbcUrl, '--table', 'later', '--buffer-seconds', '0'];
    const buffering = await spawnFirehose(...flags.slice(0, -2));
    await put(clientFor(buffering.endpoint), '{"n":0}\n');
    buffering.child.kill('SIGKILL');
    await once(buffering.child, 'close');
    const first = await spawnFirehose(...flags);
    const client = clientFor(first.endpoint);
    await until(() => filesOf(lake).length === 1);
    await put(client, '{"n":1}\n');
    await until(() => filesOf(lake).length === 2);
    await until(() => first.output().includes('relation "later" does not exist'));
    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    const second = await spawnFirehose(...flags);
    await until(() => second.output().includes('relation "later" does not exist'));
    await put(clientFor(second.endpoint), '{"n":2}\n');
    await until(() => filesOf(lake).length === 3);
    second.child.kill('SIGTERM');
    expect(await once(second.child, 'close')).toEqual([0, null]);
    expect(second.output()).toContain('s: not copied yet: 3 objects up to s/');
    await db.sql('CREATE TABLE later (n int)');
    // No record arrives: the stream is created because it has something to copy.
    const third = await spawnFirehose(...flags);
    await until(async () => (await db.sql('SELECT n FROM later')).length === 3);
    expect(await db.sql('SELECT n FROM later ORDER BY n')).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
    third.child.kill('SIGTERM');
    await once(third.child, 'close');
    const quiet = await start(lake);
    expect(quiet.log).toEqual([]);
  });

  test('a stream that is created again over the wire copies what waits for it, in the same process too', async () => {
    const db = await openPgServer(await embedded());
    closing.push(db.stop);
    const first = await start();
    await create(first.client, destination(db.jdbcUrl, 'again'));
    await put(first.client, '{"n":1}\n');
    await first.client.send(new DeleteDeliveryStreamCommand({ DeliveryStreamName: 's' }));
    await first.firehose.close();
    const second = await start(first.lake);
    expect(second.log).toEqual(['s: objects not copied yet: 1; create the stream again with its Redshift table']);
    await create(second.client, destination(db.jdbcUrl, 'again'));
    await second.client.send(new DeleteDeliveryStreamCommand({ DeliveryStreamName: 's' }));
    await db.sql('CREATE TABLE again (n int)');
    await create(second.client, destination(db.jdbcUrl, 'again'));
    await until(async () => (await db.sql('SELECT n FROM again')).length === 1);
  });

  test('an embedded warehouse survives a SIGKILL with its rows', async () => {
    const lake = join(folder, newName('lake'));
    const directory = join(folder, newName('warehouse'));
    const flags = ['--lake', lake, '--warehouse', directory, '--warehouse-listen', '127.0.0.1:0', '--table', 'kept'];
    const first = await spawnFirehose(...flags, '--buffer-seconds', '0');
    const sql = async (text: string, { url } = first) => {
      const client = new pg.Client({ connectionString: url() });
      client.on('error', () => {});
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    };
    await sql('CREATE TABLE kept (n int)');
    await put(clientFor(first.endpoint), '{"n":1}\n');
    await until(async () => (await sql('SELECT n FROM kept')).length === 1);
    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    const second = await spawnFirehose(...flags, '--buffer-seconds', '0');
    await put(clientFor(second.endpoint), '{"n":2}\n');
    await until(async () => (await sql('SELECT DISTINCT n FROM kept', second)).length === 2);
    second.child.kill('SIGTERM');
    expect(await once(second.child, 'close')).toEqual([0, null]);
  });
});

async function spawnFirehose(...flags: string[]) {
  const child: ChildProcess = spawn(
    process.execPath,
    [resolve('dist/main.js'), 'firehose', '--listen', '127.0.0.1:0', ...flags],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder },
  );
  closing.push(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text));
  await until(() => output.includes('local Firehose on') || child.exitCode !== null);
  expect(child.exitCode, output).toBeNull();
  return {
    child,
    endpoint: /local Firehose on (\S+),/.exec(output)?.[1] ?? '',
    url: () => /warehouse on (\S+),/.exec(output)?.[1] ?? '',
    output: () => output,
  };
}

describe('the API', () => {
  test('DescribeDeliveryStream shows the destination, never its password', async () => {
    const { client } = await start();
    const url = 'jdbc:redshift://127.0.0.1:1/dev';
    const config = destination(url, 'public.events', {
      CopyCommand: { DataTableName: 'public.events', DataTableColumns: 'a,b', CopyOptions: "JSON 'auto' GZIP" },
      S3Configuration: { ...S3, CompressionFormat: 'GZIP', Prefix: 'p/' },
      ProcessingConfiguration: { Enabled: false },
    });
    await create(client, config);
    const described = await client.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName: 's' }));
    expect(described.DeliveryStreamDescription?.Destinations).toEqual([
      {
        DestinationId: 'destinationId-000000000001',
        RedshiftDestinationDescription: {
          RoleARN: ROLE,
          ClusterJDBCURL: url,
          CopyCommand: config.CopyCommand,
          Username: 'postgres',
          RetryOptions: { DurationInSeconds: 3600 },
          S3BackupMode: 'Disabled',
          ProcessingConfiguration: { Enabled: false },
          CloudWatchLoggingOptions: { Enabled: false },
          S3DestinationDescription: {
            RoleARN: ROLE,
            BucketARN: 'arn:aws:s3:::staging',
            Prefix: 'p/',
            BufferingHints: { SizeInMBs: 1, IntervalInSeconds: 0 },
            CompressionFormat: 'GZIP',
            EncryptionConfiguration: { NoEncryptionConfig: 'NoEncryption' },
            CloudWatchLoggingOptions: { Enabled: false },
          },
        },
      },
    ]);
    expect(JSON.stringify(described)).not.toContain('password');
  });

  test.each<[string, (config: RedshiftDestinationConfiguration) => void, string]>([
    [
      'no table',
      (c) => Object.assign(c, { CopyCommand: {} }),
      "Value null at 'redshiftDestinationConfiguration.copyCommand.dataTableName' failed to satisfy constraint: Member must not be null",
    ],
    [
      'no bucket',
      (c) => Object.assign(c, { S3Configuration: undefined }),
      "Value null at 'redshiftDestinationConfiguration.s3Configuration' failed",
    ],
    [
      'a short password',
      (c) => Object.assign(c, { Password: 'xy' }),
      "1 validation error detected: Value at 'redshiftDestinationConfiguration.password' failed to satisfy constraint: Member must have length greater than or equal to 6",
    ],
    [
      'another URL',
      (c) => Object.assign(c, { ClusterJDBCURL: 'postgres://h/d' }),
      "Value 'postgres://h/d' at 'redshiftDestinationConfiguration.clusterJDBCURL' failed to satisfy constraint: Member must satisfy regular expression pattern",
    ],
    [
      'too long retries',
      (c) => Object.assign(c, { RetryOptions: { DurationInSeconds: 7201 } }),
      "Value '7201' at 'redshiftDestinationConfiguration.retryOptions.durationInSeconds' failed to satisfy constraint: Member must have value less than or equal to 7200",
    ],
    [
      'a large buffer',
      (c) => Object.assign(c, { S3Configuration: { ...S3, BufferingHints: { SizeInMBs: 129, IntervalInSeconds: 1 } } }),
      "'redshiftDestinationConfiguration.s3Configuration.bufferingHints.sizeInMBs' failed",
    ],
    [
      'ZIP',
      (c) => Object.assign(c, { S3Configuration: { ...S3, CompressionFormat: 'ZIP' } }),
      'The compression format ZIP cannot be specified in RedshiftDestinationConfiguration.S3Configuration',
    ],
    [
      'GZIP of one side',
      (c) => Object.assign(c, { S3Configuration: { ...S3, CompressionFormat: 'GZIP' } }),
      'CopyOptions must contain GZIP',
    ],
    [
      'an unknown option',
      (c) => Object.assign(c.CopyCommand as object, { CopyOptions: "JSON 'auto' ESCAPE" }),
      'The local Firehose does not support the COPY option ESCAPE',
    ],
    [
      'a backup without a place',
      (c) => Object.assign(c, { S3BackupMode: 'Enabled' }),
      "Value null at 'redshiftDestinationConfiguration.s3BackupConfiguration' failed",
    ],
    [
      'a secret',
      (c) => Object.assign(c, { SecretsManagerConfiguration: { Enabled: true, SecretARN: 'arn:aws:s' } }),
      'does not support SecretsManagerConfiguration',
    ],
    [
      'processors',
      (c) => Object.assign(c, { ProcessingConfiguration: { Enabled: true, Processors: [] } }),
      'ProcessingConfiguration with processors',
    ],
  ])('%s is refused', async (_, change, message) => {
    const { client } = await start();
    const config = destination('jdbc:redshift://127.0.0.1:1/dev', 'events');
    change(config);
    await expect(create(client, config)).rejects.toMatchObject({ message: expect.stringContaining(message) });
  });

  test('the embedded warehouse stands for a cluster on AWS', async () => {
    const db = await openPgServer(await embedded());
    closing.push(db.stop);
    await db.sql('CREATE TABLE cluster (n int)');
    const port = Number(new URL(db.jdbcUrl.replace('jdbc:', '')).port);
    const { client } = await start(undefined, { host: '127.0.0.1', port });
    const host = 'shop.abc123.eu-west-1.redshift.amazonaws.com';
    await create(client, destination(`jdbc:redshift://${host}:5439/dev`, 'cluster'));
    await put(client, '{"n":1}\n');
    await until(async () => (await db.sql('SELECT n FROM cluster')).length === 1);
  });

  test('a server that does not answer is tried again, and the stream accepts records meanwhile', async () => {
    const { client, log } = await start();
    const unused = createServer();
    await new Promise<void>((listening) => unused.listen(0, '127.0.0.1', listening));
    const { port } = unused.address() as { port: number };
    await new Promise((closed) => unused.close(closed));
    await create(client, destination(`jdbc:postgresql://127.0.0.1:${port}/postgres`, 'events'));
    await put(client, '{"n":1}\n');
    await until(() => log.some((line) => line.includes('ECONNREFUSED')));
    await put(client, '{"n":2}\n');
  });
});
