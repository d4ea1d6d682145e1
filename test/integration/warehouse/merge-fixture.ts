import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { startWarehouse } from '../../../src/local/warehouse/server.ts';
import { type Cdc, Fixture } from '../pipeline-fixture.ts';
import { postgresUnavailable, startPostgres } from '../postgres-server.ts';

/** A warehouse that a merge writes to, and reads of it. */
export interface Target {
  name: 'DuckDB' | 'PostgreSQL' | 'PGlite';
  into: string;
  rows(sql: string): Promise<unknown[][]>;
  close(): Promise<void>;
}

/** A file of DuckDB. Only one process can have it open, so each query opens it. */
export async function duckdbTarget(path: string): Promise<Target> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const rows = async (sql: string) => {
    const instance = await DuckDBInstance.create(path);
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql)).getRows();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  };
  return { name: 'DuckDB', into: `duckdb:${path}`, rows, close: async () => {} };
}

/** Debian's server where there is one, otherwise PGlite. */
export async function postgresTarget(directory: string): Promise<Target> {
  if ((await postgresUnavailable()) !== undefined) return pgliteTarget(directory);
  const server = await startPostgres();
  return { name: 'PostgreSQL', into: server.url, rows: (sql) => query(server.url, sql), close: () => server.stop() };
}

export async function pgliteTarget(directory: string): Promise<Target> {
  const server = await startWarehouse({ directory: join(directory, 'pglite'), listen: { host: '127.0.0.1', port: 0 } });
  return { name: 'PGlite', into: server.url, rows: (sql) => query(server.url, sql), close: () => server.close() };
}

export async function query(url: string, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const result = await client.query({ text: sql, rowMode: 'array' });
    return [result].flat().at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}

/** A pipeline whose lake is merged. */
export class MergeFixture extends Fixture {
  daemon: Cdc | undefined;

  async begin(extra = ''): Promise<void> {
    const { endpoint } = await this.startFirehose();
    this.configure(endpoint, `lake: lake/changes\n${extra}`);
    this.daemon = await this.run();
  }

  async stop(): Promise<void> {
    this.daemon?.child.kill('SIGTERM');
    await this.daemon?.ended;
    await this.firehose?.close();
    this.firehose = undefined;
  }

  async end(): Promise<void> {
    await this.stop();
    if (existsSync(this.directory)) await this.remove();
  }
}
