import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { Command } from 'commander';
import { parseSize } from '../config/units.ts';
import type { CheckedPlan } from '../local/firehose/faults.ts';
import type { LocalFirehose } from '../local/firehose/server.ts';
import type { StreamOptions } from '../local/firehose/stream-options.ts';
import { CdcError, formatError } from '../runtime/error.ts';

interface FirehoseFlags {
  listen: string;
  lake: string;
  stream?: string[];
  strict?: true;
  bufferSeconds: string;
  bufferSize?: string;
  gzip?: true;
  prefix?: string;
  errorPrefix?: string;
  partition?: string;
  faults?: string;
  ledger?: string;
}

const EXAMPLE = `
Example:
  $ cdc firehose --lake lake --buffer-seconds 5
  then, in the configuration of cdc run:
    firehose: { stream: shop-changes, endpoint: http://127.0.0.1:4573 }
  Any other client must sign its requests: AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local will do.

Example, a folder for each table:
  $ cdc firehose --partition '{db: .source.db, table: .source.table}' \\
      --prefix '!{partitionKeyFromQuery:db}/!{partitionKeyFromQuery:table}/!{timestamp:yyyy/MM/dd}/' \\
      --error-prefix 'failed/!{firehose:error-output-type}/'

Example, a tenth of the calls fails, a tenth of the rest has half its records throttled, and all are entered in a file:
  $ echo '{"rules": [{"fault": "error", "type": "InternalFailure", "rate": 0.1},
      {"fault": "partial", "rate": 0.1, "records": 0.5}]}' > plan.json
  $ cdc firehose --faults plan.json --ledger calls.ndjson
  A change of plan.json takes effect within a second.

A stream is created when it is first used, with the settings given here; with --strict only the
streams named by --stream (and what CreateDeliveryStream makes) exist, as on AWS.
Acknowledged records survive a kill: what was not delivered lies in LAKE.spool, and is delivered at the next start.`;

/** `cdc firehose`: an Amazon Data Firehose on this machine, until the signal ends it. */
export function firehoseCommand(signal: AbortSignal): Command {
  return new Command('firehose')
    .description('Runs a local Amazon Data Firehose that delivers into a folder.')
    .option('--listen <host:port>', 'address to listen on', '127.0.0.1:4573')
    .option('--lake <dir>', 'folder that stands for the S3 bucket', 'lake')
    .option('--stream <name>', 'a stream that exists from the start (repeatable)', collect)
    .option('--strict', 'refuse streams that were not created, as AWS does')
    .option('--buffer-seconds <n>', 'deliver an object after this time, 0 to 900', '300')
    .option(
      '--buffer-size <size>',
      'or when it is this large, 1MiB to 128MiB (default: 5MiB, or 64MiB with --partition)',
    )
    .option('--gzip', 'compress objects')
    .option('--prefix <expression>', 'prefix of objects (default: yyyy/MM/dd/HH/ of arrival)')
    .option('--error-prefix <expression>', 'prefix of what cannot be delivered; needed when --prefix has expressions')
    .option('--partition <query>', "dynamic partitioning, '{name: .path, ...}' over each event")
    .option('--faults <plan.json>', 'faults on demand; the file is read again when it changes')
    .option('--ledger <file>', 'a line for each put call, synced to disk before it is answered')
    .addHelpText('after', EXAMPLE)
    .action(async (flags: FirehoseFlags) => {
      const settings = streamSettings(flags);
      const { validateLocalStream } = await import('../local/firehose/stream-options.ts');
      // Refused now, not at the first record of a stream that comes later.
      validateLocalStream({ ...settings, name: 'any' });
      const faults = flags.faults === undefined ? undefined : await readPlan(flags.faults);
      const { startLocalFirehose } = await import('../local/firehose/server.ts');
      const firehose = await startLocalFirehose({
        faults,
        ledger: flags.ledger,
        listen: parseListen(flags.listen),
        lake: flags.lake,
        streams: (flags.stream ?? []).map((name) => ({ ...settings, name })),
        autoCreateStream: flags.strict ? undefined : (name) => ({ ...settings, name }),
        log: print,
      });
      print(`Local Firehose on ${firehose.endpoint}, delivering into ${flags.lake}`);
      if (flags.faults !== undefined) watchPlan(flags.faults, firehose);
      await aborted(signal);
      if (flags.faults !== undefined) unwatchFile(flags.faults);
      await firehose.close();
    });
}

async function readPlan(path: string): Promise<CheckedPlan> {
  const { parseFaultPlan } = await import('../local/firehose/faults.ts');
  let json: string;
  try {
    json = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CdcError(`The fault plan ${path} cannot be read`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'Name a file with --faults.',
    });
  }
  return parseFaultPlan(json, path);
}

/** A plan that became bad, or was read half written, is told, and the one before it stays. */
function watchPlan(path: string, firehose: LocalFirehose): void {
  watchFile(path, { interval: 500 }, async () => {
    try {
      const plan = await readPlan(path);
      firehose.setFaults(plan);
      print(`Fault plan ${path} read again, rules: ${plan.rules.length}`);
    } catch (error) {
      print(`${formatError(error)}\n  The fault plan before it stays.`);
    }
  });
}

function streamSettings(flags: FirehoseFlags): Omit<StreamOptions, 'name'> {
  const bufferSize = flags.bufferSize === undefined ? undefined : parseSize(flags.bufferSize);
  if (flags.bufferSize !== undefined && bufferSize === undefined) {
    throw usage(`--buffer-size ${flags.bufferSize} is not a size`, 'Write it as 5MiB, or as a number of bytes.');
  }
  const bufferSeconds = flags.bufferSeconds.trim() === '' ? Number.NaN : Number(flags.bufferSeconds);
  if (Number.isNaN(bufferSeconds)) {
    throw usage(`--buffer-seconds ${flags.bufferSeconds} is not a number`, 'Write seconds, 0 to 900.');
  }
  const { gzip, prefix, errorPrefix: errorOutputPrefix, partition } = flags;
  return { bufferSize, bufferSeconds, gzip, prefix, errorOutputPrefix, partition };
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || port > 65535) {
    throw usage(`--listen ${text} is not an address`, 'Write it as 127.0.0.1:4573, or with port 0 for any free one.');
  }
  return { host, port };
}

const usage = (message: string, hint: string) => new CdcError(message, { exitCode: 2, hint });

const collect = (name: string, names: string[] = []): string[] => [...names, name];

const print = (line: string) => process.stdout.write(`${line}\n`);

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
