import { register } from 'node:module';
import type { Edit } from './edit.ts';
import { MUTANTS } from './mutants.ts';

/** Loaded before the daemon (`node --import 'mutate.js?bug=...&budget=...' main.js run`): makes a mutant of it, or gives it less memory. */
const { searchParams } = new URL(import.meta.url);
const name = searchParams.get('bug');
const budget = searchParams.get('budget');

const edits: Edit[] = [];
if (name !== null) {
  const bug = MUTANTS[name];
  if (bug === undefined) throw new Error(`there is no mutant "${name}"`);
  edits.push(...bug.edits);
}
if (budget !== null) {
  edits.push({
    file: 'delivery/delivery',
    from: 'const BUDGET_BYTES = 64 * 1024 * 1024;',
    to: `const BUDGET_BYTES = ${budget};`,
  });
}
register(new URL('rewrite.js', import.meta.url), { data: edits });
