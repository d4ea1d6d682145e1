import type { Random } from '../../src/local/demo/random.ts';

export type Weights<Name extends string> = Readonly<{ [Key in Name]?: number }>;

/** Chooses a name of the table. The probability of a name is its share of the sum of all weights. */
export function weightedChoice<Name extends string>(random: Random, weights: Weights<Name>): Name {
  const entries = Object.entries(weights) as [Name, number][];
  let rest = random.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [name, weight] of entries) {
    if (rest < weight) return name;
    rest -= weight;
  }
  throw new Error('a table of weights needs a weight above zero');
}
