import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { RepairResult } from '../../../src/backfill/control.ts';
import { type ParsedEvent, parseEvent } from '../../../src/codec/formats/parse-event.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { runDaemon } from '../../../src/daemon.ts';
import { listObjects } from '../../../src/lake/objects.ts';
import { type LocalServer, startLocalServer } from '../../../src/local/mysql/server.ts';
import type { RunningPipeline } from '../../../src/pipeline.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { until } from '../pipeline-fixture.ts';
import { BackfillFixture, rowsOf } from './backfill-fixture.ts';

/** Rows whose keys differ in the lake are sent again, through a daemon that follows the binlog. */

type Kind = 'mysql' | 'mariadb';
type Format = 'debezium' | 'flat' | 'maxwell';
interface Event extends ParsedEvent {
  line: string;
}

const idKey = (id: number): string => `{"id":${id}}`;
const idKeys = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => idKey(from + i));

class RepairBed extends BackfillFixture {
  readonly format: Format;

  constructor(kind: Kind, name: string, format: Format = 'debezium', url?: string) {
    super(url ?? inject(kind === 'mysql' ? 'mysqlUrl' : 'mariadbUrl'), `repair_${name}_${kind}`);
    this.format = format;
  }

  /** Statements whose changes are in no binlog, so that the lake lacks them. */
  silently(...statements: string[]): Promise<void> {
    return this.query(`USE ${this.schema}`, 'SET SESSION sql_log_bin = 0', ...statements);
  }

  change(...statements: string[]): Promise<void> {
    return this.query(`USE ${this.schema}`, ...statements);
  }

  repair(table: string, ...keys: string[]): Promise<RepairResult> {
    return this.client.repair({ schema: this.schema, table, keys });
  }

  /** The events of a table that are in the lake, by their `seq`. */
  async events(table: string, key: readonly string[] = ['id']): Promise<Event[]> {
    const found: Event[] = [];
    for (const { path } of await listObjects(this.lake, 'changes')) {
      for (const line of readFileSync(path, 'utf8').split('\n').filter(Boolean)) {
        // Events of other tables have other keys; of them, only the table is looked at.
        const event = parseEvent(Buffer.from(line), this.format, key, '_');
        if (event.table === `${this.schema}.${table}`) found.push({ ...event, line });
      }
    }
    return found.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }

  /** Waits until the newest event of the key has this `op`. Returns it. */
  async newest(table: string, key: string, op: string, columns?: readonly string[]): Promise<Event> {
    let last: Event | undefined;
    await until(async () => {
      last = (await this.events(table, columns)).findLast((event) => event.key === key);
      return last?.op === op;
    }, 20_000).catch(() => expect.fail(`the newest event of ${key} is ${last?.line}, not of op ${op}`));
    return last as Event;
  }

  /** The fold of the lake is the table, and no two events share a `seq`. */
  async isRepaired(table: string): Promise<void> {
    await this.delivered();
    expect(await this.compare(table)).toMatchObject({ equal: true, conflicts: 0 });
  }

  /**
   * Holds the table locked while the repair waits for it with an open window, and does something meanwhile.
   * @param times how often, at most: each read of the repair is one
   */
  async during(
    table: string,
    repair: () => Promise<RepairResult>,
    statements: string[],
    times = 1,
  ): Promise<RepairResult> {
    const holder = await createConnection({ uri: this.url, database: this.schema });
    let isOver = false;
    const isWaiting = async (): Promise<boolean> => {
      const [waiting] = await holder.query(
        `SELECT ID FROM information_schema.PROCESSLIST
         WHERE STATE LIKE 'Waiting for table%' AND INFO LIKE 'SELECT%${this.schema}%' AND ID <> CONNECTION_ID()`,
      );
      return isOver || (waiting as unknown[]).length > 0;
    };
    try {
      await holder.query(`LOCK TABLES ${table} WRITE`);
      const repaired = repair().finally(() => {
        isOver = true;
      });
      // A rejection is the test's.
      repaired.catch(() => {});
      for (let i = 0; i < times && !isOver; i++) {
        if (i > 0) await holder.query(`LOCK TABLES ${table} WRITE`);
        await until(isWaiting);
        for (const sql of statements) await holder.query(sql);
        await holder.query('UNLOCK TABLES');
      }
      return await repaired;
    } finally {
      holder.destroy();
    }
  }
}

