import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ReadSession } from '../../../src/backfill/read/session.ts';
import type { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../../src/backfill/read/table-reader.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import type { LocalServer, ServerKind } from '../../../src/local/mysql/server.ts';
import { type Key, type KeyRange, WHOLE_TABLE } from '../../../src/model/key-range.ts';
import { startTestServer } from '../test-server.ts';
import { openSnapshot, processedNow, query, readPlan } from './snapshot-fixture.ts';

const SCHEMA = 'backfill_plan';
const HEARTBEAT = `${SCHEMA}.heartbeat`;
const ROWS = 20_000;
const LIMIT = 500;

const TABLES = {
  'an integer': 'id INT NOT NULL, PRIMARY KEY (id)',
  'two columns': 'a INT NOT NULL, PRIMARY KEY (a, id)',
  'three columns of three types':
    'a INT NOT NULL, b VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (b, a, id)',
  'four columns': 'a INT NOT NULL, c DATE NOT NULL, d DECIMAL(8,2) NOT NULL, PRIMARY KEY (a, c, d, id)',
  'a unique key that serves for a primary key': 'a INT NOT NULL, UNIQUE KEY k (a, id), KEY other (id)',
  'two columns of a partitioned table': 'a INT NOT NULL, PRIMARY KEY (a, id)',
};

describe.each<ServerKind>(['mysql', 'mariadb', 'mysql-5.6'])('on %s', (kind) => {
  let url: string;
  let own: LocalServer | undefined;
  let connection: SnapshotConnection;
  let session: ReadSession;
  beforeAll(async () => {
    if (kind === 'mysql-5.6') own = await startTestServer({ flavor: kind });
    url = own?.url ?? inject(kind === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    await query(
      url,
      `DROP DATABASE IF EXISTS ${SCHEMA}`,
      `CREATE DATABASE ${SCHEMA}`,
      `CREATE TABLE ${HEARTBEAT} (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL)`,
      `CREATE TABLE ${SCHEMA}.digits (d INT PRIMARY KEY)`,
      `INSERT INTO ${SCHEMA}.digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)`,
    );
    connection = await openSnapshot(url, kind === 'mysql-5.6' ? { heartbeatTable: HEARTBEAT } : {});
    const flavor = kind === 'mariadb' ? 'mariadb' : 'mysql';
    session = await ReadSession.open(sourceConnection({ url }), flavor, new AbortController().signal);
  });
  afterAll(async () => {
    session?.destroy();
    await connection?.close();
    await own?.stop();
  });

  async function createTable(definition: string, partitioned: boolean): Promise<TableReader> {
    const columns = definition.includes('id INT') ? definition : `id INT NOT NULL, ${definition}`;
    const values = {
      a: 'id MOD 3',
      b: "CONCAT('Ä', id MOD 7)",
      c: "'2026-01-01' + INTERVAL (id MOD 5) DAY",
      d: 'id MOD 11',
      id: 'id',
    };
    const names = Object.keys(values).filter((name) => new RegExp(`(?:^|, )${name} [A-Z]`).test(columns));
    const numbers = `SELECT a.d + 10*b.d + 100*c.d + 1000*d.d + 10000*e.d AS id FROM ${SCHEMA}.digits a,
      ${SCHEMA}.digits b, ${SCHEMA}.digits c, ${SCHEMA}.digits d, ${SCHEMA}.digits e WHERE e.d < ${ROWS / 10_000}`;
    await query(
      url,
      `DROP TABLE IF EXISTS ${SCHEMA}.t`,
      `CREATE TABLE ${SCHEMA}.t (${columns}, body CHAR(50)) ${partitioned ? 'PARTITION BY HASH (id) PARTITIONS 4' : ''}`,
      `INSERT INTO ${SCHEMA}.t (${names.join(', ')}) SELECT ${names.map((name) => values[name as 'a']).join(', ')} FROM (${numbers}) x`,
      `ANALYZE TABLE ${SCHEMA}.t`,
    );
    const table = await connection.describe(SCHEMA, 't');
    return connection.use(table!, {});
  }

  test.each(Object.entries(TABLES))(
    'a chunk of a key of %s is a range of its index that reads only its own rows',
    async (name, definition) => {
      const reader = await createTable(definition, name.includes('partitioned'));
      const processed = await processedNow(url);
      const keys: Key[] = [];
      for (let after: Key | null = null; keys.length < 8; ) {
        const chunk = await reader.read({ after, upTo: null }, processed, { rows: 1_700, bytes: 1e9 });
        after = chunk.lastKey as Key;
        keys.push(after);
      }
      const [first, , , middle, , , , last] = keys as [Key, Key, Key, Key, Key, Key, Key, Key];
      const ranges: KeyRange[] = [
        WHOLE_TABLE,
        { after: middle, upTo: null },
        { after: null, upTo: middle },
        { after: first, upTo: last },
        { after: middle, upTo: last },
      ];
      // Partitions: each has a cursor of its own.
      const slack = name.includes('partitioned') ? 40 : 20;
      for (const range of ranges) {
        const { explain, touched } = await readPlan(session, reader, range, LIMIT);
        expect(explain).not.toMatch(/filesort|temporary/);
        if (range !== WHOLE_TABLE) expect(explain).toMatch(/range/);
        expect(touched).toBeLessThan(LIMIT + slack);
      }
    },
  );
});
