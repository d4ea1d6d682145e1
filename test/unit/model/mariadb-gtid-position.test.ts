import { describe, expect, test } from 'vitest';
import { MariadbGtidPosition } from '../../../src/model/mariadb-gtid-position.ts';

describe('a MariaDB GTID position', () => {
  test.each([
    ['', ''],
    ['0-1-1234', '0-1-1234'],
    [' 1-3-45 , 0-1-1234', '0-1-1234,1-3-45'],
  ])('%j is written as %j', (text, canonical) => {
    expect(MariadbGtidPosition.parse(text).toString()).toBe(canonical);
  });

  test.each(['1-2', 'a-b-c', '0-1-1,0-2-5', '0-1-99999999999999999'])('%j is rejected', (text) => {
    expect(() => MariadbGtidPosition.parse(text)).toThrow(/not a valid part of a MariaDB GTID position/);
  });

  test('a later transaction overwrites its domain, even with a lower sequence of another server', () => {
    const position = MariadbGtidPosition.parse('0-1-100');
    position.advance(0, 2, 7);
    expect(position.toString()).toBe('0-2-7');
  });

  test('contains a position if it has each of its domains with at least the same sequence', () => {
    const position = MariadbGtidPosition.parse('0-1-100,1-1-5');
    expect(position.containsAll(MariadbGtidPosition.parse('0-1-100'))).toBe(true);
    expect(position.containsAll(MariadbGtidPosition.parse('0-1-101'))).toBe(false);
    expect(position.containsAll(MariadbGtidPosition.parse('2-1-1'))).toBe(false);
  });
});
