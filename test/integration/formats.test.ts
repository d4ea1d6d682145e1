import { createHmac } from 'node:crypto';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { SEQ_LENGTH } from '../../src/model/seq.ts';
import { History } from './follow.ts';

const FLAVORS = ['mysql', 'mariadb'] as const;
const url = (flavor: (typeof FLAVORS)[number]) => inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
const FORMATS = ['debezium', 'flat', 'maxwell'] as const;

const histories: History[] = [];
const history = (flavor: (typeof FLAVORS)[number], schema: string): History => {
  const made = new History(url(flavor), schema);
  histories.push(made);
  return made;
};
afterAll(() => Promise.all(histories.map((each) => each.remove())));

const SEQ = new RegExp(`^[0-9a-f]{${SEQ_LENGTH}}$`);

/** What a consumer sees of the change itself, without the coordinates. */
const change = (event: Record<string, unknown>): unknown => {
  const { source, ts_ms, seq, _seq, _ts_ms, _db, _table, ...rest } = event;
  const { database, table, ts, xid, position, gtid, server_id, xoffset, commit, ...maxwell } = rest;
  return maxwell;
};

const sorted = (texts: unknown[]) => [...(texts as string[])].sort();

describe.each(FLAVORS)('%s: every format', (flavor) => {
  const kept = history(flavor, `formats_${flavor}`);

  test('writes inserts, updates, deletes, key changes (the delete first) and TRUNCATE', async () => {
    await kept.run(
      ['CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b INT)'],
      "INSERT INTO t VALUES (1, 'one', 10), (2, 'two', NULL)",
      "UPDATE t SET a = 'uno' WHERE id = 1",
      'UPDATE t SET id = 9, b = 90 WHERE id = 1',
      'DELETE FROM t WHERE id = 2',
      'TRUNCATE TABLE t',
    );
    const one = { id: 1, a: 'one', b: 10 };
    const uno = { id: 1, a: 'uno', b: 10 };
    const two = { id: 2, a: 'two', b: null };
    const nine = { id: 9, a: 'uno', b: 90 };
    const debezium = await kept.lines('format: debezium');
    expect(debezium.map(({ event }) => change(event))).toEqual([
      { op: 'c', before: null, after: one, key: { id: 1 } },
      { op: 'c', before: null, after: two, key: { id: 2 } },
      { op: 'u', before: one, after: uno, key: { id: 1 } },
      { op: 'd', before: uno, after: null, key: { id: 1 } },
      { op: 'c', before: null, after: nine, key: { id: 9 } },
      { op: 'd', before: two, after: null, key: { id: 2 } },
      { op: 't', before: null, after: null, key: null },
    ]);
    const flat = await kept.lines('format: flat');
    expect(flat.map(({ event }) => change(event))).toEqual([
      { ...one, _op: 'c', _deleted: false },
      { ...two, _op: 'c', _deleted: false },
      { ...uno, _op: 'u', _deleted: false },
      { ...uno, _op: 'd', _deleted: true },
      { ...nine, _op: 'c', _deleted: false },
      { ...two, _op: 'd', _deleted: true },
      { _op: 't', _deleted: false },
    ]);
    const maxwell = await kept.lines('format: maxwell');
    expect(maxwell.map(({ event }) => change(event))).toEqual([
      { type: 'insert', data: one },
      { type: 'insert', data: two },
      { type: 'update', data: uno, old: { a: 'one' } },
      { type: 'delete', data: uno },
      { type: 'insert', data: nine },
      { type: 'delete', data: two },
      { type: 'table-truncate', data: {} },
    ]);

    const seqs = debezium.map(({ event }) => event.seq);
    expect(seqs).toEqual(sorted(seqs));
    expect(new Set(seqs).size).toBe(7);
    for (const seq of seqs) expect(seq).toMatch(SEQ);
    expect(flat.map(({ event }) => event._seq)).toEqual(seqs);
    expect(maxwell.map(({ event }) => event.seq)).toEqual(seqs);
    for (const lines of [flat, maxwell]) {
      expect(lines.map(({ keyHash }) => keyHash)).toEqual(debezium.map(({ keyHash }) => keyHash));
    }
    for (const { text } of [...debezium, ...flat, ...maxwell]) expect(text.indexOf('\n')).toBe(text.length - 1);
  });

  test('repeats its bytes when it reads again, the clock of debezium excepted', async () => {
    for (const format of FORMATS) {
      const first = (await kept.lines(`format: ${format}`)).map(({ text }) => text);
      const again = (await kept.lines(`format: ${format}`)).map(({ text }) => text);
      const clock = /"ts_ms":\d+}\n$/;
      const strip = (text: string) => (format === 'debezium' ? text.replace(clock, '') : text);
      expect(again.map(strip)).toEqual(first.map(strip));
    }
  });

  test('takes any name of schema, table and column as it is', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'a"b\\c', 'line\nbreak', '☃ ü', "it's `it`"];
    const quoted = names.map((name) => `\`${name.replaceAll('`', '``')}\``);
    const odd = history(flavor, `formats_${flavor}_odd`);
    await odd.run(
      [
        `CREATE TABLE \`__proto__ "☃"\` (${quoted.map((name) => `${name} INT`).join(', ')}, PRIMARY KEY (\`__proto__\`))`,
      ],
      `INSERT INTO \`__proto__ "☃"\` VALUES (1, 2, 3, 4, 5, 6, 7)`,
      `UPDATE \`__proto__ "☃"\` SET \`constructor\` = 22`,
    );
    const image = (second: number) =>
      `{${names.map((name, i) => `${JSON.stringify(name)}:${i === 1 ? second : i + 1}`)}}`;
    const [c, u] = await odd.lines('format: debezium');
    expect(c?.text).toContain(`"before":null,"after":${image(2)},"key":{"__proto__":1},`);
    expect(u?.text).toContain(`"before":${image(2)},"after":${image(22)},"key":{"__proto__":1},`);
    expect(c?.text).toContain('"table":"__proto__ \\"☃\\""');
    const flat = await odd.lines('format: flat');
    expect(flat[1]?.text.startsWith(`${image(22).slice(0, -1)},"_op":"u"`)).toBe(true);
    const maxwell = await odd.lines('format: maxwell');
    expect(maxwell[1]?.text).toContain(`"data":${image(22)},"old":{"constructor":2},`);
  });
});

