import { register } from 'node:module';
import type { Edit } from './edit.ts';
import { MUTANTS } from './mutants.ts';
import { TAKEOVER_MUTANTS } from './takeover/mutants.ts';

/**
 * Makes a mutant of the daemon, or gives it a smaller byte budget. Node loads this module before the daemon:
 * `node --import 'mutate.js?mutant=...&budget=...' main.js run`.
 */
const { searchParams } = new URL(import.meta.url);
const name = searchParams.get('mutant');
const budget = searchParams.get('budget');

const edits: Edit[] = [];
if (name !== null) {
  const mutant = MUTANTS[name] ?? TAKEOVER_MUTANTS[name];
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
if (searchParams.has('counted')) {
  const count = 'counters.repeats += isRun ? stored : stored * events;';
  edits.push({
    file: 'delivery/stream-sender',
    from: count,
    to: `${count}
      if (stored > 0) process.stderr.write(JSON.stringify({ time: Date.now(), msg: 'possible repeats: ' + (isRun ? stored : stored * events) }) + '\\n');`,
  });
}
register(new URL('rewrite.js', import.meta.url), { data: edits });
