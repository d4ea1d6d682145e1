import { Command, Option } from 'commander';
import type { BackfillRequest, BackfillStatus, TableStatus } from '../backfill/control.ts';
import type { Config } from '../config/schema.ts';
import { CdcError } from '../runtime/error.ts';

interface BackfillFlags {
  config: string;
  parallel?: string;
  rate?: string;
  maxLag?: string;
  where?: string;
  yes?: true;
  dryRun?: true;
  status?: true;
  pause?: true;
  resume?: true;
  cancel?: true;
  json?: true;
}

const HELP = `
TABLE is a name or a pattern, as in tables of the configuration: shop.orders, shop.*, "!shop.log". Without one,
every captured table is read. cdc first prints what the backfill will be, and asks before more than an hour of work.

If cdc run is running, it does the work and this command shows it. Ctrl-C then ends the command only, and the
backfill continues. If no daemon runs, the command does the work itself. Ctrl-C then stops it, and cdc run or the
same command continues it. What was delivered is never read again.

Exit code 0 if every row is delivered, 1 if a table failed or was cancelled, 2 if the request is wrong,
130 after Ctrl-C.

Examples:
  cdc backfill                                  every captured table
  cdc backfill shop.orders 'shop.user*'         some of them
  cdc backfill shop.orders --where 'created_at >= "2026-01-01"'
  cdc backfill --dry-run                        only the estimate
  cdc backfill --rate 20000 --yes --json        in a script
  cdc backfill --status                         what the daemon does
  cdc backfill --pause
  cdc backfill --resume
  cdc backfill --cancel shop.orders             one table; without a name all of them`;

const ACTIONS = ['status', 'pause', 'resume', 'cancel'] as const;
const REQUEST_FLAGS = ['parallel', 'rate', 'maxLag', 'where', 'yes', 'dryRun'];

/** `cdc backfill`: through the running daemon where one runs, otherwise by itself. */
export function backfillCommand(signal: AbortSignal): Command {
  const action = (name: (typeof ACTIONS)[number], text: string): Option =>
    new Option(`--${name}`, text).conflicts([...REQUEST_FLAGS, ...ACTIONS.filter((other) => other !== name)]);
  return new Command('backfill')
    .description('Sends the rows that are there already, without locks and while the stream runs.')
    .argument('[table...]', 'names or patterns; every captured table if there is none')
    .option('-c, --config <file>', 'the configuration file', 'cdc.yaml')
    .option('--parallel <n>', 'connections that read at the same time (default: backfill.parallel)')
    .option('--rate <n>', 'rows per second, for the whole backfill (default: backfill.rate)')
    .option(
      '--max-lag <time>',
      'pause reading while the stream is behind by more, such as 60s (default: backfill.max_lag)',
    )
    .option('--where <condition>', 'only the rows of one table that match, as after WHERE')
    .option('--yes', 'start more than an hour of work without asking')
    .option('--dry-run', 'print the estimate and end')
    .addOption(action('status', 'print what the backfill does, and end'))
    .addOption(action('pause', 'stop reading; what was read is delivered'))
    .addOption(action('resume', 'continue reading'))
    .addOption(action('cancel', 'end the backfill of the tables, or of all'))
    .option('--json', 'print JSON: one object a second while it runs, and one at the end with "tables"')
    .addHelpText('after', HELP)
    .action(async (tables: string[], flags: BackfillFlags) => {
      const { loadConfig } = await import('../config/load.ts');
      const config = loadConfig(flags.config);
      const chosen = ACTIONS.find((name) => flags[name]);
      if (chosen === undefined) await run(config, await requestOf(tables, flags), flags, signal);
      else await control(config, chosen, tables, flags.json === true);
    });
}

/** @throws CdcError with exit code 2 that names the wrong flag or table */
async function requestOf(tables: string[], flags: BackfillFlags): Promise<BackfillRequest> {
  const { compileTableFilter } = await import('../model/table-filter.ts');
  const rules = await import('../config/backfill-schema.ts');
  if (tables.length > 0) compileTableFilter(tables, { caseSensitive: true });
  const read = (
    flag: string,
    text: string | undefined,
    rule: keyof typeof rules & ('parallel' | 'rate' | 'maxLag'),
  ) => {
    if (text === undefined) return undefined;
    const result = rules[rule].safeParse(text);
    if (result.success) return result.data;
    throw new CdcError(`${flag} ${text} is not valid`, { exitCode: 2, hint: `it ${result.error.issues[0]?.message}` });
  };
  const parallel = read('--parallel', flags.parallel, 'parallel');
  const rate = read('--rate', flags.rate, 'rate');
  const maxLagMs = read('--max-lag', flags.maxLag, 'maxLag');
  return {
    tables,
    ...(flags.where !== undefined && { where: flags.where }),
    ...(parallel !== undefined && { parallel }),
    ...(rate !== undefined && { rate }),
    ...(maxLagMs !== undefined && { maxLagMs }),
  };
}

