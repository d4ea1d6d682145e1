import { writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { CRASH_POINTS } from './crash-point.ts';

/**
 * Sends SIGKILL to its own process at the n-th pass of a crash point. Node loads this module before the daemon:
 * `node --import 'crash-at.js?point=...&pass=3' main.js run`. The daemon has no hooks for this. The module wraps
 * functions of Node and the prototypes of the compiled modules.
 */
const { searchParams } = new URL(import.meta.url);
const name = searchParams.get('point') ?? '';
let left = Number(searchParams.get('pass'));

const point = CRASH_POINTS[name];
if (point === undefined) throw new Error(`there is no crash point ${name}`);
point.arm(() => {
  if (--left > 0) return;
  writeSync(2, `crash at ${name}\n`);
  process.kill(process.pid, 'SIGKILL');
});
syncBuiltinESMExports();
