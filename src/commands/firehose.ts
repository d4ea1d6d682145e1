import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { Command } from 'commander';
import { parseSize } from '../config/units.ts';
import type { CheckedPlan } from '../local/firehose/faults.ts';
import type { LocalFirehose } from '../local/firehose/server.ts';
import type { StreamOptions } from '../local/firehose/stream-options.ts';
import { onAbort } from '../runtime/abort.ts';
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
  Then, in the configuration of cdc run:
    firehose: { stream: shop-changes, endpoint: http://127.0.0.1:4573 }
  Other clients must sign their requests, for example with AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local.

Example, a folder for each table:
  $ cdc firehose --partition '{db: .source.db, table: .source.table}' \\
      --prefix '!{partitionKeyFromQuery:db}/!{partitionKeyFromQuery:table}/!{timestamp:yyyy/MM/dd}/' \\
      --error-prefix 'failed/!{firehose:error-output-type}/'

Example, a tenth of the calls fail, a tenth of the others have half of their records throttled, all calls are logged:
  $ echo '{"rules": [{"fault": "error", "type": "InternalFailure", "rate": 0.1},
      {"fault": "partial", "rate": 0.1, "records": 0.5}]}' > plan.json
  $ cdc firehose --faults plan.json --ledger calls.ndjson
  A change of plan.json takes effect within a second.

A stream is created when it is first used, with the settings of the command line. With --strict only the
streams of --stream and of CreateDeliveryStream exist, as on AWS.
Acknowledged records survive a kill: LAKE.spool keeps undelivered records, and the next start delivers them.`;

/** `cdc firehose`: runs a local Amazon Data Firehose until the signal aborts. */
export function firehoseCommand(signal: AbortSignal): Command {
  return new Command('firehose')
    .description('Runs a local Amazon Data Firehose that delivers to a folder.')
    .option('--listen <host:port>', 'address to listen on', '127.0.0.1:4573')
    .option('--lake <dir>', 'folder in place of the S3 bucket', 'lake')
    .option('--stream <name>', 'a stream that exists from the start (repeatable)', collect)
    .option('--strict', 'reject streams that were not created, as AWS does')
    .option('--buffer-seconds <n>', 'deliver an object after this time, 0 to 900', '300')
    .option('--buffer-size <size>', 'or at this size, 1MiB to 128MiB (default: 5MiB, or 64MiB with --partition)')
    .option('--gzip', 'compress objects')
    .option('--prefix <expression>', 'prefix of objects (default: yyyy/MM/dd/HH/ of arrival)')
    .option('--error-prefix <expression>', 'prefix of undeliverable records; needed if --prefix has expressions')
    .option('--partition <query>', "dynamic partitioning, '{name: .path, ...}' over each event")
    .option('--faults <plan.json>', 'inject faults by this plan; the file is read again when it changes')
    .option('--ledger <file>', 'log each put call as a line of this file, synced before the response')
    .addHelpText('after', EXAMPLE)
    .action(async (flags: FirehoseFlags) => {
      const settings = streamSettings(flags);
      const { validateLocalStream } = await import('../local/firehose/stream-options.ts');
      // Reports invalid settings now, not when a stream is first used.
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
      print(`local Firehose on ${firehose.endpoint}, delivering to ${flags.lake}`);
      if (flags.faults !== undefined) watchPlan(flags.faults, firehose);
      await new Promise<void>((resolve) => void onAbort(signal, resolve));
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
    throw new CdcError(`the fault plan ${path} cannot be read`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'set --faults to a readable file',
    });
  }
  return parseFaultPlan(json, path);
}

/** Applies the plan again when its file changes. If the new plan is invalid, the current one stays active. */
function watchPlan(path: string, firehose: LocalFirehose): void {
  watchFile(path, { interval: 500 }, async () => {
    try {
      const plan = await readPlan(path);
      firehose.setFaults(plan);
      print(`fault plan ${path} read again, rules: ${plan.rules.length}`);
    } catch (error) {
      print(`${formatError(error)}\n  the previous fault plan stays active`);
    }
  });
}

function streamSettings(flags: FirehoseFlags): Omit<StreamOptions, 'name'> {
  const bufferSize = flags.bufferSize === undefined ? undefined : parseSize(flags.bufferSize);
  if (flags.bufferSize !== undefined && bufferSize === undefined) {
    throw usageError(`--buffer-size ${flags.bufferSize} is not a size`, 'write it as 5MiB, or as a number of bytes');
  }
  const bufferSeconds = flags.bufferSeconds.trim() === '' ? Number.NaN : Number(flags.bufferSeconds);
  if (Number.isNaN(bufferSeconds)) {
    throw usageError(`--buffer-seconds ${flags.bufferSeconds} is not a number`, 'write seconds, 0 to 900');
  }
  const { gzip, prefix, errorPrefix: errorOutputPrefix, partition } = flags;
  return { bufferSize, bufferSeconds, gzip, prefix, errorOutputPrefix, partition };
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!host || port > 65535) {
    throw usageError(
      `--listen ${text} is not an address`,
      'write it as 127.0.0.1:4573, or with port 0 for a free port',
    );
  }
  return { host, port };
}

const usageError = (message: string, hint: string) => new CdcError(message, { exitCode: 2, hint });

const collect = (name: string, names: string[] = []): string[] => [...names, name];

const print = (line: string) => process.stdout.write(`${line}\n`);