describe.each(FLAVORS)('%s: format maxwell', (flavor) => {
  test('numbers the rows of a transaction, marks the last with commit, and gives all one xid', async () => {
    const kept = history(flavor, `maxwell_${flavor}`);
    await kept.run(
      ['CREATE TABLE t (id INT PRIMARY KEY, a INT)', 'CREATE TABLE u (id INT PRIMARY KEY)'],
      'BEGIN',
      'INSERT INTO t VALUES (1, 1), (2, 2)',
      'INSERT INTO u VALUES (1)',
      'UPDATE t SET id = 3 WHERE id = 1',
      'COMMIT',
      'BEGIN',
      'INSERT INTO t VALUES (7, 7)',
      'ROLLBACK',
      'INSERT INTO t VALUES (4, 4)',
    );
    const lines = await kept.lines('format: maxwell');
    const events = lines.map(({ event }) => event);
    expect(events.map(({ type, table, xoffset, commit }) => ({ type, table, xoffset, commit }))).toEqual([
      { type: 'insert', table: 't', xoffset: 0 },
      { type: 'insert', table: 't', xoffset: 1 },
      { type: 'insert', table: 'u', xoffset: 2 },
      { type: 'delete', table: 't', xoffset: 3 },
      { type: 'insert', table: 't', commit: true },
      { type: 'insert', table: 't', commit: true },
    ]);
    const [first, , , , , last] = events as [Record<string, unknown>, ...Record<string, unknown>[]];
    expect(new Set(events.slice(0, 5).map(({ xid }) => xid)).size).toBe(1);
    expect(last?.xid as number).toBeGreaterThan(first.xid as number);
    expect(Number.isSafeInteger(first.xid)).toBe(true);
    expect(first).toMatchObject({
      database: `maxwell_${flavor}`,
      ts: expect.any(Number),
      position: expect.stringMatching(/^[\w-]+\.\d{6}:\d+$/),
      gtid: expect.stringMatching(flavor === 'mysql' ? /^[0-9a-f-]{36}:\d+$/ : /^\d+-\d+-\d+$/),
      server_id: expect.any(Number),
      seq: expect.stringMatching(SEQ),
    });
    expect(Math.abs((first.ts as number) - Date.now() / 1000)).toBeLessThan(600);
  });

  test('writes values as Maxwell does, save where that loses digits, a sign or an SRID', async () => {
    const kept = history(flavor, `maxwell_values_${flavor}`);
    await kept.run(
      [
        `CREATE TABLE v (id BIGINT UNSIGNED PRIMARY KEY, at DATETIME(3), ts TIMESTAMP(6) NULL, d DATE, c TIME(2), y YEAR, price DECIMAL(30,10),
         f FLOAT, tags SET('a','b','d"e'), kind ENUM('x','y'), flag TINYINT(1), bits BIT(12), bin VARBINARY(8), doc JSON,
         name VARCHAR(20) CHARACTER SET latin1, place GEOMETRY, area GEOMETRY)`,
      ],
      "SET time_zone = '+00:00', sql_mode = ''",
      `INSERT INTO v VALUES (18446744073709551615, '2026-01-02 03:04:05.123', '2026-01-02 03:04:05.123456', '0000-00-00', '-00:01:00.25', 0,
       12345678901234567890.0123456789, 1.1, 'a,d"e', 'y', 1, b'100000000001', x'00ff10', '{"n": [1, 2.50, null]}',
       'Zoë', ST_GeomFromText('POINT(1.5 -2)'), ST_GeomFromText('GEOMETRYCOLLECTION(POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1)),MULTIPOINT(1 1,2 2),LINESTRING(0 0,1 1))', 3857))`,
      "INSERT INTO v (id, tags) VALUES (2, '')",
      "UPDATE v SET tags = 'a,b' WHERE id = 2",
    );
    const [first, second, third] = await kept.lines('format: maxwell');
    // MariaDB's JSON is its LONGTEXT.
    const doc = flavor === 'mysql' ? '{"n": [1, 2.5, null]}' : '"{\\"n\\": [1, 2.50, null]}"';
    const area =
      'GEOMETRYCOLLECTION (POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1)), MULTIPOINT ((1 1), (2 2)), LINESTRING (0 0, 1 1))';
    expect(first?.text).toContain(
      `"data":{"id":18446744073709551615,"at":"2026-01-02 03:04:05.123","ts":"2026-01-02 03:04:05.123456","d":"0000-00-00","c":"-00:01:00.25",` +
        `"y":0,"price":12345678901234567890.0123456789,"f":1.1,"tags":["a","d\\"e"],"kind":"y","flag":1,"bits":2049,"bin":"AP8Q","doc":${doc},` +
        `"name":"Zoë","place":"POINT (1.5 -2)","area":"SRID=3857;${area}"},"commit":true}\n`,
    );
    expect(second?.event.data).toMatchObject({ tags: [], at: null, place: null });
    expect(third?.event).toMatchObject({ data: { tags: ['a', 'b'] }, old: { tags: [] } });
    const [plain] = await kept.lines('format: maxwell\nvalues: { bigint: string, binary: hex, zero_dates: "null" }');
    expect(plain?.event.data).toMatchObject({ id: '18446744073709551615', bin: '00ff10', d: null });
  });
});