async function run(config: Config, request: BackfillRequest, flags: BackfillFlags, signal: AbortSignal): Promise<void> {
  const { prepareBackfill, confirmBackfill } = await import('./backfill/prepare.ts');
  const { formatEstimate } = await import('./backfill/text.ts');
  try {
    const { tables, estimate } = await prepareBackfill(config, request, signal);
    const json = flags.json === true;
    const text = json ? `${JSON.stringify({ estimate })}\n` : formatEstimate(estimate);
    if (flags.dryRun) return void process.stdout.write(text);
    (json ? process.stdout : process.stderr).write(text);
    if (!flags.yes) await confirmBackfill(estimate, signal);
    const names = tables.map(({ schema, table }) => ({ schema, table }));
    const { AdminClient } = await import('../admin/client.ts');
    const client = new AdminClient(config.admin.socket);
    try {
      const state = await client.probe();
      const finished =
        state === 'listening'
          ? await runInDaemon(client, config, request, json, signal)
          : await runHere(config, request, names, json, signal);
      if (finished === undefined) interrupted(signal);
      else await report(finished, json);
    } finally {
      client.close();
    }
  } catch (error) {
    // Ctrl-C before anything was started.
    if (!signal.aborted || error instanceof CdcError) throw error;
    interrupted(signal);
  }
}

type Client = InstanceType<typeof import('../admin/client.ts').AdminClient>;

/** Hands the request over and watches it. Undefined after Ctrl-C. */
async function runInDaemon(
  client: Client,
  config: Config,
  request: BackfillRequest,
  json: boolean,
  signal: AbortSignal,
): Promise<TableStatus[] | undefined> {
  await client.assertPipeline(config.name);
  const { watchBackfill } = await import('./backfill/watch.ts');
  const { openPrinter } = await import('./backfill/printer.ts');
  const started = await client.startBackfill(request);
  const printer = await openPrinter(json);
  try {
    return await watchBackfill(client, started, printer, signal);
  } finally {
    printer.close();
    if (signal.aborted) {
      process.stderr.write(
        'the backfill continues in the daemon: cdc backfill --status shows it, cdc backfill --cancel stops it\n',
      );
    }
  }
}

/** Runs the pipeline in this process. Undefined after Ctrl-C. */
async function runHere(
  config: Config,
  request: BackfillRequest,
  names: readonly { schema: string; table: string }[],
  json: boolean,
  signal: AbortSignal,
): Promise<TableStatus[] | undefined> {
  const { runBackfill } = await import('./backfill/standalone.ts');
  const { createLog } = await import('../runtime/log.ts');
  const { openPrinter, logLine } = await import('./backfill/printer.ts');
  const { ProgressMeter } = await import('./backfill/progress.ts');
  const { Followed } = await import('./backfill/watch.ts');
  const printer = await openPrinter(json);
  const log = createLog(config.name, process.env.CDC_LOG_LEVEL || 'warn', {
    write: (line) => printer.note(logLine(line)),
  });
  const meter = new ProgressMeter();
  const followed = new Followed(names);
  const update = (status: BackfillStatus): TableStatus[] => {
    const tables = followed.update(status);
    printer.show(meter.add(status, tables, performance.now()));
    return tables;
  };
  try {
    const last = update(await runBackfill(config, log, signal, { request, onStatus: update }));
    return signal.aborted ? undefined : last;
  } finally {
    printer.close();
    if (signal.aborted) {
      process.stderr.write('the backfill is stopped: cdc run, or the same command, continues it where it was\n');
    }
  }
}

/** What a shell reports of a process that a signal ended. */
function interrupted(signal: AbortSignal): void {
  process.exitCode = signal.reason === 'SIGTERM' ? 143 : 130;
}

/** The end of a request: 0 if every row is delivered, otherwise 1. */
async function report(tables: readonly TableStatus[], json: boolean): Promise<void> {
  const { wholeOf } = await import('./backfill/progress.ts');
  const { plural } = await import('./backfill/text.ts');
  const { rows, count } = wholeOf(tables);
  const { done, failed, cancelled } = count;
  if (json) {
    process.stdout.write(`${JSON.stringify({ ok: done === tables.length, rows, tables })}\n`);
  } else {
    const parts = [
      `${done} of ${plural(tables.length, 'table')} complete`,
      `${plural(rows, 'row')} delivered`,
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ];
    process.stdout.write(`${parts.join(', ')}\n`);
  }
  if (done < tables.length) process.exitCode = 1;
}

/** `--status`, `--pause`, `--resume` and `--cancel`. */
async function control(
  config: Config,
  action: (typeof ACTIONS)[number],
  tables: string[],
  json: boolean,
): Promise<void> {
  if (tables.length > 0 && action !== 'cancel') {
    throw new CdcError(`--${action} takes no tables`, { exitCode: 2, hint: `use cdc backfill --${action}` });
  }
  const { parseTableName } = await import('../model/table-filter.ts');
  for (const table of tables) parseTableName(table);
  const { AdminClient } = await import('../admin/client.ts');
  const client = new AdminClient(config.admin.socket);
  try {
    let status: BackfillStatus;
    if ((await client.probe()) === 'listening') {
      await client.assertPipeline(config.name);
      if (action === 'status') status = await client.backfill();
      else status = await client.changeBackfill(action, tables.length > 0 ? tables : undefined);
    } else {
      if (action !== 'status') throw noDaemon(config, action);
      const { savedBackfill } = await import('./backfill/standalone.ts');
      status = await savedBackfill(config);
    }
    const { formatStatus } = await import('./backfill/text.ts');
    process.stdout.write(json ? `${JSON.stringify(status)}\n` : formatStatus(status));
  } finally {
    client.close();
  }
}

const noDaemon = (config: Config, action: string): CdcError =>
  new CdcError(`no daemon runs, so there is nothing to ${action}`, {
    why: `nobody listens on the socket ${config.admin.socket}`,
    hint: 'a daemon that starts continues the backfill; give the command then',
  });
