import { expect, test } from 'vitest';
import { configSchema } from '../../../../src/config/schema.ts';
import { topicsOfTables } from '../../../../src/sinks/kafka/check-topic-names.ts';

const TABLES = [
  { schema: 'shop', name: 'Item' },
  { schema: 'shop', name: 'log' },
  { schema: 'two', name: 'a.b' },
];

const topics = (tables: string[], { routes = {}, caseSensitive = true } = {}) => {
  const kafka = { brokers: ['127.0.0.1:9092'] };
  const config = configSchema.parse({
    ...{ name: 'x', source: { url: 'mysql://u@h' }, tables, kafka, routes },
    ...(Object.keys(routes).length > 0 && { firehose: { stream: 's' } }),
  });
  const found = topicsOfTables(TABLES, config, { caseSensitive });
  return found.map(({ name, isNamed }) => (isNamed ? `${name}, named` : name));
};

test('a table is named if a pattern without a star includes it, in the case of the server', () => {
  expect(topics(['*.*'])).toEqual(['x.shop.Item', 'x.shop.log', 'x.two.a.b']);
  expect(topics(['*.*', 'shop.Item', 'two.`a.b`'])).toEqual(['x.shop.Item, named', 'x.shop.log', 'x.two.a.b, named']);
  expect(topics(['*.*', 'SHOP.item'])).toEqual(['x.shop.Item', 'x.shop.log', 'x.two.a.b']);
  expect(topics(['*.*', 'SHOP.item'], { caseSensitive: false })[0]).toBe('x.shop.Item, named');
});

test('a pattern that excludes names no table', () => {
  expect(topics(['*.*', '!shop.gone', '!shop.log'])).toEqual(['x.shop.Item', 'x.shop.log', 'x.two.a.b']);
});

test('what goes to another transport has no topic', () => {
  const routes = { 'two.*': 'firehose', '*.*': 'kafka' };
  expect(topics(['shop.log', 'two.*'], { routes })).toEqual(['x.shop.Item', 'x.shop.log, named']);
});
