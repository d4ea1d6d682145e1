import { afterAll, describe, expect, inject, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { History } from './follow.ts';
import { Fixture } from './pipeline-fixture.ts';

const FORMATS = ['debezium', 'flat', 'maxwell'] as const;
const BOTH = 'values: { boolean: [tinyint1, bit1] }';

describe.each(['mysql', 'mariadb'] as const)('values.boolean on %s', (flavor) => {
  const url = inject(flavor === 'mysql' ? 'mysqlUrl' : 'mariadbUrl');
  const schema = `booleans_${flavor}_${process.pid}`;
  const kept = new History(url, schema);
  const altered = new History(url, `${schema}_altered`);
  afterAll(() => Promise.all([kept.remove(), altered.remove()]));

  test('writes 0 and 1 as false and true in every part of every format, keys included, and loses no other value', async () => {
    await kept.run(
      [
        `CREATE TABLE flagged_rows (
          flag TINYINT(1), b BIT(1), wide TINYINT(4), un TINYINT(1) UNSIGNED, bits BIT(2), word BOOL, PRIMARY KEY (flag, b))`,
      ],
      "INSERT INTO flagged_rows VALUES (0, b'1', 1, 1, b'01', TRUE), (1, b'0', 0, 0, b'00', NULL), (2, b'1', 1, 1, b'01', -1)",
      'UPDATE flagged_rows SET word = FALSE WHERE flag = 0',
      'UPDATE flagged_rows SET flag = 3 WHERE flag = 2',
      'DELETE FROM flagged_rows WHERE flag = 1',
    );
    const lines = (await kept.lines(BOTH)).map(({ text }) => text.slice(0, text.indexOf(',"seq":')));
    const row = (flag: string, b: string, rest: string) => `{"flag":${flag},"b":${b},${rest}}`;
    const first = row('false', 'true', '"wide":1,"un":1,"bits":1,"word":true');
    const second = row('true', 'false', '"wide":0,"un":0,"bits":0,"word":null');
    const third = row('2', 'true', '"wide":1,"un":1,"bits":1,"word":-1');
    const key = (flag: string, b: string) => `"key":{"flag":${flag},"b":${b}}`;
    expect(lines).toEqual([
      `{"op":"c","before":null,"after":${first},${key('false', 'true')}`,
      `{"op":"c","before":null,"after":${second},${key('true', 'false')}`,
      `{"op":"c","before":null,"after":${third},${key('2', 'true')}`,
      `{"op":"u","before":${first},"after":${first.replace('"word":true', '"word":false')},${key('false', 'true')}`,
      `{"op":"d","before":${third},"after":null,${key('2', 'true')}`,
      `{"op":"c","before":null,"after":${third.replace('"flag":2', '"flag":3')},${key('3', 'true')}`,
      `{"op":"d","before":${second},"after":null,${key('true', 'false')}`,
    ]);
    const hashes = (await kept.lines(BOTH)).map(({ keyHash }) => keyHash);
    expect(new Set(hashes).size).toBe(4);
    for (const format of FORMATS) {
      const written = await kept.lines(`${BOTH}\nformat: ${format}`);
      expect(written.map(({ keyHash }) => keyHash)).toEqual(hashes);
      expect(written[0]?.text).toContain(first.slice(0, -1));
      expect(written[2]?.text).toContain(third.slice(0, -1));
    }
  });

  test('is each kind by itself, and off by default: the bytes of the numbers', async () => {
    const [plain] = await kept.lines('');
    expect(plain?.text).toContain('"after":{"flag":0,"b":1,"wide":1,"un":1,"bits":1,"word":1}');
    const [tiny] = await kept.lines('values: { boolean: [tinyint1] }');
    expect(tiny?.text).toContain('"after":{"flag":false,"b":1,"wide":1,"un":1,"bits":1,"word":true}');
    const [bit] = await kept.lines('values: { boolean: [bit1] }');
    expect(bit?.text).toContain('"after":{"flag":0,"b":true,"wide":1,"un":1,"bits":1,"word":1}');
  });

  test('stops at a row whose TINYINT was altered behind it, instead of a guess; other tables do not need to be known', async () => {
    await altered.run(
      [
        'CREATE TABLE flagged_rows (id INT PRIMARY KEY, flag TINYINT(1))',
        'CREATE TABLE bit_rows (id INT PRIMARY KEY, b BIT(1))',
      ],
      "INSERT INTO bit_rows VALUES (1, b'1')",
      'ALTER TABLE bit_rows ADD COLUMN c INT',
      'INSERT INTO flagged_rows VALUES (1, 1)',
      'ALTER TABLE flagged_rows MODIFY flag TINYINT(4)',
    );
    expect((await altered.lines('')).map(({ event }) => event.after)).toEqual([
      { id: 1, b: 1 },
      { id: 1, flag: 1 },
    ]);
    const only = `tables: ["${schema}_altered.bit_rows", "${schema}_altered.marker"]`;
    const [bit] = await altered.lines(`${only}\n${BOTH}`);
    expect(bit?.event.after).toEqual({ id: 1, b: true });
    await expect(altered.lines(BOTH)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringContaining(`cannot determine the columns of ${schema}_altered.flagged_rows`),
      why: expect.stringContaining('ALTER TABLE … MODIFY COLUMN at '),
      hint: expect.stringContaining('remove tinyint1 from values.boolean'),
    });
  });

  test('gives a lake that folds to the source, with such columns in the key', async () => {
    const fixture = new Fixture(url, `${schema}_fold`);
    await fixture.createSchema('CREATE TABLE item (flag BOOLEAN, b BIT(1), n INT, PRIMARY KEY (flag, b))');
    fixture.configure((await fixture.startFirehose()).endpoint, BOTH);
    const daemon = await fixture.run();
    await fixture.query(
      `USE ${fixture.schema}`,
      "INSERT INTO item VALUES (0, b'0', 1), (0, b'1', 2), (1, b'0', 3), (2, b'1', 4), (-1, b'1', 5), (127, b'0', 6)",
      'UPDATE item SET n = n + 1',
      'DELETE FROM item WHERE flag = 1',
      "UPDATE item SET flag = 1 WHERE flag = 0 AND b = b'1'",
    );
    await fixture.delivered();
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toMatchObject({ code: 0 });
    const { values } = configSchema.parse({
      source: { url: 'mysql://u@h' },
      firehose: { stream: 's' },
      values: { boolean: ['tinyint1', 'bit1'] },
    });
    expect(await fixture.compare('item', { values })).toMatchObject({ equal: true, lakeRows: 5, conflicts: 0 });
    expect(await fixture.compare('item')).toMatchObject({ equal: false });
    await fixture.remove();
  });
});
