import { expect, test } from 'vitest';
import { compileRoutes } from '../../../src/model/routes.ts';

test('the first matching pattern decides, other tables go to the default, and each stream is listed once', () => {
  const routes = compileRoutes(
    { 'shop.orders': 'orders', 'shop.*': 'shop', 'logs.*': 'orders', 'a.b': 'main' },
    'main',
    { caseSensitive: true },
  );
  expect(routes.streams).toEqual(['main', 'orders', 'shop']);
  const stream = (schema: string, table: string) => routes.streams[routes.streamOf(schema, table)];
  expect(stream('shop', 'orders')).toBe('orders');
  expect(stream('shop', 'items')).toBe('shop');
  expect(stream('logs', 'x')).toBe('orders');
  expect(stream('a', 'b')).toBe('main');
  expect(stream('SHOP', 'orders')).toBe('main');
  expect(compileRoutes({ 'shop.*': 'x' }, 'y', { caseSensitive: false }).streamOf('SHOP', 'T')).toBe(1);
});