describe.each(FLAVORS)('%s: partial row images', (flavor) => {
  const kept = history(flavor, `partial_${flavor}`);

  test('leave out what the server did not log, keep the key whole in after too, and say partial, deletes included', async () => {
    await kept.run(
      [
        'CREATE TABLE t (a INT, x INT, b VARCHAR(5), y TEXT, PRIMARY KEY (b, a))',
        "INSERT INTO t VALUES (1, 10, 'k', 'long'), (2, 20, 'l', 'text')",
      ],
      'SET SESSION binlog_row_image = MINIMAL',
      'UPDATE t SET x = 11 WHERE a = 1',
      "UPDATE t SET b = 'm' WHERE a = 1",
      'DELETE FROM t WHERE a = 1',
      "INSERT INTO t (a, b) VALUES (3, 'n')",
      'SET SESSION binlog_row_image = NOBLOB',
      'UPDATE t SET x = 21 WHERE a = 2',
      "UPDATE t SET y = 'new' WHERE a = 2",
      'UPDATE t SET a = 4 WHERE a = 2',
      'SET SESSION binlog_row_image = FULL',
      'DELETE FROM t WHERE a = 4',
    );
    const debezium = await kept.lines('format: debezium');
    const key = (b: string, a: number) => ({ b, a });
    const partial = true;
    const seen = debezium.map(({ event }) => change(event));
    expect(seen.slice(0, 4)).toEqual([
      { op: 'u', before: { a: 1, b: 'k' }, after: { x: 11, b: 'k', a: 1 }, key: key('k', 1), partial },
      { op: 'd', before: { a: 1, b: 'k' }, after: null, key: key('k', 1), partial },
      { op: 'c', before: null, after: { b: 'm', a: 1 }, key: key('m', 1), partial },
      { op: 'd', before: { a: 1, b: 'm' }, after: null, key: key('m', 1), partial },
    ]);
    expect(seen.slice(4)).toEqual([
      { op: 'c', before: null, after: expect.objectContaining({ a: 3, b: 'n' }), key: key('n', 3), partial },
      { op: 'u', before: { a: 2, x: 20, b: 'l' }, after: { a: 2, x: 21, b: 'l' }, key: key('l', 2), partial },
      expect.objectContaining({ op: 'u', after: { a: 2, x: 21, b: 'l', y: 'new' }, key: key('l', 2), partial }),
      { op: 'd', before: { a: 2, x: 21, b: 'l' }, after: null, key: key('l', 2), partial },
      { op: 'c', before: null, after: { a: 4, x: 21, b: 'l' }, key: key('l', 4), partial },
      { op: 'd', before: { a: 4, x: 21, b: 'l', y: 'new' }, after: null, key: key('l', 4) },
    ]);

    const flat = await kept.lines('format: flat');
    expect(flat.map(({ event }) => change(event)).slice(0, 4)).toEqual([
      { x: 11, b: 'k', a: 1, _op: 'u', _deleted: false, _partial: true },
      { a: 1, b: 'k', _op: 'd', _deleted: true, _partial: true },
      { b: 'm', a: 1, _op: 'c', _deleted: false, _partial: true },
      { a: 1, b: 'm', _op: 'd', _deleted: true, _partial: true },
    ]);
    expect(flat.at(-1)?.event).not.toHaveProperty('_partial');

    const maxwell = (await kept.lines('format: maxwell')).map(({ event }) => change(event));
    expect(maxwell.slice(0, 4)).toEqual([
      { type: 'update', partial, data: { x: 11, b: 'k', a: 1 }, old: {} },
      { type: 'delete', partial, data: { a: 1, b: 'k' } },
      { type: 'insert', partial, data: { b: 'm', a: 1 } },
      { type: 'delete', partial, data: { a: 1, b: 'm' } },
    ]);
    expect(maxwell[5]).toEqual({ type: 'update', partial, data: { a: 2, x: 21, b: 'l' }, old: { x: 20 } });
  });

  test('give maxwell the old values of what both images hold, and no others', async () => {
    const keyless = history(flavor, `partial_keyless_${flavor}`);
    await keyless.run(
      ['CREATE TABLE t (a INT, b INT, c INT)', 'INSERT INTO t VALUES (1, 1, 1)'],
      'UPDATE t SET a = 2, b = 2',
      'SET SESSION binlog_row_image = MINIMAL',
      'UPDATE t SET c = 9',
    );
    const lines = await keyless.lines('format: maxwell');
    expect(lines.map(({ event }) => change(event))).toEqual([
      { type: 'update', data: { a: 2, b: 2, c: 1 }, old: { a: 1, b: 1 } },
      // MariaDB logs both images in full where there is no key.
      flavor === 'mysql'
        ? { type: 'update', partial: true, data: { c: 9 }, old: { c: 1 } }
        : { type: 'update', data: { a: 2, b: 2, c: 9 }, old: { c: 1 } },
    ]);
  });

  test('still pick the lane by the whole key', async () => {
    const lines = await kept.lines('format: debezium');
    const lanes = new Map<string, Set<number>>();
    for (const { event, keyHash } of lines) {
      const key = JSON.stringify(event.key);
      lanes.set(key, (lanes.get(key) ?? new Set()).add(keyHash));
    }
    expect([...lanes.values()].map(({ size }) => size)).toEqual([...lanes].map(() => 1));
    expect(new Set([...lanes.values()].flatMap((hashes) => [...hashes])).size).toBe(lanes.size);
  });
});

