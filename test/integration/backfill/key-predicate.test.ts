import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startOf } from '../../../src/backfill/merge/chunk-merge.ts';
import type { FoundRows, KeyLookup } from '../../../src/backfill/read/key-lookup.ts';
import {
  type KeyValues,
  keyCondition,
  keyPredicate,
  keyValues,
  whyNoPredicate,
} from '../../../src/backfill/read/key-predicate.ts';
import type { Processed } from '../../../src/backfill/read/row-chunk.ts';
import type { SnapshotConnection } from '../../../src/backfill/read/snapshot-connection.ts';
import { ByteWriter } from '../../../src/codec/bytes/byte-writer.ts';
import { EventWriter } from '../../../src/codec/event-writer.ts';
import { configSchema, type ValueOptions } from '../../../src/config/schema.ts';
import { sourceConnection } from '../../../src/config/source-connection.ts';
import { seededRandom } from '../../../src/local/demo/random.ts';
import { type LocalServer, type ServerKind, startLocalServer } from '../../../src/local/mysql/server.ts';
import { keyText } from '../../../src/model/chunk-window.ts';
import { readServerInfo, type ServerInfo } from '../../../src/source/server/server-info.ts';
import { KEY_CASES } from './key-types.ts';
import { createKeyTable, openSnapshot, processedNow, query } from './snapshot-fixture.ts';

const ROWS = 120;
const SCHEMA = 'key_predicate';
const HEARTBEAT = `${SCHEMA}.heartbeat`;
type Format = 'debezium' | 'flat' | 'maxwell';

const valuesOf = (values: object): ValueOptions =>
  configSchema.parse({ source: { url: 'mysql://u@h' }, firehose: { stream: 's' }, values }).values;

const OPTIONS: [format: Format, values: ValueOptions][] = [
  ['debezium', valuesOf({})],
  [
    'flat',
    valuesOf({ bigint: 'string', decimal: 'number', binary: 'hex', temporal: 'epoch_micros', boolean: ['bit1'] }),
  ],
  ['debezium', valuesOf({ temporal: 'mysql' })],
  ['maxwell', valuesOf({})],
];

