import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { CdcError } from '../runtime/error.ts';

interface DemoFlags {
  seconds: string;
  rate: string;
  seed: string;
  keep?: true;
  directory?: string;
  json?: true;
}

const HELP = `
Starts a MySQL server, a workload of a small shop, a local Firehose, and cdc run in a process of its own, which
copies the rows that were there before while the workload continues.
Kills cdc run with SIGKILL in the middle of both and starts it again. The local Firehose also copies into a warehouse,
an embedded PostgreSQL that stands for Redshift. At the end the lake, folded to current rows, and the merged tables of
the warehouse are compared with MySQL row by row, and the warehouse reports the revenue by source. Exit code 0 if they
are equal, 4 if not.

Example:
  $ cdc demo --seconds 10 --rate 1000 --seed 7 --directory cdc-demo`;

/** `cdc demo`: the whole data flow on this machine. */
export function demoCommand(signal: AbortSignal): Command {
  return new Command('demo')
    .description('Runs the data flow on this machine, with a kill in the middle, and verifies that nothing was lost.')
    .option('--seconds <n>', 'duration of the workload', '20')
    .option('--rate <n>', 'transactions per second', '500')
    .option('--seed <n>', 'seed of the random workload', '1')
    .option('--keep', 'keep the files at the end')
    .option('--directory <dir>', 'an empty or new directory for the files, which are kept (default: a temporary one)')
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', HELP)
    .action(async (flags: DemoFlags) => {
      const numbers = {
        seconds: positive('--seconds', flags.seconds),
        rate: positive('--rate', flags.rate),
        seed: wholeNumber('--seed', flags.seed),
      };
      const { loadDuckdb } = await import('../lake/duckdb.ts');
      await loadDuckdb();
      const { loadPglite } = await import('../local/warehouse/pglite.ts');
      await loadPglite();
      const { claimDirectory, runDemo } = await import('../local/demo/run-demo.ts');
      const { demoReport } = await import('../local/demo/report.ts');
      if (flags.directory !== undefined) claimDirectory(resolve(flags.directory));
      const directory = realpathSync(flags.directory ?? mkdtempSync(join(tmpdir(), 'cdc-demo-')));
      const keep = flags.keep === true || flags.directory !== undefined;
      const report = (line: string) => process.stderr.write(`${line}\n`);
      let equal = false;
      try {
        const result = await runDemo({ ...numbers, directory, keep, entry: process.argv[1]!, report, signal });
        equal = result.problems.length === 0;
        const kept = keep || !equal;
        process.stdout.write(
          flags.json ? `${JSON.stringify({ ...result, kept })}\n` : demoReport(result, kept, chartStyle()),
        );
        if (!equal) process.exitCode = 4;
      } catch (error) {
        throw signal.aborted ? new CdcError('the demo was interrupted') : error;
      } finally {
        if (!keep && (equal || signal.aborted)) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
        else if (!equal) report(`the files are in ${directory}`);
      }
    });
}

/** Blocks for a terminal that shows them; a file or a pipe gets plain ASCII, for whatever reads it. */
function chartStyle(): { columns: number; unicode: boolean } {
  const locale = process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || '';
  const unicode = process.stdout.isTTY && process.env.TERM !== 'dumb' && /utf-?8/i.test(locale);
  // A terminal that does not know its size says 0.
  return { columns: process.stdout.columns || 80, unicode };
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && number > 0 && number <= 1e6) return number;
  throw new CdcError(`${flag} ${text} is not a number above 0 and up to 1000000`, {
    exitCode: 2,
    hint: `write it as ${flag} 10`,
  });
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CdcError(`${flag} ${text} is not a whole number of up to 9 digits`, {
    exitCode: 2,
    hint: `write it as ${flag} 7`,
  });
}