describe.each<Kind>(['mysql', 'mariadb'])('a repair on %s', (kind) => {
  let bed: RepairBed;
  beforeAll(async () => {
    bed = new RepairBed(kind, 'rows');
    await bed.createSchema();
    await bed.start();
  });
  afterAll(() => bed?.remove());

  async function create(table: string, rows = 5): Promise<void> {
    await bed.change(`CREATE TABLE ${table} (id INT PRIMARY KEY, v VARCHAR(40), w INT DEFAULT 7)`);
    await bed.change(...rowsOf(table, rows, "'old'"));
    await bed.delivered();
  }

  test('sends a missing and a stale row, deletes an extra one, and a later change wins over each', async () => {
    await create('t');
    await bed.silently(
      "UPDATE t SET v = 'new' WHERE id = 1",
      'DELETE FROM t WHERE id = 2',
      "INSERT INTO t VALUES (11, 'missing', 1)",
    );
    expect(await bed.compare('t')).toMatchObject({ missing: 1, extra: 1, different: 1 });
    const keys = [1, 2, 3, 11, 99, 1].map(idKey);
    expect(await bed.repair('t', ...keys)).toEqual({ sent: 3, deleted: 2, left: 0 });
    await bed.isRepaired('t');
    const deletion = JSON.parse((await bed.newest('t', idKey(2), 'd')).line);
    expect(deletion).toMatchObject({ before: { id: 2 }, after: null, key: { id: 2 }, partial: true });
    expect(deletion.source).toMatchObject({ gtid: null, server_id: 0, snapshot: 'true' });
    expect((await bed.newest('t', idKey(1), 'r')).line).toContain('"after":{"id":1,"v":"new","w":7}');

    await bed.change(
      "UPDATE t SET v = 'newer' WHERE id = 1",
      "INSERT INTO t VALUES (2, 'again', 2)",
      'DELETE FROM t WHERE id = 11',
    );
    await bed.isRepaired('t');
    for (const [id, op] of [
      [1, 'u'],
      [2, 'c'],
      [11, 'd'],
    ] as const) {
      const last = await bed.newest('t', idKey(id), op);
      expect(last.line).toContain('"snapshot":"false"');
    }
  });

  test('leaves a key out that the stream touches in the window, and says so', async () => {
    await create('touched');
    await bed.silently("UPDATE touched SET v = 'silent'");
    const result = await bed.during('touched', () => bed.repair('touched', ...idKeys(1, 4), idKey(50)), [
      "UPDATE touched SET v = 'loud' WHERE id = 2",
      'INSERT INTO touched VALUES (50, NULL, NULL)',
      'DELETE FROM touched WHERE id = 3',
    ]);
    expect(result).toEqual({ sent: 2, deleted: 0, left: 3 });
    await bed.delivered();
    expect(await bed.compare('touched')).toMatchObject({ different: 1, missing: 0, extra: 0, conflicts: 0 });
    expect((await bed.events('touched')).filter(({ op }) => op === 'r').map(({ key }) => key)).toEqual([
      idKey(1),
      idKey(4),
    ]);
    expect(await bed.repair('touched', idKey(5))).toEqual({ sent: 1, deleted: 0, left: 0 });
    await bed.isRepaired('touched');
  });

  test('reads a row again of which the stream had only parts in the window', async () => {
    await create('parts');
    await bed.silently("UPDATE parts SET v = 'silent' WHERE id = 1");
    const result = await bed.during('parts', () => bed.repair('parts', ...idKeys(1, 3)), [
      "SET SESSION binlog_row_image = 'MINIMAL'",
      'UPDATE parts SET w = 8 WHERE id = 1',
    ]);
    expect(result).toEqual({ sent: 3, deleted: 0, left: 0 });
    await bed.isRepaired('parts');
  });

  test('of rows that change all the time in part ends, with the stream paused for a moment', async () => {
    await create('hot', 40);
    await bed.silently("UPDATE hot SET v = 'silent'");
    // More often than it reads while the stream continues.
    const result = await bed.during(
      'hot',
      () => bed.repair('hot', ...idKeys(1, 40)),
      ["SET SESSION binlog_row_image = 'MINIMAL'", 'UPDATE hot SET w = w + 1'],
      20,
    );
    expect(result).toEqual({ sent: 40, deleted: 0, left: 0 });
    await bed.isRepaired('hot');
  });

  test('begins again if the table is altered or emptied in the window', async () => {
    await create('altered');
    await bed.silently("UPDATE altered SET v = 'silent' WHERE id = 1", 'DELETE FROM altered WHERE id = 2');
    const keys = idKeys(1, 5);
    expect(
      await bed.during('altered', () => bed.repair('altered', ...keys), [
        'ALTER TABLE altered ADD COLUMN x INT DEFAULT 3',
      ]),
    ).toEqual({ sent: 4, deleted: 1, left: 0 });
    expect((await bed.newest('altered', idKey(1), 'r')).line).toContain('"after":{"id":1,"v":"silent","w":7,"x":3}');
    await bed.silently('INSERT INTO altered VALUES (9, NULL, 1, 1)');
    expect(
      await bed.during('altered', () => bed.repair('altered', ...keys, idKey(9)), [
        'DELETE FROM altered WHERE id = 9',
        'TRUNCATE TABLE altered',
        "INSERT INTO altered VALUES (3, 'first', 1, 1)",
      ]),
    ).toEqual({ sent: 1, deleted: 5, left: 0 });
    await bed.isRepaired('altered');
  });

  test('of the same keys twice at once, while they change, leaves the order of each key', async () => {
    await create('twice', 60);
    await bed.silently('DELETE FROM twice WHERE id BETWEEN 1 AND 10', "UPDATE twice SET v = 'silent' WHERE id > 50");
    let isOver = false;
    const writers = [1, 2].map(async (offset) => {
      const connection = await createConnection({ uri: bed.url, database: bed.schema });
      for (let i = 0; !isOver; i++) {
        const id = 10 + offset + 2 * ((i * 7) % 20);
        await connection.query(`DELETE FROM twice WHERE id = ${id}`);
        await connection.query(`INSERT INTO twice VALUES (${id}, 'w${i}', ${offset})`);
      }
      connection.destroy();
    });
    for (let round = 0; round < 4; round++) {
      const results = await Promise.all([
        bed.repair('twice', ...idKeys(1, 60)),
        bed.repair('twice', ...idKeys(1, 60).toReversed()),
        bed.repair('twice', ...idKeys(5, 30)),
      ]);
      expect(results.map(({ sent, deleted, left }) => sent + deleted + left)).toEqual([60, 60, 26]);
      expect(results[0]?.deleted).toBeGreaterThanOrEqual(10);
    }
    isOver = true;
    await Promise.all(writers);
    await bed.isRepaired('twice');
    // A row between a deletion and an insertion of its key: each event is true where it is.
    const exists = new Map<string, boolean>();
    for (const { key, op } of await bed.events('twice')) {
      if (op === 'c' && exists.get(`${key}`)) expect.fail(`${key} was inserted twice, or an r of it is too early`);
      exists.set(`${key}`, op !== 'd');
    }
  });

  test('runs while the same table is backfilled, and while another one is', async () => {
    await create('copied', 20_000);
    await create('aside');
    await bed.silently(
      'DELETE FROM copied WHERE id <= 100',
      "UPDATE copied SET v = 'silent' WHERE id > 19900",
      "UPDATE aside SET v = 'silent'",
    );
    await bed.client.startBackfill({ tables: [`${bed.schema}.copied`], rate: 10_000, parallel: 2 });
    await until(async () => ((await bed.table('copied'))?.rows ?? 0) > 0);
    const keys = [...idKeys(1, 100), ...idKeys(19_801, 20_000)];
    const [copied, aside] = await Promise.all([bed.repair('copied', ...keys), bed.repair('aside', ...idKeys(1, 5))]);
    expect(copied).toEqual({ sent: 200, deleted: 100, left: 0 });
    expect(aside).toEqual({ sent: 5, deleted: 0, left: 0 });
    expect(await bed.over('copied')).toMatchObject([{ state: 'done' }]);
    await bed.isRepaired('copied');
    await bed.isRepaired('aside');
  });

  test('of a daemon that is killed is repeated, and nothing is lost', async () => {
    await create('killed', 400);
    for (let round = 0; round < 3; round++) {
      await bed.silently(
        `DELETE FROM killed WHERE id BETWEEN ${round * 50} AND ${round * 50 + 20}`,
        `UPDATE killed SET v = 'silent ${round}' WHERE id > 300`,
      );
      const changes = bed.change(
        ...Array.from({ length: 60 }, (_, i) => `UPDATE killed SET w = ${i} WHERE id = ${250 + (i % 100)}`),
      );
      const cut = bed.repair('killed', ...idKeys(0, 399)).catch((error) => error);
      await new Promise((done) => setTimeout(done, 20 + 40 * round));
      await bed.stopDaemon('SIGKILL');
      expect(await cut).toBeDefined();
      await changes;
      await bed.startDaemon();
      const { sent, deleted, left } = await bed.repair('killed', ...idKeys(0, 400));
      expect(sent + deleted + left).toBe(401);
      expect(left).toBe(0);
      await bed.isRepaired('killed');
    }
  });

  test('of what cannot be looked up is an error with its reason, and no key is in the log', async () => {
    await bed.change(
      'CREATE TABLE plain (id INT PRIMARY KEY)',
      'CREATE TABLE keyless (a INT)',
      'CREATE TABLE floats (id DOUBLE PRIMARY KEY)',
      'CREATE TABLE dates (id DATETIME PRIMARY KEY)',
      'CREATE TABLE renamed (id INT PRIMARY KEY)',
      'RENAME TABLE renamed TO renamed2',
      'CREATE VIEW seen AS SELECT id FROM floats',
    );
    const secret = '987654321';
    const refused = async (table: string, key: string, text: RegExp): Promise<void> => {
      const error = await bed.repair(table, idKey(1), key).catch((cause) => cause);
      expect(error).toMatchObject({ exitCode: 2, why: expect.any(String) });
      expect(`${error.message}: ${error.why}`).toMatch(text);
      expect(JSON.stringify([error.message, error.why, error.hint])).not.toContain(secret);
    };
    const key = `{"id":${secret}}`;
    await refused('keyless', key, /the events of .*\.keyless have no key/);
    await refused('floats', key, /column id is a floating-point number/);
    await refused('renamed', key, /renamed does not exist: it was dropped or renamed/);
    await refused('seen', key, /seen is a view/);
    await refused('dates', `{"id":"2026-99-99T98:76:54"}`, /2 of 2 keys cannot be looked up/);
    await refused(
      't',
      `{"id":"${secret}"}`,
      /1 of 2 keys cannot be looked up in .*: an event .* no such key of id now/,
    );
    await refused('plain', `{"id":${secret},"v":1}`, /1 of 2 keys/);
    await refused('plain', `{"ID":${secret}}`, /1 of 2 keys/);
    await refused('plain', `{"id": ${secret}}`, /1 of 2 keys/);
    await refused('plain', `{"id":${secret}`, /keys\.1: must be a JSON object/);
    const outside = bed.client.repair({ schema: 'mysql', table: 'user', keys: [key] });
    await expect(outside).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining('is outside tables') });
    expect(await bed.repair('plain', key)).toEqual({ sent: 0, deleted: 1, left: 0 });
    expect(bed.daemon?.stderr()).toContain('repair: rows were sent again');
    expect(bed.daemon?.stderr()).not.toContain(secret);
  });
});

