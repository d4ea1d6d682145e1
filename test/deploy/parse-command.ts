import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';

/** Commands as cdc parses them, without what they do. */

const FOLDER = resolve(import.meta.dirname, '../../src/commands');

/** @throws CommanderError if cdc has no such command, or the command no such flag or argument */
export async function parseCommand(words: readonly string[]): Promise<void> {
  const program = new Command('cdc').exitOverride().configureOutput({ writeErr: () => {} });
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.ts'))) {
    const module = await import(`${FOLDER}/${file}`);
    const make = Object.entries(module).find(([name]) => name.endsWith('Command'))?.[1];
    program.addCommand(idle((make as (signal: AbortSignal) => Command)(new AbortController().signal), program));
  }
  await program.parseAsync([...words], { from: 'user' });
}

function idle(command: Command, program: Command): Command {
  for (const subcommand of command.commands) idle(subcommand, program);
  if (command.commands.length === 0) command.action(() => {});
  return command.copyInheritedSettings(program);
}

/** The words behind `node /opt/cdc/dist/main.js`; undefined if another program is started. */
export function cdcWords(words: readonly string[]): readonly string[] | undefined {
  const entry = words.findIndex((word) => word.endsWith('/dist/main.js'));
  return entry < 0 ? undefined : words.slice(entry + 1);
}
