import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Fold, type FoldOptions, foldLake, lakeRows, selectRows } from '../../../src/lake/fold.ts';
import { listObjects } from '../../../src/lake/objects.ts';
import { createViews } from '../../../src/lake/views.ts';
import { debeziumLine, type EventParts, flatLine, writeObjects } from './event-lines.ts';

async function folded<T>(
  groups: string[][],
  read: (fold: Fold) => Promise<T>,
  options: Partial<FoldOptions> = {},
): Promise<T> {
  const lake = writeObjects(...groups);
  try {
    const fold = await foldLake({ objects: lake.objects, ...options });
    try {
      return await read(fold);
    } finally {
      fold.close();
    }
  } finally {
    lake.remove();
  }
}

async function rowsOf(fold: Fold, table = 'users', schema = 'shop'): Promise<string[]> {
  const rows = [];
  for await (const row of lakeRows(fold, schema, table))
    rows.push([...row].map(([name, raw]) => `${name}=${raw}`).join(' '));
  return rows.sort();
}

const row = (id: number | string, value: string): Pick<EventParts, 'key' | 'row'> => ({
  key: `{"id":${id}}`,
  row: `{"id":${id},"v":${value}}`,
});

describe('folding a lake', () => {
  test('the event with the highest seq of each key wins, in any object', async () => {
    const old = debeziumLine({ op: 'c', seq: 1, ...row(1, '"old"') });
    const changed = debeziumLine({ op: 'u', seq: 9, ...row(1, '"new"') });
    const between = debeziumLine({ op: 'u', seq: 5, ...row(1, '"between"') });
    expect(await folded([[changed], [old], [between]], (fold) => rowsOf(fold))).toEqual(['id=1 v="new"']);
  });

  test('a deleted row is removed, and a row that is inserted again is kept', async () => {
    const lines = [
      debeziumLine({ op: 'c', seq: 1, ...row(1, '1') }),
      debeziumLine({ op: 'd', seq: 2, ...row(1, '1') }),
      debeziumLine({ op: 'c', seq: 3, ...row(2, '1') }),
      debeziumLine({ op: 'd', seq: 4, ...row(2, '1') }),
      debeziumLine({ op: 'c', seq: 5, ...row(2, '2') }),
    ];
    expect(await folded([lines.toReversed()], (fold) => rowsOf(fold))).toEqual(['id=2 v=2']);
  });

  test('a TRUNCATE removes every row of its table with a lower seq, and no row of another table', async () => {
    const lines = [
      debeziumLine({ op: 't', seq: 5 }),
      debeziumLine({ op: 'c', seq: 4, ...row(1, '1') }),
      debeziumLine({ op: 'c', seq: 6, ...row(2, '2') }),
      debeziumLine({ op: 'c', seq: 3, ...row(3, '3'), table: 'orders' }),
    ];
    const found = await folded([lines], async (fold) => [await rowsOf(fold), await rowsOf(fold, 'orders')]);
    expect(found).toEqual([['id=2 v=2'], ['id=3 v=3']]);
  });

  test('repeated events and a seq with two contents are counted', async () => {
    const once = { op: 'c', seq: 1, ...row(1, '1') } as const;
    const twice = { op: 'c', seq: 2, ...row(2, '1') } as const;
    const counts = await folded(
      [
        [debeziumLine(once), debeziumLine({ ...once, sentAt: 1800000000000 })],
        [debeziumLine(twice), debeziumLine({ ...twice, ...row(2, '9') })],
      ],
      async ({ events, repeats, conflicts }) => ({ events, repeats, conflicts }),
    );
    expect(counts).toEqual({ events: 4, repeats: 2, conflicts: 1 });
  });

  test('a table without keys cannot be folded until a TRUNCATE has emptied it', async () => {
    const keyless = { op: 'c', seq: 1, key: null, row: '{"v":1}' } as const;
    const lines = [
      debeziumLine({ ...keyless, table: 'log' }),
      debeziumLine(keyless),
      debeziumLine({ op: 't', seq: 2 }),
    ];
    const tables = await folded([lines], async (fold) => fold.tables);
    expect(tables).toEqual([
      expect.objectContaining({ table: 'log', unfoldable: expect.stringContaining('primary key') }),
      { schema: 'shop', table: 'users', events: 2, rows: 0 },
    ]);
  });

  test('a partial row image is completed from earlier events, but not from events before a delete', async () => {
    const lines = [
      debeziumLine({ op: 'c', seq: 1, key: '{"id":1}', row: '{"id":1,"a":1,"b":12345678901234567890.50}' }),
      debeziumLine({ op: 'u', seq: 2, key: '{"id":1}', row: '{"id":1,"a":null}', partial: true }),
      debeziumLine({ op: 'c', seq: 3, key: '{"id":2}', row: '{"id":2,"a":1,"b":2}' }),
      debeziumLine({ op: 'd', seq: 4, key: '{"id":2}', row: '{"id":2}', partial: true }),
      debeziumLine({ op: 'c', seq: 5, key: '{"id":2}', row: '{"id":2,"b":7}', partial: true }),
      debeziumLine({ op: 'u', seq: 6, key: '{"id":2}', row: '{"id":2,"b":8}', partial: true }),
    ];
    expect(await folded([lines.toReversed()], (fold) => rowsOf(fold))).toEqual([
      'id=1 a=null b=12345678901234567890.50',
      'id=2 b=8',
    ]);
  });

  test('a key is the same key when its columns change their order', async () => {
    const lines = [
      debeziumLine({ op: 'c', seq: 1, key: '{"a":1,"b":2}', row: '{"a":1,"b":2,"v":1}' }),
      debeziumLine({ op: 'u', seq: 2, key: '{"b":2,"a":1}', row: '{"a":1,"b":2,"v":2}' }),
    ];
    expect(await folded([lines], (fold) => rowsOf(fold))).toEqual(['a=1 b=2 v=2']);
  });

  test('keys that differ only above 2^53 and keys with similar texts are different keys', async () => {
    const lines = [
      debeziumLine({ op: 'c', seq: 1, ...row('18446744073709551614', '1') }),
      debeziumLine({ op: 'c', seq: 2, ...row('18446744073709551615', '2') }),
      debeziumLine({ op: 'c', seq: 3, key: '{"id":"a\\",\\"b"}', row: '{"id":"a\\",\\"b","v":3}' }),
      debeziumLine({ op: 'c', seq: 4, key: '{"id":"a"}', row: '{"id":"a","v":4}' }),
      debeziumLine({ op: 'c', seq: 5, key: '{"id":"null"}', row: '{"id":"null","v":5}' }),
      debeziumLine({ op: 'c', seq: 6, key: '{"id":null}', row: '{"id":null,"v":6}' }),
    ];
    expect(await folded([lines], async (fold) => (await rowsOf(fold)).length)).toBe(6);
  });

  test('a number keeps every digit of its event', async () => {
    const values = [
      '18446744073709551615',
      '-9223372036854775808',
      '12.50',
      '12345678901234567890.123456789',
      '-0',
      '1e-7',
    ];
    const lines = values.map((value, i) => debeziumLine({ op: 'c', seq: i, ...row(i, value) }));
    expect(await folded([lines], (fold) => rowsOf(fold))).toEqual(values.map((value, i) => `id=${i} v=${value}`));
  });

  test('format flat is folded by the given key columns, and a table without them cannot be folded', async () => {
    const lines = [
      flatLine({ op: 'c', seq: 1, row: '{"id":1,"op":"x"}' }),
      flatLine({ op: 'u', seq: 2, row: '{"id":1,"op":"y"}' }),
      flatLine({ op: 'd', seq: 4, row: '{"id":2,"op":"z"}' }),
      flatLine({ op: 'c', seq: 3, row: '{"id":2,"op":"z"}' }),
      flatLine({ op: 'c', seq: 5, row: '{"id":1}', table: 'other' }),
    ];
    const keys = [{ schema: 'shop', table: 'users', columns: ['id'] }];
    const found = await folded([lines], async (fold) => [await rowsOf(fold), fold.tables], { format: 'flat', keys });
    expect(found).toEqual([
      ['id=1 op="y"'],
      [
        expect.objectContaining({
          table: 'other',
          rows: 0,
          unfoldable: expect.stringContaining('key columns were not given'),
        }),
        { schema: 'shop', table: 'users', events: 4, rows: 1 },
      ],
    ]);
  });

  test('an empty lake has no tables', async () => {
    expect(await folded([], async ({ events, tables }) => ({ events, tables }))).toEqual({ events: 0, tables: [] });
  });

  test('an incomplete line or a line that is not an event is an error that names the object', async () => {
    const whole = debeziumLine({ op: 'c', seq: 1, ...row(1, '1') });
    for (const bad of [whole.slice(0, -9), '{"op":"c"}', 'null', whole.replace('"op":"c"', '"op":"x"')]) {
      const failure = folded([[whole, bad]], async () => {});
      await expect(failure).rejects.toMatchObject({ name: 'CdcError', exitCode: 4 });
      const { message, why } = (await failure.catch((error) => error)) as { message: string; why: string };
      expect(message + why).toContain('stream-1-2026-01-01-00-00-00');
    }
  });

  test('an object whose path looks like a glob for another object is read once', async () => {
    const lines = [1, 2].map((id) => debeziumLine({ op: 'c', seq: id, ...row(id, '1') }));
    const lake = writeObjects(...lines.map((line) => [line]));
    const odd = join(lake.directory, "it's", '2026');
    mkdirSync(odd, { recursive: true });
    writeFileSync(join(odd, 'a*'), `${lines[0]}\n`);
    writeFileSync(join(odd, 'ab'), `${lines[1]}\n`);
    const objects = await listObjects(lake.directory, "it's");
    const fold = await foldLake({ objects: objects.map(({ path }) => path) });
    expect([objects.length, fold.events, fold.repeats]).toEqual([2, 2, 0]);
    fold.close();
    lake.remove();
  });

  test('the fold of events in any order and with repeats equals a replay in order of seq', async () => {
    const event = fc.record({
      op: fc.constantFrom('c', 'u', 'u', 'd', 'c', 'u', 't') as fc.Arbitrary<'c' | 'u' | 'd' | 't'>,
      id: fc.integer({ min: 1, max: 4 }),
      table: fc.constantFrom('users', 'orders'),
    });
    const history = fc.array(event, { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(history, fc.infiniteStream(fc.nat(1000)), async (events, random) => {
        const replayed = new Map<string, string>();
        const lines = events.map(({ op, id, table }, seq) => {
          if (op === 't') for (const key of [...replayed.keys()]) if (key.startsWith(table)) replayed.delete(key);
          if (op === 'd') replayed.delete(`${table} ${id}`);
          if (op === 'c' || op === 'u') replayed.set(`${table} ${id}`, `id=${id} v=${seq}`);
          return debeziumLine({ op, seq, table, ...(op === 't' ? {} : row(id, String(seq))) });
        });
        const next = () => random.next().value as number;
        const landed = [...lines, ...lines.filter(() => next() % 3 === 0)]
          .map((line) => ({ line, order: next() }))
          .sort((a, b) => a.order - b.order)
          .map(({ line }) => line);
        const cut = landed.length > 0 ? next() % landed.length : 0;
        const found = await folded([landed.slice(0, cut), landed.slice(cut)], async (fold) => [
          ...(await rowsOf(fold, 'users')).map((text) => `users ${text}`),
          ...(await rowsOf(fold, 'orders')).map((text) => `orders ${text}`),
        ]);
        expect(found.sort()).toEqual([...replayed].map(([key, text]) => `${key.split(' ')[0]} ${text}`).sort());
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});

describe('views', () => {
  test('one query over the views is a report with exact sums', async () => {
    const lines = [
      debeziumLine({ op: 'c', seq: 1, key: '{"id":1}', row: '{"id":1,"source":"ads"}' }),
      debeziumLine({
        op: 'c',
        seq: 2,
        key: '{"id":10}',
        row: '{"id":10,"user_id":1,"amount":"90071992547409.93"}',
        table: 'payments',
      }),
      debeziumLine({
        op: 'c',
        seq: 3,
        key: '{"id":11}',
        row: '{"id":11,"user_id":1,"amount":"0.08"}',
        table: 'payments',
      }),
    ];
    const revenue = await folded([lines], async (fold) => {
      await createViews(fold);
      const sql = `SELECT u.source, sum(p.amount::DECIMAL(20, 2))::VARCHAR FROM shop.payments p
        JOIN shop.users u ON u.id = p.user_id GROUP BY u.source`;
      return selectRows(fold.connection, sql);
    });
    expect(revenue).toEqual([['ads', '90071992547410.01']]);
  });

  test('schemas, tables and columns of any name are quoted', async () => {
    const names = { schema: 'we"ird.\'s', table: 'tä`ble "😀".x' };
    const columns = ['a.b', 'q"u\'o', '/sl~ash', '$', '__proto__', 'ünï 😀'];
    const text = `{${columns.map((name, i) => `${JSON.stringify(name)}:${i}`).join(',')}}`;
    for (const [format, line] of [
      ['debezium', debeziumLine],
      ['flat', flatLine],
    ] as const) {
      const lines = [line({ op: 'c', seq: 1, key: '{"a.b":0}', row: text, ...names })];
      const keys = [{ ...names, columns: ['a.b'] }];
      const found = await folded(
        [lines],
        async (fold) => {
          const [view] = await createViews(fold);
          const read = await fold.connection.runAndReadAll(`SELECT * FROM ${view!.name}`);
          return [read.columnNames(), read.getRows()[0]];
        },
        { format, keys },
      );
      expect(found).toEqual([columns, columns.map((_, i) => BigInt(i))]);
    }
  });

  test('integers keep all digits, and tables whose names differ only in case have separate views', async () => {
    const lines = ['Orders', 'orders'].map((table, i) =>
      debeziumLine({ op: 'c', seq: i, ...row(1, i ? '18446744073709551615' : '-9223372036854775808'), table }),
    );
    const found = await folded([lines], async (fold) => {
      const views = await createViews(fold);
      return Promise.all(
        views.map(async ({ name }) => (await selectRows(fold.connection, `SELECT v FROM ${name}`))[0]![0]),
      );
    });
    expect(found).toEqual([-9223372036854775808n, 18446744073709551615n]);
  });
});