/** A key, its rows as SQL, and the JSON text of their keys in each form. */
interface KeyForm {
  name: string;
  columns: string;
  key: string[];
  rows: [sql: string, json: string][];
}

const FORMS: Readonly<Record<string, { format: Format; extra: string; keys: KeyForm[] }>> = {
  debezium: {
    format: 'debezium',
    extra: '',
    keys: [
      {
        name: 'composite',
        columns: 'a INT NOT NULL, b VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL, PRIMARY KEY (b, a)',
        key: ['b', 'a'],
        rows: [
          ["1, 'x'", '{"b":"x","a":1}'],
          ["1, 'q\"\\\\'", '{"b":"q\\"\\\\","a":1}'],
          ["2, 'x'", '{"b":"x","a":2}'],
          ["-3, 'é😀'", '{"b":"é😀","a":-3}'],
          ["4, ''", '{"b":"","a":4}'],
        ],
      },
      {
        name: 'string',
        columns: 'a VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY',
        key: ['a'],
        rows: [
          ["'Anna'", '{"a":"Anna"}'],
          ["'BERTA'", '{"a":"BERTA"}'],
          ["'ço'", '{"a":"ço"}'],
          ["'d;''?'", '{"a":"d;\'?"}'],
          ["'z'", '{"a":"z"}'],
        ],
      },
      {
        name: 'binary',
        columns: 'a BINARY(4) PRIMARY KEY',
        key: ['a'],
        rows: [
          ["x'00010203'", '{"a":"AAECAw=="}'],
          ["x'ff'", '{"a":"/wAAAA=="}'],
          ["'ab'", '{"a":"YWIAAA=="}'],
          ["x'27225c00'", '{"a":"JyJcAA=="}'],
          ["''", '{"a":"AAAAAA=="}'],
        ],
      },
      {
        name: 'decimal',
        columns: 'a DECIMAL(20,3) PRIMARY KEY',
        key: ['a'],
        rows: [
          ['1.5', '{"a":"1.500"}'],
          ['-12345678901234567.891', '{"a":"-12345678901234567.891"}'],
          ['0', '{"a":"0.000"}'],
          ['0.001', '{"a":"0.001"}'],
          ['7', '{"a":"7.000"}'],
        ],
      },
      {
        name: 'datetime',
        columns: "a DATETIME(3) NOT NULL, b TIMESTAMP NOT NULL DEFAULT '2020-01-01', PRIMARY KEY (a, b)",
        key: ['a', 'b'],
        rows: [
          [
            "'2026-01-02 03:04:05.678', '2026-03-29 02:30:00'",
            '{"a":"2026-01-02T03:04:05.678","b":"2026-03-29T02:30:00Z"}',
          ],
          ["'1000-01-01', '2001-01-01'", '{"a":"1000-01-01T00:00:00.000","b":"2001-01-01T00:00:00Z"}'],
          ["'9999-12-31 23:59:59.999', '2001-01-01'", '{"a":"9999-12-31T23:59:59.999","b":"2001-01-01T00:00:00Z"}'],
          ["'2026-01-02', '2001-01-01'", '{"a":"2026-01-02T00:00:00.000","b":"2001-01-01T00:00:00Z"}'],
          ["'2026-01-03', '2001-01-01'", '{"a":"2026-01-03T00:00:00.000","b":"2001-01-01T00:00:00Z"}'],
        ],
      },
    ],
  },
  flat: {
    format: 'flat',
    extra:
      'format: flat\nvalues: { bigint: string, decimal: number, binary: hex, temporal: epoch_micros, boolean: [tinyint1] }',
    keys: [
      {
        name: 'numbers',
        columns: 'a BIGINT NOT NULL, b DECIMAL(9,2) NOT NULL, c TINYINT(1) NOT NULL, PRIMARY KEY (a, b, c)',
        key: ['a', 'b', 'c'],
        rows: [
          ['9007199254740993, 1.5, 1', '{"a":"9007199254740993","b":1.50,"c":true}'],
          ['-1, 0, 0', '{"a":"-1","b":0.00,"c":false}'],
          ['0, 0, 5', '{"a":"0","b":0.00,"c":5}'],
          ['1, -2.25, 0', '{"a":"1","b":-2.25,"c":false}'],
          ['2, 0, 0', '{"a":"2","b":0.00,"c":false}'],
        ],
      },
      {
        name: 'times',
        columns: 'a VARBINARY(9) NOT NULL, b DATETIME(6) NOT NULL, c DATE NOT NULL, PRIMARY KEY (b, a, c)',
        key: ['b', 'a', 'c'],
        rows: [
          ["'ab', '1970-01-01 00:00:00.000001', '1970-01-02'", '{"b":1,"a":"6162","c":86400000000}'],
          ["'', '1969-12-31 23:59:59.5', '1970-01-01'", '{"b":-500000,"a":"","c":0}'],
          ["x'00', '1970-01-01', '1970-01-01'", '{"b":0,"a":"00","c":0}'],
          ["x'ff', '1970-01-01', '1970-01-01'", '{"b":0,"a":"ff","c":0}'],
          ["x'fe', '1970-01-01', '1970-01-01'", '{"b":0,"a":"fe","c":0}'],
        ],
      },
    ],
  },
  maxwell: {
    format: 'maxwell',
    extra: 'format: maxwell',
    keys: [
      {
        name: 'mixed',
        columns: "a DECIMAL(9,2) NOT NULL, b DATETIME NOT NULL, c SET('x','y') NOT NULL, PRIMARY KEY (a, b, c)",
        key: ['a', 'b', 'c'],
        rows: [
          ["1, '2026-01-02 03:04:05', 'x,y'", '{"a":1.00,"b":"2026-01-02 03:04:05","c":["x","y"]}'],
          ["1, '2026-01-02', ''", '{"a":1.00,"b":"2026-01-02 00:00:00","c":[]}'],
          ["1, '2026-01-02', 'y'", '{"a":1.00,"b":"2026-01-02 00:00:00","c":["y"]}'],
          ["-1.5, '2026-01-02', 'y'", '{"a":-1.50,"b":"2026-01-02 00:00:00","c":["y"]}'],
          ["-1.25, '2026-01-02', 'y'", '{"a":-1.25,"b":"2026-01-02 00:00:00","c":["y"]}'],
        ],
      },
    ],
  },
};

