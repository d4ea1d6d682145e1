import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startLocalServer } from '../../src/local/mysql/server.ts';
import { backfill } from './backfill.ts';
import { codec } from './codec.ts';
import { cost } from './cost.ts';
import { fleet } from './fleet.ts';
import { largeTransaction } from './large-transaction.ts';
import { latency } from './latency.ts';
import { merge } from './merge.ts';
import { monitoring } from './monitoring.ts';
import { replay } from './replay.ts';
import { sinks } from './sinks.ts';
import { soak } from './soak.ts';
import { verify } from './verify.ts';
import { wholePath } from './whole-path.ts';

/**
 * `npm run bench [-- name...]` runs the named benchmarks, or all except the soak. It prints Markdown for
 * docs/BENCHMARKS.md. `--rows N` makes the table of the backfill and of verify smaller, and the
 * lake of the merge, and the rows of the fleet and of the sinks.
 */

const BENCHES = {
  codec,
  replay,
  'whole-path': wholePath,
  backfill,
  latency,
  cost,
  'large-transaction': largeTransaction,
  sinks,
  verify,
  merge,
  monitoring,
  fleet,
  soak,
};
type Name = keyof typeof BENCHES;

const { values: flags, positionals: requested } = parseArgs({
  allowPositionals: true,
  options: { rows: { type: 'string' } },
});
const unknown = requested.find((name) => !(name in BENCHES));
if (unknown !== undefined) {
  console.error(`unknown benchmark ${unknown}; the benchmarks are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
const names =
  requested.length > 0 ? (requested as Name[]) : (Object.keys(BENCHES) as Name[]).filter((name) => name !== 'soak');

console.log(
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores of ${cpus()[0]?.model}, node ${process.version}`,
);
for (const name of names) {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-bench-'));
  const server = await startLocalServer({ flavor: 'mysql' });
  console.log(`\n## ${name}, MySQL ${server.version}\n`);
  await BENCHES[name](server, directory, flags.rows === undefined ? {} : { rows: Number(flags.rows) });
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}
