import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { parseConfig } from '../../config/load.ts';
import type { Transport } from '../../config/transports.ts';
import { shellWord } from '../../model/shell-command.ts';
import { certificatesProblem } from '../../runtime/certificates.ts';
import { followLinks } from '../../runtime/durable-file.ts';
import { asCdcError, CdcError, formatError } from '../../runtime/error.ts';
import { checkAndPrint } from '../check.ts';
import { assertFlags, defaultName, type InitFlags, problemWith, splitPassword } from './answers.ts';
import { configText, PASSWORD_VARIABLE } from './config-text.ts';
import { openPrompts, PromptCanceled, type Prompts } from './prompts.ts';
import { askAfterFailure, askName, askTables, askUrl } from './source-questions.ts';
import { type Asking, flagText, type TransportFlag, type TransportFlagName } from './transport.ts';
import { INIT_TRANSPORTS, TRANSPORT_FLAGS, transportsOf } from './transports.ts';
import { accountSql, type ReachedServer, reachSource, type SourceSettings } from './try-source.ts';

interface Source {
  settings: SourceSettings;
  reached: ReachedServer | undefined;
}

/** Thrown where a person chooses to stop. */
class Stopped extends Error {}

/**
 * Asks for what the flags do not have, writes the configuration and checks it.
 * @returns the exit code
 */
export async function runInit(flags: InitFlags, signal: AbortSignal): Promise<number> {
  const asks = process.stdin.isTTY === true && process.stdout.isTTY === true && flags.yes !== true;
  const possible = transportsOf(flags);
  assertNoFile(flags);
  assertFiles(flags);
  try {
    const prompts = asks ? await openPrompts(signal) : undefined;
    const transport = await chooseTransport(possible, prompts);
    assertFlags(flags, transport, asks);
    const source = await findSource(flags, prompts, signal);
    const { config, secrets, note } = await complete(flags, transport, source, prompts);
    const text = configText(config);
    // What was written loads: a value that the loader refuses is known before there is a file.
    const password = source.settings.password ?? process.env[PASSWORD_VARIABLE];
    const env = { ...process.env, [PASSWORD_VARIABLE]: password, ...secrets };
    const loaded = parseConfig(text, { file: flags.output, directory: dirname(resolve(flags.output)), env });
    if (signal.aborted) throw new PromptCanceled();
    await writeConfig(flags, text);
    process.stdout.write(`wrote ${flags.output}\n${passwordAdvice(config.password)}\n`);
    for (const variable of Object.keys(secrets)) {
      process.stdout.write(`the file has no password for ${transport}: ${setVariable(variable)}\n`);
    }
    if (note !== undefined) process.stdout.write(`${note}\n`);
    process.stdout.write(`${accountSql(config.url, config.tables, source.reached)}\n\n`);
    const words = flags.output === 'cdc.yaml' ? '' : ` -c ${shellWord(flags.output)}`;
    process.stdout.write(`cdc check${words}\n`);
    if (!(await checkAndPrint(loaded, false, signal))) return 3;
    process.stdout.write(`next: cdc run${words}\n`);
    return 0;
  } catch (error) {
    if (error instanceof Stopped) return 1;
    if (!signal.aborted && !(error instanceof PromptCanceled)) throw error;
    return signal.reason === 'SIGTERM' ? 143 : 130;
  }
}

/** One question, if the flags leave a choice and there is somebody to ask. */
async function chooseTransport([first, ...others]: [Transport, ...Transport[]], prompts: Prompts | undefined) {
  if (prompts === undefined || others.length === 0) return first;
  const choices = [first, ...others].map((value) => {
    const { title, purpose } = INIT_TRANSPORTS[value];
    return { value, label: `${title}: ${purpose}` };
  });
  return prompts.choose('Where the events are sent', choices);
}

/** @throws CdcError with exit code 2 if there is a file already, before anything is asked */
function assertNoFile({ output, force }: InitFlags): void {
  if (!force && existsSync(output)) throw fileExists(output);
}

const fileExists = (file: string): CdcError =>
  new CdcError(`${file} exists`, {
    exitCode: 2,
    why: 'cdc init replaces no file by itself',
    hint: 'name another one with --output, or add --force to replace it',
  });

/** The source and how it answered. On a terminal, a source that does not answer can be corrected. */
async function findSource(flags: InitFlags, prompts: Prompts | undefined, signal: AbortSignal): Promise<Source> {
  let settings = await askSource(flags, prompts);
  for (;;) {
    try {
      const reached = await reachSource(settings, signal);
      const product = reached.flavor === 'mysql' ? 'MySQL' : 'MariaDB';
      const line = `connected to ${product} ${reached.versionText} on ${reached.host} as ${reached.account}`;
      if (prompts) prompts.log.info(line);
      else process.stdout.write(`${line}\n`);
      return { settings, reached };
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const failure = asCdcError(thrown);
      if (prompts === undefined) {
        process.stderr.write(`${formatError(failure)}\n`);
        return { settings, reached: undefined };
      }
      const next = await askAfterFailure(
        prompts,
        failure,
        accountSql(settings.url, flags.tables ?? ['*.*'], undefined),
      );
      if (next === 'stop') throw new Stopped();
      if (next === 'continue') return { settings, reached: undefined };
      if (next === 'change') {
        const { url: _, ...others } = flags;
        settings = await askSource(others, prompts, settings.url);
      }
    }
  }
}

