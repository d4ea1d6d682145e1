import { Command } from 'commander';
import { CdcError } from '../runtime/error.ts';
import type { VerifyRequest } from '../verify/open-verification.ts';

interface VerifyFlags {
  config: string;
  where?: string;
  since?: string;
  sample?: string;
  wait?: string;
  list: string;
  repair?: true;
  json?: true;
}

const HELP = `
TABLE is a name or a pattern, as in tables of the configuration: shop.orders, shop.*, "!shop.log". Without one,
every captured table is compared. cdc run has to run (only --repair runs the pipeline by itself), and lake of the
configuration names where the stream writes.

Every row of the source is compared with what its events in the lake make of it, while both change. What seems to
differ is looked at again once everything that can be on its way is in the lake: the daemon delivers it, and the
stream writes its buffer. So a difference that is reported is one, and nothing on its way counts as missing.

Standard output has the keys of rows that differ, with the names of the columns, and the counts of each table. Values
are never printed.

Exit code 0 if all is equal, 4 if rows differ, 1 if only objects are damaged, the time of --wait is over or the
comparison failed, 2 if the request is wrong, 130 after Ctrl-C.

Examples:
  cdc verify                                    every captured table
  cdc verify shop.orders --since 1d             only what changed since yesterday
  cdc verify --sample 1% --wait 10m --json      in a script
  cdc verify shop.orders --where 'id < 1000'
  cdc verify --repair                           send what differs again, and look again`;

/** `cdc verify`: the source against the lake, through the running daemon. */
export function verifyCommand(signal: AbortSignal): Command {
  return new Command('verify')
    .description('Compares the source with the lake row by row, while writes go on; --repair sends what differs again.')
    .argument('[table...]', 'names or patterns; every captured table if there is none')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .option(
      '--where <condition>',
      'only the rows of one table that match; rows that only the lake has are not looked for',
    )
    .option('--since <time>', 'only keys with events in objects of this time, such as 1h or 1d; not beside --where')
    .option('--sample <share>', 'only this share of the keys, such as 1%')
    .option('--wait <time>', 'wait at most so long for events on their way, such as 10m (default: as long as it takes)')
    .option('--list <n>', 'list at most so many differing rows of each table', '100')
    .option('--repair', 'send the rows that differ again, and look at them again')
    .option('--json', 'print one JSON object instead of text')
    .addHelpText('after', HELP)
    .action(async (tables: string[], flags: VerifyFlags) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(flags.config);
      const request = await requestOf(tables, flags);
      const { runVerify } = await import('./verify/run-verify.ts');
      process.exitCode = await runVerify(config, request, flags.json === true, signal);
    });
}

const LIST_MAX = 1_000_000;

/** @throws CdcError with exit code 2 that names the wrong flag or table */
async function requestOf(named: string[], flags: VerifyFlags): Promise<VerifyRequest> {
  const { compileTableFilter } = await import('../model/table-filter.ts');
  const { parseDuration } = await import('../config/units.ts');
  // Exclusions alone exclude from all that is captured.
  const tables = named.length > 0 && named.every((name) => name.startsWith('!')) ? ['*.*', ...named] : named;
  if (tables.length > 0) compileTableFilter(tables, { caseSensitive: true });
  if (flags.since !== undefined && flags.where !== undefined) {
    throw new CdcError('--since and --where cannot be combined', {
      exitCode: 2,
      why: 'the keys of recent events are looked up one by one, whatever their rows are',
      hint: 'use one of them',
    });
  }
  const since = readFlag('--since', flags.since, parseDuration, 'a time such as 1h or 1d');
  const waitMs = readFlag('--wait', flags.wait, parseDuration, 'a time such as 30s or 10m');
  const sample = readFlag('--sample', flags.sample, parseShare, 'a share such as 1% or 0.01, above 0 and at most 100%');
  const list = readFlag('--list', flags.list, parseCount, `a whole number from 0 to ${LIST_MAX}`);
  return {
    tables,
    repair: flags.repair === true,
    differencesMax: list as number,
    ...(flags.where !== undefined && { where: flags.where }),
    ...(since !== undefined && { since: Date.now() - since }),
    ...(waitMs !== undefined && { waitMs }),
    ...(sample !== undefined && { sample }),
  };
}

function readFlag(
  flag: string,
  text: string | undefined,
  parse: (text: string) => number | undefined,
  what: string,
): number | undefined {
  if (text === undefined) return undefined;
  const value = parse(text);
  if (value === undefined)
    throw new CdcError(`${flag} ${text} is not valid`, { exitCode: 2, hint: `it must be ${what}` });
  return value;
}

function parseShare(text: string): number | undefined {
  const [, number, percent] = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim()) ?? [];
  const share = Number(number) / (percent ? 100 : 1);
  return share > 0 && share <= 1 ? share : undefined;
}

function parseCount(text: string): number | undefined {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  return count <= LIST_MAX ? count : undefined;
}
