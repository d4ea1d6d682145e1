import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DeleteItemCommand, DynamoDBClient, GetItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Random } from '../../../src/local/demo/random.ts';
import { type LocalServer, startLocalServer } from '../../../src/local/mysql/server.ts';

export const STORES = ['file', 'mysql', 'dynamodb'] as const;
export type StoreKind = (typeof STORES)[number];

/** A store, and the blows that are against it alone. */
export interface StoreUnderTest {
  kind: StoreKind;
  /** How reports name it. */
  name: string;
  /** Where it listens; undefined for a file. */
  port: number | undefined;
  /** The value of `checkpoint` in the configuration. @param port of the store, or of a proxy before it */
  configuration(port: number | undefined): string;
  /** The generation of the lease; 0 where there is none. */
  generation(): Promise<number>;
  /** Takes the lease from its holder, and says how. */
  steal(random: Random): Promise<string>;
  close(): Promise<void>;
}

/** The name of the pipeline. */
export const PIPELINE = 'chaos';

export interface StorePlace {
  directory: string;
  source: LocalServer;
  /** Whether the table is on another server than the source. */
  elsewhere: boolean;
}

export function startStore(kind: StoreKind, place: StorePlace): Promise<StoreUnderTest> {
  if (kind === 'mysql') return startMysqlStore(place);
  if (kind === 'dynamodb') return startDynamodbStore();
  return Promise.resolve(fileStore(place));
}

function fileStore({ directory }: StorePlace): StoreUnderTest {
  const file = join(directory, 'state', 'chaos.json');
  return {
    kind: 'file',
    name: 'file',
    port: undefined,
    configuration: () => '{ file: state/chaos.json }',
    generation: async () => 0,
    async steal() {
      if (!existsSync(`${file}.lock`)) throw new Error('there is no lock to remove');
      rmSync(`${file}.lock`);
      return 'the lock file is removed';
    },
    async close() {},
  };
}

const MYSQL_SCHEMA = 'ops';
const MYSQL_TABLE = 'cdc_checkpoint';

async function startMysqlStore({ directory, source, elsewhere }: StorePlace): Promise<StoreUnderTest> {
  const own = elsewhere
    ? await startLocalServer({ flavor: 'mysql', directory: join(directory, 'store'), report: () => {} })
    : undefined;
  const { url, port } = own ?? source;
  const place = JSON.stringify([MYSQL_SCHEMA, MYSQL_TABLE, PIPELINE]);
  const lock = `cdc:${createHash('sha256').update(place).digest('hex').slice(0, 40)}`;
  const table = `${MYSQL_SCHEMA}.${MYSQL_TABLE}`;
  const run = async (sql: string, values: unknown[] = []): Promise<RowDataPacket[]> => {
    const connection = await createConnection({ uri: url });
    try {
      return (await connection.query<RowDataPacket[]>(sql, values))[0];
    } finally {
      connection.destroy();
    }
  };
  return {
    kind: 'mysql',
    name: elsewhere ? 'mysql (another server)' : 'mysql (the source)',
    port,
    configuration: (port) => `{ mysql: { url: "mysql://root@127.0.0.1:${port}/${MYSQL_SCHEMA}" } }`,
    async generation() {
      const [row] = await run(`SELECT generation FROM ${table} WHERE name = ?`, [PIPELINE]);
      return Number(row?.generation ?? 0);
    },
    async steal(random) {
      if (random.chance(0.5)) {
        await run(`UPDATE ${table} SET generation = generation + 1 WHERE name = ?`, [PIPELINE]);
        return 'the generation is counted up';
      }
      const [row] = await run('SELECT IS_USED_LOCK(?) AS holder', [lock]);
      if (!row?.holder) throw new Error('nobody has the named lock');
      await run(`KILL ${Number(row.holder)}`);
      return 'the session of the lock is killed';
    },
    close: async () => own?.stop(),
  };
}

const TABLE = 'cdc-state';

type Dynalite = (options: { createTableMs: number }) => Server;

async function startDynamodbStore(): Promise<StoreUnderTest> {
  // It has no types.
  const dynalite = createRequire(import.meta.url)('dynalite') as Dynalite;
  const server = dynalite({ createTableMs: 50 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const lease = { TableName: TABLE, Key: { name: { S: `${PIPELINE}#lease` } } };
  return {
    kind: 'dynamodb',
    name: 'dynamodb (dynalite)',
    port,
    configuration: (port) => `{ dynamodb: { table: ${TABLE}, endpoint: "http://127.0.0.1:${port}" } }`,
    async generation() {
      const input = { TableName: TABLE, Key: { name: { S: PIPELINE } }, ConsistentRead: true };
      const answer = await client.send(new GetItemCommand(input)).catch((error: Error) => {
        if (error.name === 'ResourceNotFoundException') return { Item: undefined };
        throw error;
      });
      return Number(answer.Item?.generation?.N ?? 0);
    },
    async steal(random) {
      if (random.chance(0.5)) {
        await client.send(new DeleteItemCommand(lease));
        return 'the item of the lease is deleted';
      }
      const UpdateExpression = 'SET generation = generation + :one, #owner = :thief';
      const names = { '#owner': 'owner' };
      const values = { ':one': { N: '1' }, ':thief': { S: 'a thief that does not renew' } };
      await client.send(
        new UpdateItemCommand({
          ...{ ...lease, UpdateExpression },
          ...{ ExpressionAttributeNames: names, ExpressionAttributeValues: values },
        }),
      );
      return 'the lease has another owner';
    },
    async close() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
