import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { Command } from 'commander';
import type { CheckedPlan } from '../local/firehose/faults.ts';
import type { KinesisSource } from '../local/firehose/kinesis-source.ts';
import type { LocalFirehose } from '../local/firehose/server.ts';
import type { Warehouse } from '../local/warehouse/server.ts';
import { onAbort } from '../runtime/abort.ts';
import { CdcError, formatError } from '../runtime/error.ts';
import { type FirehoseFlags, kinesisSource, parseListen, streamSettings } from './firehose/flags.ts';

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

Example, a warehouse: the objects of the stream are copied into the table "landing", and psql reads it meanwhile:
  $ cdc firehose --warehouse warehouse --table landing --buffer-seconds 5
  $ psql postgres://postgres@127.0.0.1:5439/postgres -c 'CREATE TABLE landing (
      op text, before jsonb, after jsonb, key jsonb, seq text, source jsonb, ts_ms bigint, partial jsonb)'
  CreateDeliveryStream with a RedshiftDestinationConfiguration does the same for one stream.

Example, a Kinesis data stream as the source, such as one of the npm package kinesalite:
  $ cdc firehose --kinesis-stream shop-changes --kinesis-endpoint http://127.0.0.1:4567 --buffer-seconds 5

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
    .option('--kinesis-stream <name>', 'read this Kinesis data stream into the stream of the same name')
    .option('--kinesis-endpoint <url>', 'where that Kinesis listens', 'http://127.0.0.1:4567')
    .option('--faults <plan.json>', 'inject faults by this plan; the file is read again when it changes')
    .option('--ledger <file>', 'log each put call as a line of this file, synced before the response')
    .option('--warehouse <dir>', 'an embedded PostgreSQL in this folder, in place of Redshift')
    .option('--warehouse-listen <host:port>', 'address of the embedded PostgreSQL', '127.0.0.1:5439')
    .option('--table <name>', 'copy the objects of each stream into this table, as a Redshift destination does')
    .option('--columns <names>', 'the columns that are filled, with commas (default: all)')
    .option('--copy-options <options>', "options of COPY (default: JSON 'auto', and GZIP with --gzip)")
    .option('--retry-seconds <n>', 'try a COPY that fails again for this time, 0 to 7200', '3600')
    .option('--redshift <jdbc-url>', 'another PostgreSQL or Redshift, jdbc:postgresql://HOST:PORT/DATABASE')
    .option('--redshift-user <name>', 'its user; CDC_REDSHIFT_PASSWORD has the password', 'postgres')
    .addHelpText('after', EXAMPLE)
    .action(async (flags: FirehoseFlags) => {
      const listen = parseListen(flags.listen);
      const { validateLocalStream } = await import('../local/firehose/stream-options.ts');
      // Reports invalid settings now, not when a stream is first used. The port of the warehouse is not known yet.
      const anyUrl = flags.warehouse === undefined ? undefined : 'jdbc:postgresql://localhost:5439/postgres';
      validateLocalStream({ ...streamSettings(flags, anyUrl), name: 'any' });
      const source = kinesisSource(flags);
      const faults = flags.faults === undefined ? undefined : await readPlan(flags.faults);
      const warehouse = await openWarehouse(flags);
      try {
        const settings = streamSettings(flags, warehouse?.jdbcUrl);
        const { startLocalFirehose } = await import('../local/firehose/server.ts');
        const firehose = await startLocalFirehose({
          faults,
          ledger: flags.ledger,
          listen,
          lake: flags.lake,
          streams: (flags.stream ?? []).map((name) => ({ ...settings, name })),
          autoCreateStream: flags.strict ? undefined : (name) => ({ ...settings, name }),
          warehouse,
          log: print,
        });
        print(`local Firehose on ${firehose.endpoint}, delivering to ${flags.lake}`);
        if (flags.faults !== undefined) watchPlan(flags.faults, firehose);
        const reading = source && readSource(source, firehose, signal);
        await Promise.all([reading, new Promise<void>((resolve) => void onAbort(signal, resolve))]);
        if (flags.faults !== undefined) unwatchFile(flags.faults);
        await firehose.close();
      } finally {
        await warehouse?.close();
      }
    });
}

async function openWarehouse({ warehouse, warehouseListen }: FirehoseFlags): Promise<Warehouse | undefined> {
  if (warehouse === undefined) return undefined;
  const listen = parseListen(warehouseListen, '--warehouse-listen');
  const { startWarehouse } = await import('../local/warehouse/server.ts');
  const opened = await startWarehouse({ directory: warehouse, listen, log: print });
  print(`warehouse on ${opened.url}, in ${warehouse}`);
  return opened;
}

/** Reads the data stream into the stream of its name until the signal aborts. Resolves then. */
async function readSource(source: KinesisSource, firehose: LocalFirehose, signal: AbortSignal): Promise<void> {
  const { readKinesisSource } = await import('../local/firehose/kinesis-source.ts');
  print(`reading the Kinesis stream ${source.stream} at ${source.endpoint}`);
  await readKinesisSource(source, (records) => firehose.store(source.stream, records), print, signal);
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

const collect = (name: string, names: string[] = []): string[] => [...names, name];

const print = (line: string) => process.stdout.write(`${line}\n`);
