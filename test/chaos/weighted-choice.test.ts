import { expect, test } from 'vitest';
import { seededRandom } from '../../src/local/demo/random.ts';
import { weightedChoice } from './weighted-choice.ts';

test('a name of a weighted table is chosen by its share of the sum', () => {
  const random = seededRandom(1);
  const chosen = { often: 0, seldom: 0, never: 0 };
  for (let i = 0; i < 10_000; i++) chosen[weightedChoice(random, { often: 9, seldom: 1, never: 0 })]++;
  expect(chosen.often).toBeGreaterThan(8_800);
  expect(chosen.often).toBeLessThan(9_200);
  expect(chosen.seldom).toBe(10_000 - chosen.often);
  expect(chosen.never).toBe(0);
});