describe.each<[Kind, keyof typeof FORMS]>([
  ['mysql', 'debezium'],
  ['mariadb', 'debezium'],
  ['mysql', 'flat'],
  ['mariadb', 'maxwell'],
])('keys on %s, in format %s', (kind, form) => {
  const { format, extra, keys } = FORMS[form]!;
  let bed: RepairBed;
  beforeAll(async () => {
    bed = new RepairBed(kind, form, format);
    await bed.createSchema();
    await bed.start(extra);
  });
  afterAll(() => bed?.remove());

  test.each(keys.map((one) => [one.name, one] as const))('of type %s', async (type, { columns, key, rows }) => {
    const name = `of_${type}`;
    const condition = (i: number): string => `n = ${i}`;
    const insert = (i: number): string => `INSERT INTO ${name} VALUES (${rows[i]![0]}, ${i}, 'old')`;
    const zone = "SET SESSION time_zone = '+00:00'";
    await bed.change(`CREATE TABLE ${name} (${withColumns(columns)})`, zone, ...[0, 1, 2, 3].map(insert));
    for (const i of [0, 1, 2, 3]) await bed.newest(name, rows[i]![1], 'c', key);
    await bed.silently(
      zone,
      `UPDATE ${name} SET v = 'new' WHERE ${condition(0)}`,
      `DELETE FROM ${name} WHERE ${condition(1)}`,
      insert(4),
    );
    expect(await bed.repair(name, ...rows.map(([, json]) => json))).toEqual({ sent: 4, deleted: 1, left: 0 });
    for (const i of [0, 2, 3, 4]) {
      const { line } = await bed.newest(name, rows[i]![1], 'r', key);
      expect(line).toContain(i === 0 ? '"new"' : '"old"');
    }
    await bed.newest(name, rows[1]![1], 'd', key);
    await bed.change(zone, ...[0, 2, 3, 4].map((i) => `DELETE FROM ${name} WHERE ${condition(i)}`), insert(1));
    for (const i of [0, 2, 3, 4]) await bed.newest(name, rows[i]![1], 'd', key);
    await bed.newest(name, rows[1]![1], 'c', key);
  });
});

