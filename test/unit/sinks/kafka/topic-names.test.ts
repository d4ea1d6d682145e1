import { expect, test } from 'vitest';
import { TopicNames } from '../../../../src/sinks/kafka/topic-names.ts';

const table = (schema: string, name: string) => ({ schema, name, columns: [], key: [] });

test('a topic is named as Debezium names it, by default and by a template', () => {
  expect(new TopicNames('{name}.{db}.{table}', 'cdc').topicOf(table('shop', 'orders'))).toBe('cdc.shop.orders');
  expect(new TopicNames('{table}', 'cdc').topicOf(table('shop', 'orders'))).toBe('orders');
});

test('characters that Kafka does not allow become underscores, and a collision is a problem', () => {
  const names = new TopicNames('{name}.{db}.{table}', 'cdc');
  expect(names.problemOf(table('shop', 'a b'))).toBeUndefined();
  expect(names.topicOf(table('shop', 'a b'))).toBe('cdc.shop.a_b');
  // Another version of the same table.
  expect(names.problemOf(table('shop', 'a b'))).toBeUndefined();
  expect(names.problemOf(table('shop', 'a_b'))).toBe(
    'cdc.shop.a_b and cdc.shop.a b both become the topic cdc.shop.a_b',
  );
  expect(names.problemOf(table('shop', '..'))).toBeUndefined();
  expect(new TopicNames('{table}', 'cdc').problemOf(table('shop', '..'))).toBe('.. is not a topic');
});

test('tables share a topic where the template says so', () => {
  const names = new TopicNames('changes', 'cdc');
  expect(names.problemOf(table('shop', 'a'))).toBeUndefined();
  expect(names.problemOf(table('shop', 'b'))).toBeUndefined();
});
