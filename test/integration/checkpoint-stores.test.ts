import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteItemCommand, DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { createConnection } from 'mysql2/promise';
import { inject } from 'vitest';
import { openCheckpointStore } from '../../src/checkpoint/open-checkpoint-store.ts';
import { loadConfig } from '../../src/config/load.ts';
import { checkpointStoreContract, type StoreSubject } from '../contract/checkpoint-store.contract.ts';
import { TcpProxy } from '../tcp-proxy.ts';

/** It has no types. */
const dynalite: (options: { createTableMs: number }) => Server = createRequire(import.meta.url)('dynalite');

const DIRECTORY = mkdtempSync(join(tmpdir(), 'cdc-stores-'));
let configs = 0;

/** A configuration whose checkpoint is there, and the connection to it. */
function configured(checkpoint: string): Pick<StoreSubject, 'config' | 'open'> & { directory: string } {
  const directory = mkdtempSync(join(DIRECTORY, `${++configs}-`));
  const config = join(directory, 'cdc.yaml');
  writeFileSync(
    config,
    `name: shop
source: { url: "mysql://nobody@127.0.0.1:1" }
firehose: { stream: s }
checkpoint: ${checkpoint}
`,
  );
  return { directory, config, open: () => openCheckpointStore(loadConfig(config)) };
}

checkpointStoreContract('in a file', { stoppedKeeps: true, hasGeneration: false, isServer: false }, async () => {
  const { directory, ...subject } = configured('{ file: state/shop.json }');
  const file = join(directory, 'state', 'shop.json');
  return {
    ...subject,
    removeLease: async () => rmSync(`${file}.lock`, { force: true }),
    removeCheckpoint: async () => rmSync(file),
    replaceText: async (replace) => writeFileSync(file, replace(readFileSync(file, 'utf8'))),
    close: async () => rmSync(directory, { recursive: true }),
  };
});

let tables = 0;
async function mysqlSubject(url: string): Promise<StoreSubject> {
  const proxy = await TcpProxy.listen(Number(new URL(url).port));
  const schema = `store_${process.pid}_${++tables}`;
  const { directory, ...subject } = configured(`{ mysql: { url: "mysql://root@127.0.0.1:${proxy.port}/${schema}" } }`);
  const query = async (sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> => {
    const connection = await createConnection({ uri: url });
    try {
      const [rows] = await connection.query(sql.replace('TABLE', `${schema}.cdc_checkpoint`), values);
      return rows as Record<string, unknown>[];
    } finally {
      connection.destroy();
    }
  };
  return {
    ...subject,
    removeLease: async () => void (await query('DELETE FROM TABLE')),
    removeCheckpoint: async () => void (await query('UPDATE TABLE SET checkpoint = NULL')),
    async replaceText(replace) {
      const [row] = await query('SELECT checkpoint FROM TABLE');
      await query('UPDATE TABLE SET checkpoint = ?', [replace(String(row?.checkpoint))]);
    },
    away: () => proxy.blackhole('open and new'),
    back: () => proxy.resume(),
    async close() {
      await proxy.close();
      await query(`DROP DATABASE IF EXISTS ${schema}`);
      rmSync(directory, { recursive: true });
    },
  };
}
const SERVER = { stoppedKeeps: false, hasGeneration: true, isServer: true };
checkpointStoreContract('in MySQL', SERVER, () => mysqlSubject(inject('mysqlUrl')));
checkpointStoreContract('in MariaDB', SERVER, () => mysqlSubject(inject('mariadbUrl')));

checkpointStoreContract('in DynamoDB', SERVER, async () => {
  const dynamodb: Server = dynalite({ createTableMs: 20 });
  await new Promise<void>((done) => dynamodb.listen(0, '127.0.0.1', done));
  const { port } = dynamodb.address() as AddressInfo;
  const proxy = await TcpProxy.listen(port);
  const { directory, ...subject } = configured(
    `{ dynamodb: { table: cdc-state, endpoint: "http://127.0.0.1:${proxy.port}" } }`,
  );
  const client = new DynamoDBClient({
    ...{ region: 'us-east-1', endpoint: `http://127.0.0.1:${port}` },
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const item = (name: string) => ({ TableName: 'cdc-state', Key: { name: { S: name } } });
  return {
    ...subject,
    async removeLease() {
      await client.send(new DeleteItemCommand(item('shop#lease')));
      await client.send(new DeleteItemCommand(item('shop')));
    },
    async removeCheckpoint() {
      await client.send(new UpdateItemCommand({ ...item('shop'), UpdateExpression: 'REMOVE checkpoint' }));
    },
    async replaceText(replace) {
      const { Item } = await client.send(new GetItemCommand(item('shop')));
      await client.send(
        new UpdateItemCommand({
          ...item('shop'),
          UpdateExpression: 'SET checkpoint = :text',
          ExpressionAttributeValues: { ':text': { S: replace(String(Item?.checkpoint?.S)) } },
        }),
      );
    },
    away: () => proxy.blackhole('open and new'),
    back: () => proxy.resume(),
    async close() {
      client.destroy();
      await proxy.close();
      await new Promise((done) => dynamodb.close(done));
      rmSync(directory, { recursive: true });
    },
  };
});