/** The columns n and v behind those of the key. */
function withColumns(columns: string): string {
  const [before, ...key] = columns.split(/, PRIMARY KEY/);
  const constraint = key.length > 0 ? `, PRIMARY KEY${key.join('')}` : '';
  return `${before}, n INT, v VARCHAR(9)${constraint}`;
}

describe('keys whose values are not in the lake', () => {
  let bed: RepairBed;
  beforeAll(async () => {
    bed = new RepairBed('mysql', 'rules');
    await bed.createSchema();
  });
  afterAll(() => bed?.remove());
  afterEach(() => bed.stopDaemon());

  test('are refused with the name of their column, and other columns can have rules', async () => {
    await bed.start(
      `columns:
  "${bed.schema}.hashed.id": { hash: sha256, secret: "${'x'.repeat(32)}" }
  "${bed.schema}.fine.v": { mask: 2 }`,
    );
    await bed.change(
      ...['hashed', 'fine'].flatMap((name) => [
        `CREATE TABLE ${name} (id VARCHAR(20) PRIMARY KEY, v VARCHAR(20))`,
        `INSERT INTO ${name} VALUES ('ada', 'secret')`,
      ]),
    );
    await bed.delivered();
    await expect(bed.repair('hashed', '{"id":"ada"}')).rejects.toMatchObject({
      exitCode: 2,
      message: `rows of ${bed.schema}.hashed cannot be looked up by the keys of their events`,
      why: 'a rule under columns: replaces the values of column id',
    });
    await bed.silently("UPDATE fine SET v = 'another'");
    expect(await bed.repair('fine', '{"id":"ada"}', '{"id":"bob"}')).toEqual({ sent: 1, deleted: 1, left: 0 });
    expect((await bed.newest('fine', '{"id":"ada"}', 'r')).line).not.toContain('another');
  });
});

