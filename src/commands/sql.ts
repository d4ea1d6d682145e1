import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { CdcError } from '../runtime/error.ts';
import type { DialectName } from '../warehouse/dialect.ts';

interface SqlFlags {
  config: string;
  dialect: DialectName;
  since?: string;
}

const NAMES: DialectName[] = ['redshift', 'athena', 'snowflake', 'bigquery', 'spark', 'postgres', 'duckdb'];

const HELP = `
Standard output has one script, and nothing else: the table or external table of what Firehose delivers, a table of the
current state for each source table, a view of its current rows under the name of the source table, and the merge. The
columns come from the live schema of the source, and the form of the values from the configuration.

Every part can run again. Run the merge, the last part, as often as the tables are to be fresh. cdc merge does all of
this by itself for DuckDB, PostgreSQL and Redshift.

--since FILE names an earlier output: the script then also changes its tables to the columns of today.

Exit code 0, 1 if the source cannot be read, 2 if the request is wrong.

Examples:
  cdc sql --dialect redshift > tables.sql
  cdc sql --dialect athena shop.orders 'shop.user*' > tables.sql
  cdc sql --dialect redshift --since tables.sql > next.sql`;

/** `cdc sql`: the SQL of a warehouse for the tables of the source. */
export function sqlCommand(signal: AbortSignal): Command {
  return new Command('sql')
    .description('Prints the SQL that makes tables of current rows out of what Firehose delivers.')
    .argument('[table...]', 'names or patterns; every captured table if there is none')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .addOption(new Option('--dialect <name>', 'the warehouse').choices(NAMES).makeOptionMandatory())
    .option('--since <file>', 'an earlier output, whose tables are changed to the columns of today')
    .addHelpText('after', HELP)
    .action(async (wanted: string[], { config: file, dialect, since }: SqlFlags) => {
      const { loadConfig } = await import('../config/load.ts');
      const { assertFormat, readTables } = await import('../warehouse/merge/open-merge.ts');
      const { assertNoneLeftOut } = await import('../warehouse/tables/read-landed-tables.ts');
      const { DIALECTS } = await import('../warehouse/dialects/dialects.ts');
      const { readShapes, warehouseScript } = await import('../warehouse/script.ts');
      const config = loadConfig(file);
      const format = assertFormat(config);
      const known = since === undefined ? undefined : readShapes(readEarlier(since));
      if (known?.size === 0) {
        throw new CdcError(`${since} is no output of cdc sql`, {
          exitCode: 2,
          hint: 'name the file of an earlier run',
        });
      }
      const other = [...(known?.values() ?? [])].find((shape) => shape.dialect !== dialect);
      if (other !== undefined) {
        const hint = `write --dialect ${other.dialect}, or name another file`;
        throw new CdcError(`${since} is a script for ${other.dialect}`, { exitCode: 2, hint });
      }
      const landed = await readTables(config, wanted, signal);
      if (landed.tables.length === 0) assertNoneLeftOut(landed);
      const { tables, leftOut } = landed;
      for (const { name, why, hint } of leftOut) process.stderr.write(`${name} is left out: ${why}\n  ${hint}\n`);
      const delivered = {
        pipeline: config.name,
        format,
        flatPrefix: config.flat_prefix,
        lake: lakeOf(config.lake),
        tables,
      };
      const script = warehouseScript({
        ...{ dialect: DIALECTS[dialect], delivered, values: config.values, leftOut },
        ...(known && { known }),
      });
      process.stdout.write(script);
    });
}

/** Engines that read objects want to know where they are; the others do not care. */
const lakeOf = (lake: string | undefined): string => lake ?? 's3://BUCKET/PREFIX';

function readEarlier(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CdcError(`cannot read ${path}`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'name the output of an earlier cdc sql',
      cause: error,
    });
  }
}
