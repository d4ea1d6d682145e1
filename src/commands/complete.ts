import { Argument, Command } from 'commander';
import { SHELLS, type Shell } from './complete/scripts.ts';

const HELP = `
Completes commands, flags, their values, files, and the tables that the checkpoint names.

  bash   in ~/.bashrc:                source <(cdc complete bash)
  zsh    in ~/.zshrc, after compinit: source <(cdc complete zsh)
  fish   once:                        cdc complete fish > ~/.config/fish/completions/cdc.fish

The script calls this command with the line that is typed. It asks no server, and evaluates no part of the line.`;

/** `cdc complete`: the completion script of a shell, and what the script asks. */
export function completeCommand(_signal: AbortSignal): Command {
  return new Command('complete')
    .description('Prints the completion script of a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addArgument(new Argument('[words...]', 'what the script asks'))
    .usage('<shell>')
    .addHelpText('after', HELP)
    .action(async (shell: Shell, words: string[], _flags: object, command: Command) => {
      const { SCRIPTS, splitLine } = await import('./complete/scripts.ts');
      if (words.length === 0) {
        process.stdout.write(SCRIPTS[shell]);
        return;
      }
      const { complete } = await import('./complete/candidates.ts');
      const { savedNames } = await import('./complete/saved-names.ts');
      const typed = shell === 'bash' ? splitLine(words[0] ?? '').slice(1) : words;
      const tables = (config: string | undefined): Promise<string[]> => savedNames(config).catch(() => []);
      const { candidates, files } = await complete(command.parent as Command, typed, tables);
      const lines = candidates.map(({ value, description }) => `${value}\t${description.replace(/\s+/g, ' ')}`);
      process.stdout.write(`${[files ? ':files' : ':', ...lines].join('\n')}\n`);
    });
}