describe('a pipeline of the own process', () => {
  let bed: RepairBed;
  beforeAll(async () => {
    bed = new RepairBed('mysql', 'own');
    await bed.createSchema('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))', ...rowsOf('t', 3));
    bed.configure((await bed.startFirehose()).endpoint);
  });
  afterAll(() => bed?.remove());

  test('repairs, and rejects a repair that its end cuts off', async () => {
    const config = loadConfig(join(bed.directory, 'cdc.yaml'));
    const stop = new AbortController();
    let cut: Promise<unknown> | undefined;
    let ended: Promise<void> | undefined;
    const repaired = new Promise<RepairResult>((resolve, reject) => {
      const onRunning = ({ repair }: RunningPipeline): void => {
        const keys = [idKey(1), idKey(2), idKey(8)];
        repair({ schema: bed.schema, table: 't', keys }).then((result) => {
          cut = repair({ schema: bed.schema, table: 't', keys: [idKey(3)] }).catch((error) => error);
          resolve(result);
          stop.abort();
        }, reject);
      };
      ended = runDaemon(config, createLog('shop', 'fatal'), stop.signal, { onRunning });
      ended.catch(reject);
    });
    expect(await repaired).toEqual({ sent: 2, deleted: 1, left: 0 });
    expect(await cut).toMatchObject({ kind: 'retry', message: 'the pipeline ended before the repair did' });
    await ended;
    await bed.newest('t', idKey(8), 'd');
    expect((await bed.events('t')).map(({ op, key }) => `${op} ${key}`)).toEqual([
      `r ${idKey(1)}`,
      `r ${idKey(2)}`,
      `d ${idKey(8)}`,
    ]);
  });
});

describe('a repair on a server without GTIDs', () => {
  let server: LocalServer;
  let bed: RepairBed;
  beforeAll(async () => {
    server = await startLocalServer({ flavor: 'mysql-5.6' });
    bed = new RepairBed('mysql', 'old', 'debezium', server.url);
    await bed.createSchema(
      'CREATE TABLE heartbeat (id INT PRIMARY KEY, beat BIGINT UNSIGNED NOT NULL)',
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))',
    );
    await bed.start(`backfill: { heartbeat_table: ${bed.schema}.heartbeat }`);
  });
  afterAll(async () => {
    await bed?.remove();
    await server?.stop();
  });

  test('is ordered by the heartbeat table', async () => {
    await bed.change(...rowsOf('t', 5, "'old'"));
    await bed.delivered();
    await bed.silently("UPDATE t SET v = 'new' WHERE id = 1", 'DELETE FROM t WHERE id = 2');
    const result = await bed.during('t', () => bed.repair('t', ...idKeys(1, 6)), [
      "UPDATE t SET v = 'loud' WHERE id = 3",
      'DELETE FROM t WHERE id = 4',
    ]);
    expect(result).toEqual({ sent: 2, deleted: 2, left: 2 });
    await bed.isRepaired('t');
  });
});
