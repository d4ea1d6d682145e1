import { describe, expect, test } from 'vitest';
import { type ColumnRule, compileColumnPattern, compileColumnRules } from '../../../src/model/column-rules.ts';

const sensitive = { caseSensitive: true };
const drop: ColumnRule = { kind: 'drop' };
const hash: ColumnRule = { kind: 'hash', secret: 'x' };
const mask = (keep: number): ColumnRule => ({ kind: 'mask', keep });

describe('a column pattern', () => {
  test.each([
    ['shop.users.email', 'shop', 'users', 'email', true],
    ['shop.users.email', 'shop', 'users', 'EMAIL', true],
    ['shop.users.ÉTÉ', 'shop', 'users', 'été', true],
    ['shop.users.email', 'shop', 'users', 'mail', false],
    ['shop.users.email', 'Shop', 'users', 'email', false],
    ['shop.users.email', 'shop', 'Users', 'email', false],
    ['*.*.email', 'any', 'thing', 'email', true],
    ['shop_*.u*s.*mail*', 'shop_1', 'users', 'e_mail_2', true],
    ['*.*.*', 'a', 'b', 'c', true],
    ['`a.b`.`c``d`.`e*`', 'a.b', 'c`d', 'e*', true],
    ['`a.b`.`c``d`.`e*`', 'a.b', 'c`d', 'ex', false],
    [' shop.users.email ', 'shop', 'users', 'email', true],
    ['a.b.__proto__', 'a', 'b', '__proto__', true],
  ])('%s on %s.%s.%s: %s', (pattern, schema, table, column, expected) => {
    expect(compileColumnPattern(pattern, sensitive)(schema, table, column)).toBe(expected);
  });

  test('ignores the case of schema and table if the server does', () => {
    expect(compileColumnPattern('shop.users.email', { caseSensitive: false })('SHOP', 'Users', 'email')).toBe(true);
  });

  test.each(['', 'email', 'users.email', 'a.b.c.d', '!a.b.c', 'a.b.', '.b.c', 'a b.c.d', 'a.b.`c', 'a.b.c!`'])(
    '%j is not a pattern',
    (text) => {
      expect(() => compileColumnPattern(text, sensitive)).toThrow(expect.objectContaining({ exitCode: 2 }));
    },
  );
});

test('the strictest of several rules applies, whatever their order', () => {
  const find = compileColumnRules(
    {
      '*.*.phone': mask(4),
      'shop.*.phone': mask(2),
      '*.users.*': hash,
      'shop.users.password': drop,
      '*.*.password': mask(1),
    },
    sensitive,
  );
  expect(find('crm', 'leads', 'phone')).toEqual(mask(4));
  expect(find('shop', 'leads', 'phone')).toEqual(mask(2));
  expect(find('shop', 'users', 'phone')).toEqual(hash);
  expect(find('shop', 'users', 'PassWord')).toEqual(drop);
  expect(find('shop', 'leads', 'id')).toBeUndefined();
});
