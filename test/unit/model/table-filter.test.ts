import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileTableFilter, formatTableName, parseTableName } from '../../../src/model/table-filter.ts';

const captures = (patterns: string[], table: [string, string], caseSensitive = true) =>
  compileTableFilter(patterns, { caseSensitive })(...table);

describe('a pattern', () => {
  test.each<[string, [string, string], boolean]>([
    ['shop.orders', ['shop', 'orders'], true],
    ['shop.orders', ['shop', 'orders2'], false],
    ['shop.orders', ['myshop', 'orders'], false],
    ['shop.*', ['shop', 'anything at all.really'], true],
    ['shop.*', ['shop2', 'orders'], false],
    ['*.orders', ['shop', 'orders'], true],
    ['shop_*.order*', ['shop_eu', 'orders'], true],
    ['shop_*.order*', ['shop_', 'order'], true],
    ['shop_*.order*', ['shop', 'orders'], false],
    ['s*p.*_*_log', ['shop', 'a_b_log'], true],
    ['s*p.*_*_log', ['shop', 'a_log'], false],
    ['s*s.t', ['s', 't'], false],
    ['s*s.t', ['ss', 't'], true],
    ['a.x*ab*ab', ['a', 'xab'], false],
    ['a.x*ab*ab', ['a', 'xabab'], true],
    ['*.*', ['a\nb', '😀'], true],
    ['a-b.c$d', ['a-b', 'c$d'], true],
    ['a+.b?', ['aa', 'b'], false],
    ['`my.shop`.orders', ['my.shop', 'orders'], true],
    ['shop.`*`', ['shop', '*'], true],
    ['shop.`*`', ['shop', 'orders'], false],
    ['`a``b`.`c d`', ['a`b', 'c d'], true],
    ['`*`.*', ['shop', 'orders'], false],
    ['a!b.c', ['a!b', 'c'], true],
    [' shop.orders ', ['shop', 'orders'], true],
  ])('%s matches %j: %s', (pattern, table, expected) => {
    expect(captures([pattern], table)).toBe(expected);
  });

  test('with ! excludes and takes precedence, whatever the order', () => {
    for (const patterns of [
      ['shop.*', '!shop.audit_*'],
      ['!shop.audit_*', 'shop.*'],
      ['! shop.audit_*', 'shop.*', 'shop.audit_log'],
    ]) {
      expect(captures(patterns, ['shop', 'orders'])).toBe(true);
      expect(captures(patterns, ['shop', 'audit_log'])).toBe(false);
    }
  });

  test("matches the server's own schemas only if it names them", () => {
    for (const schema of ['mysql', 'sys', 'information_schema', 'performance_schema']) {
      expect(captures(['*.*'], [schema, 't'])).toBe(false);
      expect(captures([`${schema}*.t`], [schema, 't'])).toBe(false);
      expect(captures([`${schema}.t`], [schema, 't'])).toBe(true);
      expect(captures([`${schema}.*`], [schema, 't'])).toBe(true);
      expect(captures(['*.*', `${schema}.t`], [schema, 't'])).toBe(true);
    }
  });
});

describe('case', () => {
  test('matters if the server compares with case (lower_case_table_names = 0)', () => {
    expect(captures(['Shop.Orders'], ['Shop', 'Orders'])).toBe(true);
    expect(captures(['Shop.Orders'], ['shop', 'orders'])).toBe(false);
    expect(captures(['*.*', '!shop.LOG'], ['shop', 'log'])).toBe(true);
  });

  test('does not matter if the server ignores it (1 and 2), also outside of ASCII', () => {
    expect(captures(['Shop.ORD*'], ['shop', 'orders'], false)).toBe(true);
    expect(captures(['shop.orders'], ['SHOP', 'Orders'], false)).toBe(true);
    expect(captures(['*.*', '!shop.LOG'], ['shop', 'log'], false)).toBe(false);
    expect(captures(['ΣΑΣ.É'], ['σασ', 'é'], false)).toBe(true);
    expect(captures(['*.*'], ['MySQL', 'user'], false)).toBe(false);
  });
});

