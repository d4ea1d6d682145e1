#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { asCdcError, formatError } from './runtime/error.ts';
import { version } from './runtime/version.ts';

/** Every command takes this signal and ends when it aborts. Only SIGINT and SIGTERM abort it. */
const shutdown = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => shutdown.abort(name));

// Whatever cdc and its libraries write can hold values of rows: it is for its owner alone. Files that are there keep
// their permissions.
process.umask(0o077);
// A report of Node, which an option or a signal of the operator writes, would have the AWS credentials.
if (process.report !== undefined) Object.assign(process.report, { excludeEnv: true });

// The warning of the AWS SDK about old Node versions would be printed among the JSON lines of the log.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

// Imported after the handlers are set, because a signal can arrive during the import. A command imports its own
// modules when it is called.
const commands = [
  (await import('./commands/backfill.ts')).backfillCommand,
  (await import('./commands/check.ts')).checkCommand,
  (await import('./commands/complete.ts')).completeCommand,
  (await import('./commands/dead-letter.ts')).deadLetterCommand,
  (await import('./commands/demo.ts')).demoCommand,
  (await import('./commands/firehose.ts')).firehoseCommand,
  (await import('./commands/init.ts')).initCommand,
  (await import('./commands/merge.ts')).mergeCommand,
  (await import('./commands/run.ts')).runCommand,
  (await import('./commands/sql.ts')).sqlCommand,
  (await import('./commands/status.ts')).statusCommand,
  (await import('./commands/tail.ts')).tailCommand,
  (await import('./commands/verify.ts')).verifyCommand,
];

const program = new Command('cdc')
  .description('Streams MySQL and MariaDB row changes, exact and in order, to Amazon Data Firehose, Kinesis or Kafka.')
  .version(version)
  .showHelpAfterError('(cdc --help lists the commands, cdc COMMAND --help shows one with an example)')
  .exitOverride();
for (const command of commands) program.addCommand(inheritOutputSettings(program, command(shutdown.signal)));

/** Makes a command and its subcommands report wrong usage as the program does. */
function inheritOutputSettings(program: Command, command: Command): Command {
  for (const subcommand of command.commands) inheritOutputSettings(program, subcommand);
  return command.copyInheritedSettings(program);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exit(error.exitCode === 0 ? 0 : 2);
  }
  process.stderr.write(`${formatError(error)}\n`);
  process.exit(asCdcError(error).exitCode);
}
process.exit(process.exitCode ?? 0);
