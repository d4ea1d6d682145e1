import type { Argument, Command, Option } from 'commander';

export interface Candidate {
  value: string;
  description: string;
}

/** What can follow on a command line. */
export interface Completion {
  candidates: Candidate[];
  /** The shell completes a file instead. */
  files: boolean;
}

/** Where the words end: in which command, behind which option, and how many arguments it has. */
interface Place {
  command: Command;
  /** The option whose value the last word is. */
  option: Option | undefined;
  argumentCount: number;
  /** After `--` nothing is an option. */
  onlyArguments: boolean;
  /** The last value of -c, for the tables. */
  config: string | undefined;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a shell reads candidates line by line
const CONTROL = /[\x00-\x1f\x7f]/;
const NOTHING: Completion = { candidates: [], files: false };

/**
 * What the last of the words can become, by the definition of the commands.
 * @param words behind the name of the program; the last one is incomplete, and can be empty
 * @param tables the tables of a configuration file, for arguments that name tables
 */
export async function complete(
  program: Command,
  words: readonly string[],
  tables: (config: string | undefined) => Promise<string[]>,
): Promise<Completion> {
  const word = words.at(-1) ?? '';
  const place = locate(program, words.slice(0, -1));
  const { command, option } = place;
  const starting = (candidates: Candidate[]): Completion => ({
    // A name with a line end would be two candidates.
    candidates: candidates.filter(({ value }) => value.startsWith(word) && !CONTROL.test(value)),
    files: false,
  });
  const isNextOption = word.startsWith('-') && (option?.variadic || option?.optional);
  if (option !== undefined && !isNextOption) {
    const values = valuesOf(option);
    return values === 'files' ? { candidates: [], files: true } : starting(values);
  }
  const inline = place.onlyArguments ? null : /^(--[^=]+)=/.exec(word);
  if (inline !== null) {
    const named = findOption(command, inline[1] as string);
    const values = named === undefined ? [] : valuesOf(named);
    if (values === 'files') return { candidates: [], files: true };
    return starting(values.map((one) => ({ ...one, value: `${inline[1]}=${one.value}` })));
  }
  if (word.startsWith('-') && !place.onlyArguments) return starting(optionsOf(command));
  const commands = command.commands.filter((one) => !isHidden(one));
  if (commands.length > 0) {
    return place.argumentCount > 0
      ? NOTHING
      : starting(commands.map((one) => ({ value: one.name(), description: one.description() })));
  }
  const argument = argumentAt(command, place.argumentCount);
  if (argument === undefined) return starting(word === '' ? optionsOf(command) : []);
  if (argument.argChoices) return starting(argument.argChoices.map((value) => ({ value, description: '' })));
  if (!/^tables?$/.test(argument.name())) return NOTHING;
  return starting((await tables(place.config)).map((value) => ({ value, description: '' })));
}

function locate(program: Command, words: readonly string[]): Place {
  const place: Place = {
    ...{ command: program, option: undefined, argumentCount: 0, onlyArguments: false, config: undefined },
  };
  for (const word of words) {
    const { option } = place;
    const isValue = option !== undefined && (option.required || !word.startsWith('-'));
    if (isValue) {
      if (option.attributeName() === 'config') place.config = word;
      // A variadic option takes words until the next option.
      if (!option.variadic) place.option = undefined;
      else if (word.startsWith('-')) takeOption(place, word);
    } else if (place.onlyArguments) place.argumentCount++;
    else if (word === '--') place.onlyArguments = true;
    else if (word.startsWith('-')) takeOption(place, word);
    else takeWord(place, word);
  }
  return place;
}

function takeOption(place: Place, word: string): void {
  const [name = '', value] = word.split(/=(.*)/s);
  const option = findOption(place.command, name);
  if (option?.attributeName() === 'config' && value !== undefined) place.config = value;
  const takesValue = option !== undefined && value === undefined && (option.required || option.optional);
  place.option = takesValue ? option : undefined;
}

function takeWord(place: Place, word: string): void {
  const below = place.command.commands.find((one) => one.name() === word || one.aliases().includes(word));
  if (below !== undefined && place.argumentCount === 0) place.command = below;
  else place.argumentCount++;
}

/** commander keeps no public flag for hidden commands; its help leaves them out. */
const isHidden = (command: Command): boolean =>
  !(command.parent?.createHelp().visibleCommands(command.parent).includes(command) ?? true);

const findOption = (command: Command, name: string): Option | undefined =>
  command.options.find(({ long, short }) => long === name || short === name);

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => ({ value: long ?? short ?? '', description }));
}

const argumentAt = ({ registeredArguments }: Command, i: number): Argument | undefined =>
  registeredArguments[i] ?? (registeredArguments.at(-1)?.variadic ? registeredArguments.at(-1) : undefined);

/** The values of an option: its choices, or files if its placeholder is one. */
function valuesOf({ argChoices, flags }: Option): Candidate[] | 'files' {
  if (argChoices) return argChoices.map((value) => ({ value, description: '' }));
  return /<(file|dir|plan\.json)>/.test(flags) ? 'files' : [];
}
