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
Starts a MySQL server and a local Firehose, lets customers of a small shop write to it, streams the changes
with cdc run in a process of its own, kills that with SIGKILL in the middle and starts it again. At the end
the lake is folded and compared with MySQL row by row. Exits with 0 only if they are equal, with 4 if not.

Example:
  $ cdc demo --seconds 10 --rate 1000 --seed 7 --directory cdc-demo`;

/** `cdc demo`: everything at once on this machine. */
export function demoCommand(signal: AbortSignal): Command {
  return new Command('demo')
    .description('Shows the whole way on this machine, with a kill in the middle, and proves that nothing was lost.')
    .option('--seconds <n>', 'how long the shop is busy', '20')
    .option('--rate <n>', 'transactions per second', '500')
    .option('--seed <n>', 'another seed, another history', '1')
    .option('--keep', 'leave everything there at the end')
    .option(
      '--directory <dir>',
      'where everything lies, and stays: an empty or new directory (default: a temporary one)',
    )
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', HELP)
    .action(async (flags: DemoFlags) => {
      const numbers = {
        seconds: positive('--seconds', flags.seconds),
        rate: positive('--rate', flags.rate),
        seed: wholeNumber('--seed', flags.seed),
      };
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
        process.stdout.write(flags.json ? `${JSON.stringify({ ...result, kept })}\n` : demoReport(result, kept));
        if (!equal) process.exitCode = 4;
      } catch (error) {
        throw signal.aborted ? new CdcError('the demo was interrupted') : error;
      } finally {
        if (!keep && (equal || signal.aborted)) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
        else if (!equal) report(`everything lies in ${directory}`);
      }
    });
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && number > 0 && number <= 1e6) return number;
  throw new CdcError(`${flag} ${text} is not a number above 0`, { exitCode: 2, hint: `write it as ${flag} 10` });
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CdcError(`${flag} ${text} is not a whole number`, { exitCode: 2, hint: `write it as ${flag} 7` });
}