describe.each<ServerKind>(['mysql', 'mariadb', 'mysql-5.6'])('on %s', (kind) => {
  let url: string;
  let own: LocalServer | undefined;
  let connection: SnapshotConnection;
  let server: ServerInfo;
  beforeAll(async () => {
    if (kind === 'mysql-5.6') own = await startLocalServer({ flavor: kind });
    url = own?.url ?? inject(kind === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
    await query(
      url,
      `DROP DATABASE IF EXISTS ${SCHEMA}`,
      `CREATE DATABASE ${SCHEMA}`,
      `CREATE TABLE ${HEARTBEAT} (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL)`,
    );
    server = await readServerInfo(sourceConnection({ url }));
    connection = await openSnapshot(url, kind === 'mysql-5.6' ? { heartbeatTable: HEARTBEAT } : {});
  });
  afterAll(async () => {
    await connection?.close();
    await own?.stop();
  });

  const open = async (): Promise<KeyLookup> => {
    const table = (await connection.describe(SCHEMA, 't'))!;
    return connection.lookUp(table, table.primaryKey, () => false);
  };

  /** The keys of the rows, as events have them. */
  function keysOf({ table }: KeyLookup, found: FoundRows, [format, values]: (typeof OPTIONS)[number]): string[] {
    const options = { format, name: 'n', epoch: 1, flatPrefix: '_', values, charsets: server.charsets };
    const writer = new EventWriter({ ...table, key: table.primaryKey }, options, new ByteWriter(), 'row-packet');
    const keys: string[] = [];
    writer.beginSnapshot({ file: 'b.1', fileNumber: 1, position: 4, readAt: 0 }, 0);
    for (let i = 0; i < found.count; i++) {
      // The writer changes the NULL bitmap.
      const bytes = Buffer.from(found.bytes);
      writer.writeSnapshotRow(bytes, startOf(found, i), found.ends[i]!, i, (event) => {
        keys.push(Buffer.from(keyText(event), 'latin1').toString());
      });
    }
    return keys;
  }

  const read = async (lookup: KeyLookup, condition: string, processed: Processed): Promise<FoundRows> =>
    (await lookup.read(condition, processed, Number.POSITIVE_INFINITY))!;

  const cases = KEY_CASES.filter(({ on }) => on === undefined || on.includes(kind));
  test.each(cases.map((one) => [one.name, one] as const))(
    'the keys of events of type %s find their rows, and no other keys',
    async (name, keyCase) => {
      const random = seededRandom(Number(process.env.CDC_SEED ?? 11));
      await createKeyTable(url, `${SCHEMA}.t`, keyCase, ROWS, random);
      const lookup = await open();
      const processed = await processedNow(url);
      if (/FLOAT|DOUBLE/.test(name)) {
        expect(whyNoPredicate(lookup.key, keyValues(...OPTIONS[0]!))).toContain('floating-point');
        return;
      }
      for (const options of OPTIONS) {
        const values: KeyValues = keyValues(...options);
        const all = keysOf(lookup, await read(lookup, 'TRUE', processed), options);
        expect(all.length).toBeGreaterThan(1);
        expect(whyNoPredicate(lookup.key, values)).toBeUndefined();
        for (const count of [1, 1, 1, 7, 30, all.length]) {
          const keys = count === all.length ? all : Array.from({ length: count }, () => random.pick(all));
          const predicate = keyPredicate(lookup.key, keys, values);
          expect(predicate, keys.join()).toBeDefined();
          const found = keysOf(lookup, await read(lookup, predicate!.sql, processed), options);
          // Two rows can have one key in events: the invalid value of an ENUM, and its empty label.
          const mine = all.filter((key) => keys.includes(key)).toSorted();
          expect(found.filter((key) => keys.includes(key)).toSorted()).toEqual(mine);
          // The key is unique, so the server takes hardly another row for one of them.
          expect(found.length, predicate!.sql).toBeLessThanOrEqual(mine.length + 2);
        }
      }
    },
  );

  test('a condition is read as a range of the index', async () => {
    const types: [columns: string, key: string, value: string][] = [
      ['id BIGINT UNSIGNED NOT NULL', 'id', 'n'],
      ['id DECIMAL(20,4) NOT NULL', 'id', 'n'],
      ['id VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL', 'id', "CONCAT('ä', n)"],
      ['id VARCHAR(40) CHARACTER SET latin1 NOT NULL', 'id', "CONCAT('ä', n)"],
      ['id CHAR(40) CHARACTER SET sjis NOT NULL', 'id', "CONCAT('a', n)"],
      ['id VARBINARY(20) NOT NULL', 'id', 'n'],
      ['id DATETIME(3) NOT NULL', 'id', "'2026-01-01' + INTERVAL n SECOND"],
      ["id TIMESTAMP NOT NULL DEFAULT '2020-01-01'", 'id', "'2026-01-01' + INTERVAL n SECOND"],
      ['id TIME NOT NULL', 'id', 'SEC_TO_TIME(n)'],
      ['id BIT(20) NOT NULL', 'id', 'n'],
      ['a VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, id INT NOT NULL', 'a, id', "CONCAT('t', n MOD 3), n"],
    ];
    for (const [columns, key, value] of types) {
      await query(
        url,
        `DROP TABLE IF EXISTS ${SCHEMA}.t, ${SCHEMA}.digits`,
        `CREATE TABLE ${SCHEMA}.digits (d INT PRIMARY KEY)`,
        `INSERT INTO ${SCHEMA}.digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)`,
        `CREATE TABLE ${SCHEMA}.t (${columns}, v INT, PRIMARY KEY (${key})) ENGINE=InnoDB`,
        `INSERT INTO ${SCHEMA}.t SELECT ${value.replaceAll(/\bn\b/g, '(a.d * 100 + b.d * 10 + c.d)')}, 1
         FROM ${SCHEMA}.digits a, ${SCHEMA}.digits b, ${SCHEMA}.digits c`,
        `ANALYZE TABLE ${SCHEMA}.t`,
      );
      const lookup = await open();
      const processed = await processedNow(url);
      const options = OPTIONS[0]!;
      const keys = keysOf(lookup, await read(lookup, 'TRUE', processed), options).slice(300, 310);
      const { sql } = keyPredicate(lookup.key, keys, keyValues(...options))!;
      const [[, , , ...plan] = []] = await query(
        url,
        "SET time_zone = '+00:00'",
        `EXPLAIN ${kind === 'mariadb' ? '' : 'FORMAT=TRADITIONAL'} SELECT * FROM ${SCHEMA}.t WHERE ${sql}`,
      );
      expect(plan.map(String), columns).toContain('range');
      expect(plan.map(String), columns).toContain('10');
    }
  });

  test('text with every special character is found under any sql_mode', async () => {
    const texts = ["'", "''", '\\', "\\'", '"', '\0', '\n', '`', '%', '_', '😀', 'a', '/*', '-- ', ';', '?', '\u2028'];
    await query(
      url,
      `DROP TABLE IF EXISTS ${SCHEMA}.t`,
      `CREATE TABLE ${SCHEMA}.t (\`q"u\\\`\`o?te\` VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY) ENGINE=InnoDB`,
      `INSERT INTO ${SCHEMA}.t VALUES ${texts.map((text) => `(_utf8mb4 x'${Buffer.from(text).toString('hex')}')`)}`,
    );
    const lookup = await open();
    const options = OPTIONS[0]!;
    const all = keysOf(lookup, await read(lookup, 'TRUE', await processedNow(url)), options);
    expect(all).toHaveLength(texts.length);
    for (const mode of ['', 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT']) {
      for (const key of all) {
        const { sql } = keyCondition(lookup.key, key, keyValues(...options))!;
        const rows = await query(url, `SET sql_mode = '${mode}'`, `SELECT * FROM ${SCHEMA}.t WHERE ${sql}`);
        expect(rows.map(([text]) => text)).toEqual([Object.values(JSON.parse(key))[0]]);
      }
    }
  });
});
