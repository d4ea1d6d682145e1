import { Command } from 'commander';
import { CdcError } from '../runtime/error.ts';

interface MergeFlags {
  config: string;
  into: string;
  every?: string;
  batch: string;
  json?: true;
}

const HELP = `
TABLE is a name or a pattern, as in tables of the configuration: shop.orders, shop.*. Without one, every captured table
is merged. lake of the configuration names where the stream writes, and source.url where the columns are read from. It
needs no daemon and no checkpoint: the target itself knows which objects it has. It can be killed at any moment, and
run again.

Each table becomes a view of its current rows, shop.orders, over a table shop.orders__cdc. Queries use the view.

Exit code 0 if everything that landed is merged, 1 if objects are damaged (the rest of them is merged) or the merge
failed, 2 if the request is wrong, 130 after Ctrl-C.

Examples:
  cdc merge --into duckdb:warehouse.duckdb
  cdc merge shop.orders --into postgres://etl@127.0.0.1:5432/warehouse
  cdc merge --into duckdb:warehouse.duckdb --every 5m`;

/** `cdc merge`: tables of current rows from what landed in the lake. */
export function mergeCommand(signal: AbortSignal): Command {
  return new Command('merge')
    .description('Merges the events in the lake into tables of current rows, in DuckDB, PostgreSQL or Redshift.')
    .argument('[table...]', 'names or patterns; every captured table if there is none')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .requiredOption('--into <target>', 'duckdb:FILE, postgres://user@host/database or redshift://user@host/database')
    .option('--every <time>', 'merge again and again, with this time between two merges, such as 5m')
    .option('--batch <size>', 'merge about so many bytes of events in one transaction', '256MiB')
    .option('--json', 'print one JSON object for each merge instead of text')
    .addHelpText('after', HELP)
    .action(async (tables: string[], flags: MergeFlags) => {
      const { loadConfig } = await import('../config/load.ts');
      const { parseDuration, parseSize } = await import('../config/units.ts');
      const { parseTarget } = await import('../warehouse/merge/open-merge.ts');
      const into = parseTarget(flags.into);
      const everyMs = flags.every === undefined ? undefined : parseDuration(flags.every);
      if (flags.every !== undefined && everyMs === undefined) {
        throw new CdcError(`--every ${flags.every} is not valid`, { exitCode: 2, hint: 'write it as --every 5m' });
      }
      const batchBytes = parseSize(flags.batch);
      if (batchBytes === undefined || batchBytes < 1) {
        throw new CdcError(`--batch ${flags.batch} is not valid`, { exitCode: 2, hint: 'write it as --batch 256MiB' });
      }
      const config = loadConfig(flags.config);
      const { runMerge } = await import('./merge/run-merge.ts');
      process.exitCode = await runMerge({ config, wanted: tables, into, batchBytes, signal }, everyMs, flags.json === true);
    });
}
