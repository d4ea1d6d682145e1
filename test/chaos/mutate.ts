import { register } from 'node:module';
import type { Edit } from './edit.ts';
import { MUTANTS } from './mutants.ts';

/**
 * Makes a mutant of the daemon, or gives it a smaller byte budget. Node loads this module before the daemon:
 * `node --import 'mutate.js?mutant=...&budget=...' main.js run`.
 */
const { searchParams } = new URL(import.meta.url);
const name = searchParams.get('mutant');
const budget = searchParams.get('budget');

const edits: Edit[] = [];
if (name !== null) {
  const mutant = MUTANTS[name];
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
  edits.push(...mutant.edits);
}
if (budget !== null) {
  edits.push({
    file: 'delivery/limits',
    from: 'export const BUDGET_BYTES = 64 * 1024 * 1024;',
    to: `export const BUDGET_BYTES = ${budget};`,
  });
}
register(new URL('rewrite.js', import.meta.url), { data: edits });
