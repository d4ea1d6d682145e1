import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../../src/local/demo/random.ts';
import { openingTransaction, type ShopTransaction, shopTransactions } from '../../../../src/local/demo/transactions.ts';

function history(seed: number, client: number, length = 3000): ShopTransaction[] {
  const transactions = shopTransactions(seed, client);
  return Array.from({ length }, () => transactions.next().value);
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}n` : item));

describe('the workload of the demo', () => {
  test('the same seed and client give the same transactions with the same values', () => {
    expect(text(history(7, 2))).toBe(text(history(7, 2)));
    expect(text(openingTransaction(7))).toBe(text(openingTransaction(7)));
  });

  test('another seed or another client gives other transactions', () => {
    const all = [history(1, 0), history(2, 0), history(1, 1), history(2, 1)].map((transactions) =>
      transactions.map(({ name }) => name).join(),
    );
    expect(new Set(all).size).toBe(all.length);
  });

  test('the workload has every kind of transaction', () => {
    const transactions = history(1, 0);
    const names = new Set(transactions.map(({ name }) => name));
    expect([...names]).toEqual(
      expect.arrayContaining([
        'buy',
        'cancel',
        'delete and insert again',
        'change a primary key',
        'roll back',
        'roll back to a savepoint',
      ]),
    );
    expect(transactions.some(({ commit }) => !commit)).toBe(true);
    expect(transactions.some(({ statements }) => statements.some(({ undone }) => undone))).toBe(true);
    const moves = transactions.filter(({ statements }) => statements[0]!.effect === 'move');
    expect(moves.some(({ statements }) => statements.length === 2)).toBe(true); // a new row takes the old key
  });

  test('two clients never insert the same row', () => {
    const inserted = (client: number) =>
      history(1, client).flatMap(({ statements }) =>
        statements
          .filter(({ effect }) => effect === 'insert')
          .map(({ sql, values }) => `${sql.split(' ')[2]} ${values[0]}`),
      );
    const [one, other] = [new Set(inserted(0)), inserted(1)];
    expect(other.filter((row) => one.has(row))).toEqual([]);
  });

  test('order numbers are above 2^53', () => {
    const order = history(1, 0).find(({ name }) => name === 'buy')!.statements[0]!;
    expect(order.values[0]).toBeGreaterThan(2n ** 53n);
  });
});

test('seeded random numbers are evenly distributed below their bound', () => {
  const random = seededRandom(3);
  const seen = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) seen[random.below(10)]!++;
  expect(Math.min(...seen)).toBeGreaterThan(850);
  expect(Math.max(...seen)).toBeLessThan(1150);
});
