import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { LocalServer } from '../../src/local/mysql/server.ts';
import { History, type Line } from './follow.ts';
import { startTestServer } from './test-server.ts';

const ID = '00112233-4455-6677-8899-aabbccddeeff';
const rowsOf = (lines: readonly Line[], table: string) =>
  lines
    .filter(({ event }) => (event.source as { table: string }).table === table)
    .map(({ event }) => ({ op: event.op, after: event.after as Record<string, unknown> | null, key: event.key }));

/** The same tables in both settings of the server: with names in the binlog, and from INFORMATION_SCHEMA alone. */
describe.each([
  ['with FULL metadata', []],
  ['without names in the binlog', ['--binlog-row-metadata=NO_LOG']],
] as const)('mariadb %s', (_, settings) => {
  let server: LocalServer | undefined;
  let url = '';
  beforeAll(async () => {
    if (settings.length === 0) url = inject('mariadbUrl');
    else {
      server = await startTestServer({ flavor: 'mariadb', settings: [...settings] });
      url = server.url;
    }
  });
  const histories: History[] = [];
  const history = (schema: string): History => {
    const made = new History(url, schema);
    histories.push(made);
    return made;
  };
  afterAll(async () => {
    await Promise.all(histories.map((each) => each.remove()));
    await server?.stop();
  });

  test('the hash of a UNIQUE key over TEXT is in no event, and a rule that drops the column drops it wholly', async () => {
    const kept = history('hidden_hash');
    await kept.run(
      [
        'CREATE TABLE a (id INT PRIMARY KEY, mail TEXT, UNIQUE (mail))',
        'CREATE TABLE b (id UUID PRIMARY KEY, mail TEXT NOT NULL, UNIQUE (mail), note VARCHAR(3000), UNIQUE (note), n INT)',
        'CREATE TABLE c (id INT, n INT NOT NULL, UNIQUE (n) USING HASH)',
      ],
      "INSERT INTO a VALUES (1, 'x'), (2, NULL)",
      `INSERT INTO b VALUES ('${ID}', 'y', NULL, 5)`,
      'INSERT INTO c VALUES (1, 2)',
      "UPDATE a SET mail = 'z' WHERE id = 1",
    );
    const rows = async (yaml: string, table: string) => rowsOf(await kept.lines(yaml), table).map(({ after }) => after);
    expect(await rows('', 'a')).toEqual([
      { id: 1, mail: 'x' },
      { id: 2, mail: null },
      { id: 1, mail: 'z' },
    ]);
    expect(await rows('', 'b')).toEqual([{ id: ID, mail: 'y', note: null, n: 5 }]);
    expect(rowsOf(await kept.lines(''), 'c')).toEqual([{ op: 'c', after: { id: 1, n: 2 }, key: null }]);
    expect(await rows(`columns: { "hidden_hash.b.mail": drop }`, 'b')).toEqual([{ id: ID, note: null, n: 5 }]);
    for (const format of ['flat', 'maxwell']) {
      const texts = (await kept.lines(`format: ${format}`)).map(({ text }) => text);
      expect(texts.join('')).not.toMatch(/DB_ROW_HASH|"":/);
    }
  });

  test('the period of a system-versioned table is in its events, and row_end in its key: a delete only sets row_end', async () => {
    const kept = history('hidden_period');
    await kept.run(
      [
        'CREATE TABLE a (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING',
        'CREATE TABLE b (id UUID PRIMARY KEY, t TEXT, UNIQUE (t)) WITH SYSTEM VERSIONING',
        `CREATE TABLE c (id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE,
          e TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING`,
        'CREATE TABLE d (id INT, v INT) WITH SYSTEM VERSIONING',
      ],
      'INSERT INTO a VALUES (1, 10)',
      'DELETE FROM a',
      `INSERT INTO b VALUES ('${ID}', 'x')`,
      'INSERT INTO c (id) VALUES (1)',
      'INSERT INTO d VALUES (1, 2)',
    );
    const lines = await kept.lines('');
    const forever = '2038-01-19T03:14:07.999999Z';
    const time = expect.stringMatching(/^20\d\d-\d\d-\d\dT/);
    const [inserted, ended, again] = rowsOf(lines, 'a');
    expect(inserted).toEqual({
      op: 'c',
      after: { id: 1, v: 10, row_start: time, row_end: forever },
      key: { id: 1, row_end: forever },
    });
    expect(ended).toEqual({ op: 'd', after: null, key: { id: 1, row_end: forever } });
    expect(again?.after?.row_end).not.toBe(forever);
    expect(rowsOf(lines, 'b')).toEqual([
      { op: 'c', after: { id: ID, t: 'x', row_start: time, row_end: forever }, key: { id: ID, row_end: forever } },
    ]);
    expect(rowsOf(lines, 'c').map(({ key }) => key)).toEqual([{ id: 1, e: forever }]);
    expect(rowsOf(lines, 'd')).toEqual([
      { op: 'c', after: { id: 1, v: 2, row_start: time, row_end: forever }, key: null },
    ]);
  });

  test('a uca1400 collation is read with its character set, with a UUID key too', async () => {
    const kept = history('hidden_uca');
    const collated = 'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci';
    await kept.run(
      [
        `CREATE TABLE a (id INT PRIMARY KEY, t ${collated}, e ENUM('ä') COLLATE utf8mb4_uca1400_swedish_as_cs)`,
        `CREATE TABLE b (id UUID PRIMARY KEY, t ${collated}, u TEXT CHARACTER SET ucs2 COLLATE uca1400_ai_ci)`,
      ],
      "INSERT INTO a VALUES (1, 'ü😀', 'ä')",
      `INSERT INTO b VALUES ('${ID}', 'ü😀', 'ö')`,
    );
    const lines = await kept.lines('');
    expect(rowsOf(lines, 'a').map(({ after }) => after)).toEqual([{ id: 1, t: 'ü😀', e: 'ä' }]);
    expect(rowsOf(lines, 'b').map(({ after }) => after)).toEqual([{ id: ID, t: 'ü😀', u: 'ö' }]);
  });
});
