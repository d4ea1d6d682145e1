import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Processed } from '../../../src/backfill/read/row-chunk.ts';
import { ReadSession } from '../../../src/backfill/read/session.ts';
import type { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import type { TableReader } from '../../../src/backfill/read/table-reader.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import { type Random, seededRandom } from '../../../src/local/demo/random.ts';
import type { LocalServer, ServerKind } from '../../../src/local/mysql/server.ts';
import { type KeyRange, WHOLE_TABLE } from '../../../src/model/key-range.ts';
import { startTestServer } from '../test-server.ts';
import { KEY_CASES } from './key-types.ts';
import { createKeyTable, firstColumn, openSnapshot, processedNow, query, readPlan } from './snapshot-fixture.ts';

const ROWS = 200;
const SCHEMA = 'backfill_keys';
const HEARTBEAT = `${SCHEMA}.heartbeat`;

/** Reads a range by chunks of random sizes; from time to time it splits the rest and reads both halves. */
async function readByChunks(
  reader: TableReader,
  processed: Processed,
  range: KeyRange,
  random: Random,
  splits = 3,
): Promise<number[]> {
  const found: number[] = [];
  let rest: KeyRange = range;
  for (;;) {
    if (splits > 0 && random.chance(0.3)) {
      const middle = await reader.split(rest, 3);
      if (middle !== undefined) {
        const left = await readByChunks(reader, processed, { after: rest.after, upTo: middle }, random, splits - 1);
        const right = await readByChunks(reader, processed, { after: middle, upTo: rest.upTo }, random, splits - 1);
        expect(left.length, 'the left half of a split').toBeGreaterThan(0);
        expect(right.length, 'the right half of a split').toBeGreaterThan(0);
        return [...found, ...left, ...right];
      }
    }
    const chunk = await reader.read(rest, processed, { rows: 1 + random.below(50), bytes: 1e9 });
    found.push(
      ...firstColumn(chunk, reader.table.columns.length, reader.table.columns[0]?.name === 'my_row_id' ? 8 : 0),
    );
    expect(found.length, 'no row is read twice').toBeLessThanOrEqual(ROWS);
    if (chunk.isLast) return found;
    rest = { after: chunk.lastKey as NonNullable<typeof chunk.lastKey>, upTo: rest.upTo };
  }
}

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
    );
    session = await ReadSession.open(
      sourceConnection({ url }),
      kind === 'mariadb' ? kind : 'mysql',
      new AbortController().signal,
    );
    connection = await openSnapshot(url, kind === 'mysql-5.6' ? { heartbeatTable: HEARTBEAT } : {});
  });
  afterAll(async () => {
    session?.destroy();
    await connection?.close();
    await own?.stop();
  });

  const cases = KEY_CASES.filter(({ on }) => on === undefined || on.includes(kind));
  test.each(cases.map((one) => [one.name, one] as const))(
    'chunks and splits of a key of type %s give each row once, in the order of the server',
    async (_, keyCase) => {
      const random = seededRandom(Number(process.env.CDC_SEED ?? 7));
      const expected = await createKeyTable(url, `${SCHEMA}.t`, keyCase, ROWS, random);
      const table = await connection.describe(SCHEMA, 't');
      expect(table).toBeDefined();
      const inOrder = (rows: number[]): number[] => (keyCase.hasOwnOrder ? rows.toSorted((a, b) => a - b) : rows);
      const reader = await connection.use(table as NonNullable<typeof table>, {});
      const processed = await processedNow(url);
      for (let run = 0; run < 2; run++) {
        const found = await readByChunks(reader, processed, WHOLE_TABLE, random);
        expect(inOrder(found)).toEqual(inOrder(expected));
      }
      expect(expected.length).toBeGreaterThan(1);
      const { lastKey } = await reader.read(WHOLE_TABLE, processed, { rows: 1, bytes: 1e9 });
      const { explain, touched } = await readPlan(session, reader, { after: lastKey!, upTo: null }, 10);
      // Without the index, the server sorts what is left.
      if (!reader.key.every(({ isIndexed }) => isIndexed)) return;
      expect(explain).toMatch(/range/);
      expect(explain).not.toMatch(/filesort|temporary/);
      expect(touched).toBeLessThan(30);
    },
  );
});
