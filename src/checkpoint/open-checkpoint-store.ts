import type { Config } from '../config/schema.ts';
import { sourceConnection } from '../config/source-connection.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { FileStore } from './file-store.ts';

/** The store that the configuration names. Only that one is loaded. */
export async function openCheckpointStore({ name, checkpoint }: Config): Promise<CheckpointStore> {
  const { file, mysql, dynamodb } = checkpoint;
  if (mysql !== undefined) {
    const { MysqlStore } = await import('./mysql-store.ts');
    const connection = sourceConnection(mysql, 'checkpoint.mysql');
    return new MysqlStore(name, { connection, schema: mysql.schema, table: mysql.table });
  }
  if (dynamodb !== undefined) {
    const { DynamodbStore } = await import('./dynamodb-store.ts');
    const { table, region, endpoint } = dynamodb;
    return new DynamodbStore(name, table, { region, endpoint });
  }
  return new FileStore(name, file);
}

/** Reads what the store holds, as a command does that leaves the lease alone. */
export async function withCheckpointStore<T>(config: Config, read: (store: CheckpointStore) => Promise<T>): Promise<T> {
  const store = await openCheckpointStore(config);
  try {
    return await read(store);
  } finally {
    await store.close();
  }
}