describe.each(FLAVORS)('%s: tables without a primary key', (flavor) => {
  const kept = history(flavor, `keyless_${flavor}`);

  test('have a null key and one lane; `keys` gives them keys, in the order it names, whatever its case', async () => {
    await kept.run(
      ['CREATE TABLE log (host VARCHAR(9), at INT, text VARCHAR(9))'],
      "INSERT INTO log VALUES ('a', 1, 'x'), ('b', 2, 'y'), (NULL, 3, 'z')",
      "UPDATE log SET text = 'xx' WHERE host = 'a'",
      "UPDATE log SET at = 9 WHERE host = 'a'",
    );
    const bare = await kept.lines('format: debezium');
    expect(bare.map(({ event }) => [event.op, event.key])).toEqual(['c', 'c', 'c', 'u', 'u'].map((op) => [op, null]));
    expect(new Set(bare.map(({ keyHash }) => keyHash)).size).toBe(1);
    const keyed = await kept.lines(`keys: { "keyless_${flavor}.log": [AT, host] }`);
    expect(keyed.map(({ event }) => [event.op, JSON.stringify(event.key)])).toEqual([
      ['c', '{"at":1,"host":"a"}'],
      ['c', '{"at":2,"host":"b"}'],
      ['c', '{"at":3,"host":null}'],
      ['u', '{"at":1,"host":"a"}'],
      ['d', '{"at":1,"host":"a"}'],
      ['c', '{"at":9,"host":"a"}'],
    ]);
    expect(new Set(keyed.map(({ keyHash }) => keyHash)).size).toBe(4);
  });
});