async function askSource(flags: InitFlags, prompts: Prompts | undefined, previous?: string): Promise<SourceSettings> {
  const typed = flags.url ?? (await askUrl(prompts as Prompts, previous));
  const environment = process.env[PASSWORD_VARIABLE] || undefined;
  const { url, password } = splitPassword(typed, previous === undefined ? environment : undefined);
  const connection = {
    url,
    ...(flags.tls && { tls: flags.tls }),
    ...(flags.caFile !== undefined && { ca_file: resolve(flags.caFile) }),
  };
  if (flags.passwordFile !== undefined) return { ...connection, password_file: resolve(flags.passwordFile) };
  const asked =
    password ?? (prompts ? (await prompts.password('Its password (empty for none)')) || undefined : undefined);
  return { ...connection, password: asked };
}

/** @throws CdcError with exit code 2 for a file of a flag that cannot be used, before anything is asked */
function assertFiles(flags: InitFlags): void {
  for (const name of ['caFile', 'passwordFile', ...fileFlags(TRANSPORT_FLAGS)] as const) {
    const file = flags[name];
    if (file === undefined) continue;
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      throw new CdcError(`cannot read ${flagText(name)} ${file}`, { exitCode: 2, why: (error as Error).message });
    }
    const problem = /caFile$/i.test(name) ? certificatesProblem(text) : undefined;
    if (problem === undefined) continue;
    const hint = 'name the PEM file of the certificate authority';
    throw new CdcError(`cannot use ${flagText(name)} ${file}`, { exitCode: 2, why: problem, hint });
  }
}

const fileFlags = (flags: readonly TransportFlag[]) => flags.map(({ name }) => name).filter(namesFile);
const namesFile = (name: TransportFlagName): name is Extract<TransportFlagName, `${string}File`> =>
  name.endsWith('File');

async function complete(flags: InitFlags, transport: Transport, source: Source, prompts: Prompts | undefined) {
  const { settings, reached } = source;
  const directory = dirname(resolve(flags.output));
  const tables = flags.tables ?? (prompts ? await askTables(prompts, reached?.databases ?? []) : ['*.*']);
  const name = flags.name ?? (prompts ? await askName(prompts, defaultName(tables)) : defaultName(tables));
  const { keys, ...more } = await askTransport(flags, transport, name, prompts);
  const config = {
    ...{ name, url: settings.url, tables, tls: flags.tls, transport: keys },
    caFile: flags.caFile && fromFolder(directory, flags.caFile),
    password: whereFrom(flags, settings, directory),
  };
  return { config, ...more };
}

/** Its part of the file, and the environment variables that it names, for this process. */
async function askTransport(flags: InitFlags, transport: Transport, pipeline: string, prompts: Prompts | undefined) {
  const { ask, keys, password, note, flags: ownFlags } = INIT_TRANSPORTS[transport];
  const problem: Asking['problem'] = (flag, value) => problemWith(flag, value, transport);
  const answers = prompts ? await ask(flags, { pipeline, prompts, problem }) : flags;
  const secrets: Record<string, string> = {};
  const needed = password(answers);
  if (needed !== undefined) {
    const { variable, question } = needed;
    const notEmpty = (value: string) => (value === '' ? 'must not be empty' : undefined);
    secrets[variable] = process.env[variable] || (await (prompts as Prompts).password(question, notEmpty));
  }
  const directory = dirname(resolve(flags.output));
  const files = fileFlags(ownFlags).map((flag) => [flag, answers[flag] && fromFolder(directory, answers[flag])]);
  return { keys: keys({ ...answers, ...Object.fromEntries(files) }), secrets, note: note(answers) };
}

function whereFrom({ passwordFile }: InitFlags, { password }: SourceSettings, directory: string) {
  if (passwordFile !== undefined) return { from: 'file' as const, file: fromFolder(directory, passwordFile) };
  return password === undefined ? undefined : { from: 'environment' as const };
}

/** Paths of a configuration are relative to its folder, those of flags to the working directory. */
const fromFolder = (directory: string, file: string): string =>
  isAbsolute(file) ? file : relative(directory, resolve(file));

function passwordAdvice(password: ReturnType<typeof whereFrom>): string {
  if (password === undefined) return 'the file has no password: none was given';
  if (password.from === 'file') return `the password stays in ${password.file}; cdc reads it for each connection`;
  return `the file has no password: ${setVariable(PASSWORD_VARIABLE)}`;
}

const setVariable = (name: string): string =>
  `cdc takes it from the environment variable ${name}; set that for each command`;

/**
 * Writes the file as a whole or not at all: under another name first. It is for its owner, as all that cdc writes.
 * @throws CdcError with exit code 2 if there is a file by now, or it cannot be written
 */
async function writeConfig({ output, force }: InitFlags, text: string): Promise<void> {
  let temporary: string | undefined;
  try {
    // A symbolic link stays one, as that of a checkpoint does.
    const target = force ? await followLinks(output) : output;
    temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`;
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600 });
    // link() replaces no file.
    if (force) await rename(temporary, target);
    else await link(temporary, target);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw fileExists(output);
    const hint = 'name a file in a folder that you can write to with --output';
    throw new CdcError(`cannot write ${output}`, { exitCode: 2, why: message, hint, cause: error });
  } finally {
    if (temporary !== undefined) await rm(temporary, { force: true });
  }
}