describe('an invalid pattern is rejected with its text', () => {
  test.each([
    ['', 'empty'],
    ['!', 'empty'],
    ['orders', 'no dot'],
    ['a.b.c', 'not two names'],
    ['.b', 'not two names'],
    ['a.', 'not two names'],
    ['my shop.orders', 'space'],
    ['`a.b', 'not closed'],
    ['`a`b.c', 'not two names'],
    ['``.c', 'not two names'],
    ['!!a.b', 'not two names'],
  ])('%j', (pattern, why) => {
    expect(() => compileTableFilter(['ok.*', pattern], { caseSensitive: true })).toThrow(
      expect.objectContaining({
        exitCode: 2,
        message: expect.stringContaining(`"${pattern}"`),
        why: expect.stringContaining(why),
      }),
    );
  });

  test('patterns that only exclude are rejected, because they capture nothing', () => {
    expect(() => compileTableFilter(['!a.b', '!c.*'], { caseSensitive: true })).toThrow(
      expect.objectContaining({ exitCode: 2, message: expect.stringContaining('!a.b, !c.*') }),
    );
  });
});

describe('parseTableName', () => {
  test('parses the name of one table, backticks included', () => {
    expect(parseTableName('shop.log')).toEqual({ schema: 'shop', table: 'log' });
    expect(parseTableName('`my.shop`.`*`')).toEqual({ schema: 'my.shop', table: '*' });
  });

  test.each(['shop.*', '*.log', '!shop.log', 'log'])('rejects %s', (text) => {
    expect(() => parseTableName(text)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});

describe('properties', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', 'b', 'B', '.', '*', '`', ' ', '_', 'é', '😀'),
    minLength: 1,
    maxLength: 8,
  });
  const quoted = (text: string) => `\`${text.replaceAll('`', '``')}\``;

  test('a formatted name parses to the same table, and has backticks only where it needs them', () => {
    fc.assert(
      fc.property(name, name, (schema, table) => {
        expect(parseTableName(formatTableName(schema, table))).toEqual({ schema, table });
      }),
    );
    expect(formatTableName('shop', 'Order_2-é')).toBe('shop.Order_2-é');
    expect(parseTableName(formatTableName('!shop', 'a'))).toEqual({ schema: '!shop', table: 'a' });
  });

  test('a quoted name matches that table and no other', () => {
    fc.assert(
      fc.property(name, name, name, name, (schema, table, otherSchema, otherTable) => {
        const filter = compileTableFilter([`${quoted(schema)}.${quoted(table)}`], { caseSensitive: true });
        expect(filter(schema, table)).toBe(true);
        expect(filter(otherSchema, otherTable)).toBe(otherSchema === schema && otherTable === table);
      }),
    );
  });

  test('stars match as the regular expression .* does', () => {
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 7 });
    const plain = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 9 });
    fc.assert(
      fc.property(part, plain, (pattern, table) => {
        const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(table);
        expect(captures([`s.${pattern}`], ['s', table])).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test('the order of patterns never matters', () => {
    const pattern = fc.tuple(fc.boolean(), fc.constantFrom('a', 'b', '*', 'a*'), fc.constantFrom('a', 'b', '*', '*b'));
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 6 }),
        fc.constantFrom('a', 'ab'),
        fc.constantFrom('b', 'ab'),
        (list, schema, table) => {
          const texts = ['*.b', ...list.map(([not, s, t]) => `${not ? '!' : ''}${s}.${t}`)];
          const forth = captures(texts, [schema, table]);
          expect(captures(texts.toReversed(), [schema, table])).toBe(forth);
        },
      ),
    );
  });

  test('many stars do not make matching slow', () => {
    const filter = compileTableFilter([`s.${'*a'.repeat(30)}b`], { caseSensitive: true });
    const before = process.cpuUsage();
    expect(filter('s', 'a'.repeat(64))).toBe(false);
    // Its own time of the processor: a busy machine cannot delay it.
    expect(process.cpuUsage(before).user).toBeLessThan(100_000);
  });
});