describe.each(FLAVORS)('%s: column rules', (flavor) => {
  const schema = `rules_${flavor}`;
  const kept = history(flavor, schema);
  const rules = (...lines: string[]) => `columns:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
  const hmac = (text: string) => createHmac('sha256', 'k3y').update(text).digest('hex');

  test('hold in every part of every format, and nothing of what they cover is left', async () => {
    await kept.run(
      [
        `CREATE TABLE users (Email VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, password VARCHAR(20), phone VARCHAR(20) CHARACTER SET utf8mb4,
         score DECIMAL(8,2), photo BLOB, pin INT, note VARCHAR(20), \`od.d "n\` VARCHAR(9))`,
        'CREATE TABLE plain (email VARCHAR(20) PRIMARY KEY)',
      ],
      `INSERT INTO users VALUES ('ada"@x.de', 'pw-eins', '+49-ß☃-678', 1234.50, x'5ec3e7', 4711, 'n', 'oddly')`,
      `INSERT INTO users VALUES ('bob@x.de', NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
      `UPDATE users SET password = 'pw-zwei', phone = '678', pin = 4712 WHERE note = 'n'`,
      `UPDATE users SET Email = 'eve@x.de' WHERE note = 'n'`,
      `UPDATE users SET Email = 'EVE@x.de' WHERE note = 'n'`,
      'DELETE FROM users WHERE note = "n"',
      "INSERT INTO plain VALUES ('open@x.de')",
    );
    const covered = rules(
      `"${schema}.users.eMAIL": { hash: sha256, secret: k3y }`,
      `"*.users.PASSWORD": drop`,
      `"*.*.ph*": { mask: 3 }`,
      `"*.*.photo": { hash: sha256, secret: k3y }`,
      `"${schema}.users.score": { mask: 2 }`,
      `"${schema}.users.pin": { hash: sha256, secret: k3y }`,
      `"${schema}.users.\`od.d "n\`": drop`.replaceAll('"n', '\\"n'),
    );
    const secrets = /ada|bob|eve|EVE|pw-|ß|☃|1234|XsPn|5ec3e7|471|oddly|password|od\.d/;
    const image = (email: string, phone: string | null, pin: string | null) => ({
      Email: hmac(email),
      phone,
      score: pin && '*****50',
      photo: pin && hmac('XsPn'),
      pin: pin && hmac(pin),
      note: pin && 'n',
    });
    const ada1 = image('ada"@x.de', '*******678', '4711');
    const ada2 = image('ada"@x.de', '***', '4712');
    const eve = image('eve@x.de', '***', '4712');
    const EVE = image('EVE@x.de', '***', '4712');
    const bob = image('bob@x.de', null, null);
    const key = ({ Email }: { Email: string }) => ({ Email });

    const debezium = await kept.lines(`format: debezium\n${covered}`);
    expect(debezium.slice(0, -1).map(({ event }) => change(event))).toEqual([
      { op: 'c', before: null, after: ada1, key: key(ada1) },
      { op: 'c', before: null, after: bob, key: key(bob) },
      { op: 'u', before: ada1, after: ada2, key: key(ada1) },
      { op: 'd', before: ada2, after: null, key: key(ada1) },
      { op: 'c', before: null, after: eve, key: key(eve) },
      { op: 'd', before: eve, after: null, key: key(eve) },
      { op: 'c', before: null, after: EVE, key: key(EVE) },
      { op: 'd', before: EVE, after: null, key: key(EVE) },
    ]);
    expect(debezium.at(-1)?.event.after).toEqual({ email: 'open@x.de' });
    const lane = (i: number) => debezium[i]?.keyHash;
    expect([lane(2), lane(3)]).toEqual([lane(0), lane(0)]);
    expect(lane(5)).toBe(lane(4));
    expect(new Set([lane(0), lane(1), lane(4), lane(6)]).size).toBe(4);

    const flat = await kept.lines(`format: flat\n${covered}`);
    expect(flat.slice(0, 4).map(({ event }) => change(event))).toEqual([
      { ...ada1, _op: 'c', _deleted: false },
      { ...bob, _op: 'c', _deleted: false },
      { ...ada2, _op: 'u', _deleted: false },
      { ...ada2, _op: 'd', _deleted: true },
    ]);
    const maxwell = await kept.lines(`format: maxwell\n${covered}`);
    expect(maxwell[2]?.event).toMatchObject({ data: ada2, old: { phone: ada1.phone, pin: ada1.pin } });
    expect(Object.keys(maxwell[2]?.event.old as object)).toEqual(['phone', 'pin']);
    for (const { text } of [...debezium, ...flat, ...maxwell]) {
      const content = JSON.stringify(change(JSON.parse(text))).replace(/[0-9a-f]{64}/g, '');
      if (!content.includes('open@x.de')) expect(content).not.toMatch(secrets);
    }
  });

  test('leave valid objects where the first, the last and all columns but the key are dropped', async () => {
    const drops = (...names: string[]) => rules(...names.map((name) => `"*.users.${name}": drop`));
    const others = ['password', 'phone', 'score', 'photo', 'pin', 'note', '`od.d \\"n`'];
    for (const format of FORMATS) {
      const [line] = await kept.lines(`format: ${format}\n${drops(...others)}`);
      const { event } = line as { event: Record<string, unknown> };
      const row = format === 'debezium' ? event.after : format === 'flat' ? { Email: event.Email } : event.data;
      expect(row).toEqual({ Email: 'ada"@x.de' });
    }
  });

  test('work on partial images too', async () => {
    const partial = history(flavor, `rules_partial_${flavor}`);
    await partial.run(
      [
        'CREATE TABLE t (first INT, id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9))',
        "INSERT INTO t VALUES (1, 2, 'aaa', 'bbb')",
      ],
      'SET SESSION binlog_row_image = MINIMAL',
      "UPDATE t SET first = 5, a = 'abc'",
      'UPDATE t SET first = 6',
    );
    const covered = rules('"*.*.first": drop', '"*.*.id": { hash: sha256, secret: k3y }', '"*.*.a": { mask: 1 }');
    const lines = await partial.lines(`format: debezium\n${covered}`);
    const id = hmac('2');
    expect(lines.map(({ event }) => change(event))).toEqual([
      { op: 'u', before: { id }, after: { a: '**c', id }, key: { id }, partial: true },
      { op: 'u', before: { id }, after: { id }, key: { id }, partial: true },
    ]);
  });

  test('that would drop or mask a key column stop the stream before its first row, with exit code 2', async () => {
    for (const rule of ['drop', '{ mask: 4 }']) {
      await expect(kept.lines(`format: debezium\n${rules(`"*.users.email": ${rule}`)}`)).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/would (drop|mask) Email, a key column of rules_\w+\.users/),
      });
    }
  });
});

describe.each(FLAVORS)('%s: format flat', (flavor) => {
  test('refuses a column named as one of its fields, in any case, unless the prefix differs or a rule drops it', async () => {
    const kept = history(flavor, `collide_${flavor}`);
    await kept.run(['CREATE TABLE t (id INT PRIMARY KEY, _Op INT)'], 'INSERT INTO t VALUES (1, 2)');
    await expect(kept.lines('format: flat')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/column _Op of collide_\w+\.t has the name of a metadata field/),
    });
    const [prefixed] = await kept.lines('format: flat\nflat_prefix: __cdc_');
    expect(prefixed?.event).toMatchObject({ id: 1, _Op: 2, __cdc_op: 'c' });
    const [dropped] = await kept.lines('format: flat\ncolumns: { "*.t._op": drop }');
    expect(dropped?.event).toMatchObject({ id: 1, _op: 'c' });
    const [other] = await kept.lines('format: debezium');
    expect(other?.event.after).toEqual({ id: 1, _Op: 2 });
  });
});
