import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  CreateDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  PutRecordBatchCommand,
} from '@aws-sdk/client-firehose';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { startLocalFirehose } from '../../src/local/firehose/server.ts';
import { startWarehouse, type Warehouse } from '../../src/local/warehouse/server.ts';
import { checkStream } from '../../src/sinks/firehose/check-stream.ts';
import { postgres } from '../../src/warehouse/dialects/postgres.ts';
import { createInput } from '../aws/create-input.ts';
import { type Parameters, resolveTemplate, type Stack } from '../aws/resolve.ts';
import { SAMPLES } from '../aws/stacks.ts';
import { readTemplate } from '../aws/template.ts';
import { firehoseOf } from '../unit/config/config-from.ts';

/** Each stack, in a local Firehose by the real SDK: its stream passes cdc check, takes events and delivers them. */

const folder = mkdtempSync(join(tmpdir(), 'cdc-stacks-'));
const closing: (() => Promise<unknown> | unknown)[] = [];
let lakes = 0;
let warehouse: Warehouse;

beforeAll(async () => {
  warehouse = await startWarehouse({ directory: join(folder, 'wh'), listen: { host: '127.0.0.1', port: 0 } });
});

afterAll(async () => {
  await warehouse.close();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const source = (table: string) => ({ connector: 'mysql', name: 'shop', db: 'shop', table, ts_ms: 1795369086977 });
const debezium = (table: string, id: number): string =>
  JSON.stringify({ op: 'c', before: null, after: { id }, key: { id }, seq: `6b0${id}`, source: source(table) });
const flat = (table: string, id: number): string =>
  JSON.stringify({
    id,
    _op: 'c',
    _seq: `6b0${id}`,
    _deleted: false,
    _ts_ms: 1795369086977,
    _db: 'shop',
    _table: table,
  });
const maxwell = (table: string, id: number): string =>
  JSON.stringify({ database: 'shop', table, type: 'insert', ts: 1795369086, data: { id }, seq: `6b0${id}` });
const FORMATS: Readonly<Record<string, (table: string, id: number) => string>> = { debezium, flat, maxwell };

async function start(stack: Stack) {
  const lake = join(folder, `lake-${lakes++}`);
  const firehose = await startLocalFirehose({
    ...{ listen: { host: '127.0.0.1', port: 0 }, lake, streams: [] },
    // A cluster of AWS is the embedded one here.
    warehouse,
  });
  closing.push(() => firehose.close().catch(() => {}));
  const client = new FirehoseClient({
    region: 'eu-west-1',
    endpoint: firehose.endpoint,
    maxAttempts: 1,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  closing.push(() => client.destroy());
  await client.send(new CreateDeliveryStreamCommand(createInput(stack)));
  return { firehose, lake, client };
}

/** The lines of the objects, by folder, with the dates replaced. */
function rowsByFolder(lake: string): Record<string, string[]> {
  const rows: Record<string, string[]> = {};
  for (const entry of readdirSync(lake, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = readFileSync(join(entry.parentPath, entry.name));
    const text = String(entry.name.endsWith('.gz') ? gunzipSync(bytes) : bytes);
    const place = entry.parentPath.slice(lake.length + 1).replace(/\d{4}([-/]\d\d){2}(\/\d\d)?$/, 'DATE');
    rows[place] = [...(rows[place] ?? []), ...text.split('\n').filter(Boolean)].sort();
  }
  return rows;
}

const STREAM = 'shop-changes-staging';

interface Delivery {
  template: string;
  what: string;
  parameters?: Parameters;
  /** Where the events of shop.orders and shop.lines land, under the stream, and how. */
  lands: (event: (table: string, id: number) => string) => Record<string, string[]>;
  /** The folder of a record that is no JSON. */
  failed: string;
}

/** In one folder for each table. */
const byTable =
  (folder: (table: string) => string): Delivery['lands'] =>
  (event) => ({
    [folder('orders')]: [event('orders', 1), event('orders', 3)],
    [folder('lines')]: [event('lines', 2)],
  });
/** All in one folder. */
const together =
  (folder: string, row = (event: string) => event): Delivery['lands'] =>
  (event) => ({ [folder]: [event('orders', 1), event('lines', 2), event('orders', 3)].map(row).sort() });

const DELIVERIES: Delivery[] = [
  ...Object.keys(FORMATS).map((Format) => ({
    template: 's3',
    what: `events of format ${Format}, a folder for each table`,
    parameters: { Format },
    lands: byTable((table) => `${STREAM}/events/shop/${table}/DATE`),
    failed: 'partitioning-failed',
  })),
  {
    template: 's3',
    what: 'all tables together',
    parameters: { FoldersBy: 'none' },
    lands: together(`${STREAM}/events/DATE`),
    failed: '',
  },
  {
    template: 'parquet',
    what: 'what would be Parquet',
    lands: together(`${STREAM}/events/day=DATE`),
    failed: 'format-conversion-failed',
  },
  {
    template: 'snowflake',
    what: 'a VARIANT for each event',
    lands: together('CDC/CDC_STATE/LANDING/DATE', (event) => `{"CONTENT":${event}}`),
    failed: 'snowflake-failed',
  },
  {
    template: 'iceberg',
    what: 'a row for each event',
    lands: byTable((table) => `cdc_shop_staging/${table}`),
    failed: 'iceberg-failed',
  },
  { template: 'redshift', what: 'staging objects', lands: together(`${STREAM}/staging/DATE`), failed: '' },
];

/** The landing table of `cdc sql`, with the types that stand for those of Redshift. */
const [LANDING = ''] = postgres.landing.define({
  pipeline: 'shop',
  format: 'debezium',
  flatPrefix: '_',
  lake: '',
  tables: [],
});

async function inWarehouse(sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: warehouse.url });
  await client.connect();
  try {
    return [await client.query({ text: sql, rowMode: 'array' })].flat().at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}

test.each(DELIVERIES)(
  'the stream of $template.yaml delivers $what',
  async ({ template, parameters, lands, failed }) => {
    const stack = resolveTemplate(readTemplate(template), { ...SAMPLES[template]![0], ...parameters });
    const { firehose, lake, client } = await start(stack);
    if (template === 'redshift') {
      await inWarehouse(`DROP SCHEMA IF EXISTS cdc_state CASCADE; CREATE SCHEMA cdc_state; ${LANDING}`);
    }

    const lines = stack.Outputs.CdcConfiguration!;
    const tables = /^tables:/m.test(lines) ? '' : 'tables: ["shop.*"]\n';
    const yaml = `source: { url: "mysql://cdc:x@127.0.0.1" }\n${tables}${lines}`;
    const config = parseConfig(yaml, { file: 'cdc.yaml', directory: '/', env: {} });
    const { format, flat_prefix } = config;
    const options = firehoseOf(config);
    const { DeliveryStreamDescription: described } = await client.send(
      new DescribeDeliveryStreamCommand({ DeliveryStreamName: options.stream }),
    );
    expect(described!.DeliveryStreamEncryptionConfiguration?.Status).toBe('ENABLED');
    expect(checkStream(described!, { ...options, format, flat_prefix })).toEqual([]);

    const event = FORMATS[format]!;
    const events = [event('orders', 1), event('lines', 2), event('orders', 3)].map((line) => `${line}\n`);
    const records = options.aggregate === 'off' ? events : [events.join('')];
    const bad = failed === '' ? [] : ['no JSON\n'];
    const put = await client.send(
      new PutRecordBatchCommand({
        DeliveryStreamName: options.stream,
        Records: [...records, ...bad].map((text) => ({ Data: Buffer.from(text) })),
      }),
    );
    expect(put).toMatchObject({ FailedPutCount: 0, Encrypted: true });
    await firehose.close();

    if (template === 'redshift') {
      const landed = await inWarehouse('SELECT seq FROM cdc_state.landing ORDER BY seq');
      expect(landed).toEqual(events.map((line) => [JSON.parse(line).seq]).sort());
    }
    const rows = rowsByFolder(lake);
    const failures = rows[`${STREAM}/${STREAM}/failed/${failed}/DATE`] ?? [];
    delete rows[`${STREAM}/${STREAM}/failed/${failed}/DATE`];
    const expected = Object.entries(lands(event)).map(([place, list]) => [`${STREAM}/${place}`, list]);
    expect(rows).toEqual(Object.fromEntries(expected));
    const raw = failures.map((line) => Buffer.from(JSON.parse(line).rawData, 'base64').toString());
    expect(raw).toEqual(bad);
  },
);

test.each(Object.entries(SAMPLES))(
  'the local Firehose creates the stream of %s.yaml with every sample of parameters',
  async (name, samples) => {
    for (const parameters of samples) {
      const { client } = await start(resolveTemplate(readTemplate(name), parameters));
      const environment = parameters.Environment ?? 'staging';
      const described = await client.send(
        new DescribeDeliveryStreamCommand({ DeliveryStreamName: `shop-changes-${environment}` }),
      );
      expect(described.DeliveryStreamDescription?.DeliveryStreamStatus).toBe('ACTIVE');
    }
  },
);
