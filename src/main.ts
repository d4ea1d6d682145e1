#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { checkCommand } from './commands/check.ts';
import { demoCommand } from './commands/demo.ts';
import { firehoseCommand } from './commands/firehose.ts';
import { runCommand } from './commands/run.ts';
import { tailCommand } from './commands/tail.ts';
import { asCdcError, explain } from './error.ts';
import { version } from './version.ts';

/** Every command takes the one signal that ends it; SIGINT and SIGTERM are its only sources. */
const commands = [checkCommand, demoCommand, firehoseCommand, runCommand, tailCommand];

const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => ending.abort(name));

const program = new Command('cdc')
  .description('Streams MySQL and MariaDB row changes, exact and in order, to Amazon Data Firehose.')
  .version(version)
  .showHelpAfterError('(cdc --help shows the commands, cdc COMMAND --help one of them with an example)')
  .exitOverride();
for (const command of commands) {
  program.addCommand(command(ending.signal).exitOverride().copyInheritedSettings(program));
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exit(error.exitCode === 0 ? 0 : 2);
  }
  process.stderr.write(`${explain(error)}\n`);
  process.exit(asCdcError(error).exitCode);
}
process.exit(process.exitCode ?? 0);
