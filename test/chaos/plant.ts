import { register } from 'node:module';
import type { Edit } from './edit.ts';
import { SEEDED_BUGS } from './seeded-bug.ts';

/** Loaded before the daemon (`node --import 'plant.js?bug=...&budget=...' main.js run`): plants a bug in it, or gives it less memory. */
const { searchParams } = new URL(import.meta.url);
const name = searchParams.get('bug');
const budget = searchParams.get('budget');

const edits: Edit[] = [];
if (name !== null) {
  const bug = SEEDED_BUGS[name];
  if (bug === undefined) throw new Error(`there is no seeded bug "${name}"`);
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
