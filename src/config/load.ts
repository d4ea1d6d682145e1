import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Document, isMap, LineCounter, parseDocument, visit } from 'yaml';
import { CdcError } from '../runtime/error.ts';
import { type ConfigIssue, describeIssue, issueMessage, keyPath, lineOf } from './config-issue.ts';
import { type Config, configSchema } from './schema.ts';

type Environment = Record<string, string | undefined>;
type Path = readonly PropertyKey[];

/**
 * Reads, completes and checks a configuration file. Relative paths in it are relative to its folder.
 * @throws CdcError with exit code 2 that names every problem at once.
 */
export function loadConfig(file: string, env: Environment = process.env): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CdcError(`cannot read the configuration ${file}`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'name the file with -c, or start from config/cdc.example.yaml',
    });
  }
  return parseConfig(text, { file, directory: dirname(resolve(file)), env });
}

export function parseConfig(text: string, at: { file: string; directory: string; env: Environment }): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  refuseUnlessMap(document, text, lines, at.file);

  const problems: ConfigIssue[] = [];
  const raw = interpolate(document.toJS(), at.env, [], problems);
  const read = readNamedFiles(raw, at.directory, problems);
  readColumnSecrets(raw, at.directory, problems);
  const parsed = configSchema.safeParse(raw, { error: issueMessage });
  const unset = new Set(problems.map(({ path }) => keyPath(path)));
  for (const issue of parsed.error?.issues ?? []) {
    // What stands where a variable is not set says nothing about the configuration.
    for (const problem of describeIssue(issue, raw)) if (!unset.has(keyPath(problem.path))) problems.push(problem);
  }
  if (!parsed.success || problems.length > 0) {
    const found = problems
      .map(({ path, message }) => ({ line: lineOf(document, lines, path), text: `${keyPath(path)}: ${message}` }))
      .sort((a, b) => a.line - b.line)
      .map((problem) => `line ${problem.line}, ${problem.text}`);
    throw refusal(at.file, found);
  }
  const config = parsed.data;
  const checkpoint = resolve(at.directory, config.checkpoint.file ?? `state/${config.name}.json`);
  const deadLetters = resolve(at.directory, config.dead_letter.directory ?? join(dirname(checkpoint), 'dead-letter'));
  return {
    ...config,
    source: { ...config.source, ...read },
    checkpoint: { file: checkpoint },
    dead_letter: { ...config.dead_letter, directory: deadLetters },
  };
}

function refuseUnlessMap(document: Document.Parsed, text: string, lines: LineCounter, file: string): void {
  const found: string[] = [];
  const say = (offset: number, message: string) => found.push(`line ${lines.linePos(offset).line}, ${message}`);
  // The first one alone: the others mostly follow from it.
  for (const { message, pos } of document.errors.slice(0, 1)) {
    const hint = lineText(text, pos[0]).includes('${')
      ? '; inside { } and [ ] an environment variable needs quotes'
      : '';
    say(pos[0], `${message}${hint}`);
  }
  // Unquoted, `!shop.log` is a tag and `*.*` an alias to YAML, and the pattern would be lost.
  for (const { message, pos } of document.warnings) say(pos[0], `${message}; a pattern with ! needs quotes`);
  visit(document, {
    Alias: (_, alias) => {
      say(alias.range?.[0] ?? 0, `*${alias.source} would be a YAML alias; a pattern that begins with * needs quotes`);
    },
  });
  if (found.length > 0) throw refusal(file, found);
  if (document.contents === null) throw refusal(file, ['the file is empty']);
  if (!isMap(document.contents)) throw refusal(file, ['line 1, the file must be a map of keys, such as "source:"']);
}

/** The line of the text that holds this offset. */
const lineText = (text: string, offset: number): string =>
  text.slice(text.lastIndexOf('\n', offset - 1) + 1).split('\n', 1)[0] ?? '';

function refusal(file: string, found: string[]): CdcError {
  return new CdcError(`${file} has ${found.length === 1 ? 'a problem' : `${found.length} problems`}`, {
    exitCode: 2,
    why: found.join('\n       '),
    hint: 'see config/cdc.example.yaml, which shows every key with its default',
  });
}

/** `${NAME}` in any string stands for the environment variable; `$${` for a literal `${`. */
function interpolate(value: unknown, env: Environment, path: Path, problems: ConfigIssue[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (match, name?: string) => {
      if (name === undefined) return '${';
      const found = env[name];
      if (found === undefined) problems.push({ path, message: `the environment variable ${name} is not set` });
      return found ?? match;
    });
  }
  if (Array.isArray(value)) return value.map((item, i) => interpolate(item, env, [...path, i], problems));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        // JavaScript takes it for something else, and what stands under it would vanish without a word.
        if (key === '__proto__') problems.push({ path: [...path, key], message: 'a key may not have this name' });
        return [key, interpolate(item, env, [...path, key], problems)];
      }),
    );
  }
  return value;
}

/** Puts the contents of each secret_file in `columns` where the secret would stand. */
function readColumnSecrets(raw: unknown, directory: string, problems: ConfigIssue[]): void {
  const { columns } = raw as { columns?: unknown };
  if (columns === null || typeof columns !== 'object') return;
  for (const [column, rule] of Object.entries(columns) as [string, Record<string, unknown> | null][]) {
    const file = rule?.secret_file;
    if (rule === null || typeof file !== 'string') continue;
    const path = ['columns', column, 'secret_file'];
    if (rule.secret !== undefined) problems.push({ path, message: 'stands beside secret; give one of the two' });
    rule.secret = withoutLineEnd(readNamed(file, directory, path, problems)) ?? rule.secret ?? 'unread';
  }
}

/** The contents of source.password_file and source.ca_file. */
function readNamedFiles(raw: unknown, directory: string, problems: ConfigIssue[]): { password?: string; ca?: string } {
  const source = (raw as { source?: Record<string, unknown> | null }).source;
  const read = (key: 'password_file' | 'ca_file'): string | undefined => {
    const file = source?.[key];
    return typeof file === 'string' ? readNamed(file, directory, ['source', key], problems) : undefined;
  };
  const password = withoutLineEnd(read('password_file'));
  const ca = read('ca_file');
  return { ...(password !== undefined && { password }), ...(ca !== undefined && { ca }) };
}

function readNamed(file: string, directory: string, path: Path, problems: ConfigIssue[]): string | undefined {
  try {
    return readFileSync(resolve(directory, file), 'utf8');
  } catch (error) {
    problems.push({ path, message: `cannot be read: ${(error as Error).message}` });
    return undefined;
  }
}

const withoutLineEnd = (text: string | undefined): string | undefined => text?.replace(/\r?\n$/, '');
