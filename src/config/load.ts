import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Document, isMap, LineCounter, parseDocument, visit } from 'yaml';
import { CdcError } from '../runtime/error.ts';
import { type ConfigIssue, describeIssue, issueMessage, keyPath, lineOf } from './config-issue.ts';
import { parseLakeLocation } from './lake-location.ts';
import { type Config, configSchema } from './schema.ts';

type Environment = Record<string, string | undefined>;
type Path = readonly PropertyKey[];

/**
 * Reads a configuration file, fills in the defaults and checks it. Relative paths in it are relative to its folder.
 * @throws CdcError with exit code 2 that names every error at once
 */
export function loadConfig(file: string, env: Environment = process.env): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CdcError(`cannot read the configuration ${file}`, {
      exitCode: 2,
      why: (error as Error).message,
      hint: 'pass the file with -c, or start from config/cdc.example.yaml',
    });
  }
  return parseConfig(text, { file, directory: dirname(resolve(file)), env });
}

export function parseConfig(text: string, at: { file: string; directory: string; env: Environment }): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  assertMap(document, text, lines, at.file);

  const issues: ConfigIssue[] = [];
  const raw = interpolate(document.toJS(), at.env, [], issues);
  const read = {
    source: readNamedFiles(raw, 'source', at.directory, issues),
    backfill: readNamedFiles(raw, 'backfill', at.directory, issues),
  };
  readColumnSecrets(raw, at.directory, issues);
  const parsed = configSchema.safeParse(raw, { error: issueMessage });
  const pathsWithIssue = new Set(issues.map(({ path }) => keyPath(path)));
  for (const issue of parsed.error?.issues ?? []) {
    // A value that could not be completed, such as an unset variable, is reported only once.
    for (const found of describeIssue(issue, raw)) if (!pathsWithIssue.has(keyPath(found.path))) issues.push(found);
  }
  if (!parsed.success || issues.length > 0) {
    const lineTexts = issues
      .map(({ path, message }) => ({ line: lineOf(document, lines, path), text: `${keyPath(path)}: ${message}` }))
      .sort((a, b) => a.line - b.line)
      .map(({ line, text }) => `line ${line}, ${text}`);
    throw invalidConfig(at.file, lineTexts);
  }
  const config = parsed.data;
  const checkpoint = resolve(at.directory, config.checkpoint.file ?? `state/${config.name}.json`);
  const deadLetters = resolve(at.directory, config.dead_letter.directory ?? join(dirname(checkpoint), 'dead-letter'));
  return {
    ...config,
    source: { ...config.source, ...read.source },
    checkpoint: { file: checkpoint },
    dead_letter: { ...config.dead_letter, directory: deadLetters },
    backfill: { ...config.backfill, ...read.backfill },
    ...(config.lake !== undefined && { lake: absoluteLake(config.lake, at.directory) }),
    admin: { socket: resolve(at.directory, config.admin.socket ?? `${checkpoint.replace(/\.json$/, '')}.sock`) },
  };
}

function absoluteLake(text: string, directory: string): string {
  const lake = parseLakeLocation(text);
  return lake.kind === 'folder' ? resolve(directory, lake.path) : text;
}

function assertMap(document: Document.Parsed, text: string, lines: LineCounter, file: string): void {
  const found: string[] = [];
  const report = (offset: number, message: string) => found.push(`line ${lines.linePos(offset).line}, ${message}`);
  // Only the first error: the others mostly follow from it.
  for (const { message, pos } of document.errors.slice(0, 1)) {
    const hint = lineText(text, pos[0]).includes('${')
      ? '; inside { } and [ ] an environment variable needs quotes'
      : '';
    report(pos[0], `${message}${hint}`);
  }
  // Without quotes, YAML reads `!shop.log` as a tag and `*.*` as an alias, and the pattern would be lost.
  for (const { message, pos } of document.warnings) report(pos[0], `${message}; a pattern with ! needs quotes`);
  visit(document, {
    Alias: (_, alias) => {
      report(
        alias.range?.[0] ?? 0,
        `*${alias.source} would be a YAML alias; a pattern that begins with * needs quotes`,
      );
    },
  });
  if (found.length > 0) throw invalidConfig(file, found);
  if (document.contents === null) throw invalidConfig(file, ['the file is empty']);
  if (!isMap(document.contents))
    throw invalidConfig(file, ['line 1, the file must be a map of keys, such as "source:"']);
}

/** The line of the text at this offset. */
const lineText = (text: string, offset: number): string =>
  text.slice(text.lastIndexOf('\n', offset - 1) + 1).split('\n', 1)[0] ?? '';

function invalidConfig(file: string, found: string[]): CdcError {
  return new CdcError(`${file} has ${found.length === 1 ? 'an error' : `${found.length} errors`}`, {
    exitCode: 2,
    why: found.join('\n       '),
    hint: 'see config/cdc.example.yaml, which shows every key with its default',
  });
}

/** Replaces `${NAME}` in every string with the environment variable, and `$${` with a literal `${`. */
function interpolate(value: unknown, env: Environment, path: Path, issues: ConfigIssue[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (match, name?: string) => {
      if (name === undefined) return '${';
      const found = env[name];
      if (found === undefined) issues.push({ path, message: `the environment variable ${name} is not set` });
      return found ?? match;
    });
  }
  if (Array.isArray(value)) return value.map((item, i) => interpolate(item, env, [...path, i], issues));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        // JavaScript would set the prototype, and everything under this key would be lost silently.
        if (key === '__proto__') issues.push({ path: [...path, key], message: 'a key must not have this name' });
        return [key, interpolate(item, env, [...path, key], issues)];
      }),
    );
  }
  return value;
}

/** Sets each secret in `columns` that comes from a secret_file. */
function readColumnSecrets(raw: unknown, directory: string, issues: ConfigIssue[]): void {
  const { columns } = raw as { columns?: unknown };
  if (columns === null || typeof columns !== 'object') return;
  for (const [column, rule] of Object.entries(columns) as [string, Record<string, unknown> | null][]) {
    const file = rule?.secret_file;
    if (rule === null || typeof file !== 'string') continue;
    const path = ['columns', column, 'secret_file'];
    if (rule.secret !== undefined) issues.push({ path, message: 'cannot be combined with secret' });
    rule.secret = withoutLineEnd(readNamed(file, directory, path, issues)) ?? rule.secret ?? 'unread';
  }
}

/** The contents of ca_file, and the path of password_file, which is read again for each connection. */
function readNamedFiles(
  raw: unknown,
  section: 'source' | 'backfill',
  directory: string,
  issues: ConfigIssue[],
): { password_file?: string; ca?: string } {
  const keys = (raw as Record<string, Record<string, unknown> | null | undefined>)[section];
  const read = (key: 'password_file' | 'ca_file'): string | undefined => {
    const file = keys?.[key];
    return typeof file === 'string' ? readNamed(file, directory, [section, key], issues) : undefined;
  };
  const password = read('password_file');
  const ca = read('ca_file');
  return {
    ...(password !== undefined && { password_file: resolve(directory, String(keys?.password_file)) }),
    ...(ca !== undefined && { ca }),
  };
}

function readNamed(file: string, directory: string, path: Path, issues: ConfigIssue[]): string | undefined {
  try {
    return readFileSync(resolve(directory, file), 'utf8');
  } catch (error) {
    issues.push({ path, message: `cannot be read: ${(error as Error).message}` });
    return undefined;
  }
}

const withoutLineEnd = (text: string | undefined): string | undefined => text?.replace(/\r?\n$/, '');
