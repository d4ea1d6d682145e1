#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { asCdcError, formatError } from './runtime/error.ts';
import { version } from './runtime/version.ts';

/** Every command takes the one signal that ends it; SIGINT and SIGTERM are its only sources. */
const shutdown = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => shutdown.abort(name));

// Told once in the README; on standard error it would stand among JSON lines.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

// After the handlers, because a signal may come meanwhile. A command loads its packages when it is called.
const commands = [
  (await import('./commands/check.ts')).checkCommand,
  (await import('./commands/dead-letter.ts')).deadLetterCommand,
  (await import('./commands/demo.ts')).demoCommand,
  (await import('./commands/firehose.ts')).firehoseCommand,
  (await import('./commands/run.ts')).runCommand,
  (await import('./commands/tail.ts')).tailCommand,
];

const program = new Command('cdc')
  .description('Streams MySQL and MariaDB row changes, exact and in order, to Amazon Data Firehose.')
  .version(version)
  .showHelpAfterError('(cdc --help shows the commands, cdc COMMAND --help one of them with an example)')
  .exitOverride();
for (const command of commands) program.addCommand(inheritOutputSettings(program, command(shutdown.signal)));

/** A command, and those below it, report wrong usage as the program does. */
function inheritOutputSettings(program: Command, command: Command): Command {
  for (const below of command.commands) inheritOutputSettings(program, below);
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
