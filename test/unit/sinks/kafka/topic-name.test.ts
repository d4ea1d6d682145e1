import { expect, test } from 'vitest';
import { topicName } from '../../../../src/sinks/kafka/topic-name.ts';

// The names are those that Debezium 3.6.1 gave the same tables.
test.each([
  ['orders', 'shop.shop.orders'],
  ['Order-Lines_2', 'shop.shop.Order-Lines_2'],
  ['od d.ä', 'shop.shop.od_d._'],
  ['a$b', 'shop.shop.a_b'],
])('the topic of table %s is %s', (table, topic) => {
  expect(topicName('shop', 'shop', table)).toBe(topic);
});

test('a character of two UTF-16 units becomes two underscores, as in Java', () => {
  expect(topicName('shop', 'shop', '𐍈')).toBe('shop.shop.__');
});

test('a longer name is cut at 249 characters, which is what Kafka takes', () => {
  expect(topicName('n'.repeat(180), 's'.repeat(64), 't')).toHaveLength(180 + 64 + 3);
  expect(topicName('n'.repeat(180), 's'.repeat(64), 'table')).toHaveLength(249);
});
