import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Document, isMap, LineCounter, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { certificatesProblem, privateKeyProblem } from '../runtime/certificates.ts';
import { CdcError } from '../runtime/error.ts';
import { parseListenAddress } from './admin-schema.ts';
import { type CheckpointLocation, checkpointTablePattern, mysqlCheckpoint } from './checkpoint-schema.ts';
import { type ConfigIssue, describeIssue, issueMessage, keyPath, lineOf } from './config-issue.ts';
import type { connectionKeys } from './connection-schema.ts';
import type { KafkaConfig } from './kafka-schema.ts';
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
    source: connectionFiles(raw, ['source'], at.directory, issues),
    backfill: connectionFiles(raw, ['backfill'], at.directory, issues),
    checkpoint: connectionFiles(raw, ['checkpoint', 'mysql'], at.directory, issues),
    kafkaTls: connectionFiles(raw, ['kafka', 'tls'], at.directory, issues),
    kafkaSasl: connectionFiles(raw, ['kafka', 'sasl'], at.directory, issues),
  };
  readColumnSecrets(raw, at.directory, issues);
  readAdminToken(raw, at.directory, issues);
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
  const checkpoint = checkpointLocation(config, at.directory, read.checkpoint);
  const stateFile = checkpoint.file ?? resolve(at.directory, defaultStateFile(config.name));
  const deadLetters = resolve(at.directory, config.dead_letter.directory ?? join(dirname(stateFile), 'dead-letter'));
  return {
    ...config,
    source: { ...config.source, ...read.source },
    ...(config.kafka !== undefined && { kafka: withFiles(config.kafka, read.kafkaTls, read.kafkaSasl) }),
    checkpoint,
    tables: withoutCheckpointTable(config.tables, checkpoint),
    dead_letter: { ...config.dead_letter, directory: deadLetters },
    backfill: { ...config.backfill, ...read.backfill },
    ...(config.lake !== undefined && { lake: absoluteLake(config.lake, at.directory) }),
    admin: {
      ...config.admin,
      ...(config.admin.listen !== undefined && { address: parseListenAddress(config.admin.listen) }),
      socket: resolve(at.directory, config.admin.socket ?? `${stateFile.replace(/\.json$/, '')}.sock`),
    },
  };
}

/** The section of Kafka with absolute paths. */
function withFiles(kafka: KafkaConfig, tls: ConnectionFiles, sasl: ConnectionFiles): KafkaConfig {
  return {
    ...kafka,
    tls: typeof kafka.tls === 'boolean' ? kafka.tls : { ...kafka.tls, ...tls },
    ...(kafka.sasl !== undefined && { sasl: { ...kafka.sasl, ...sasl } }),
  };
}

const defaultStateFile = (name: string): string => `state/${name}.json`;

function checkpointLocation(
  { name, checkpoint }: z.output<typeof configSchema>,
  directory: string,
  files: ConnectionFiles,
): CheckpointLocation {
  const { file, mysql, dynamodb } = checkpoint;
  if (mysql !== undefined) return { mysql: mysqlCheckpoint(mysql, files) };
  if (dynamodb !== undefined) return { dynamodb };
  return { file: resolve(directory, file ?? defaultStateFile(name)) };
}

/** In the source, each save of the checkpoint would be a change that moves it. */
function withoutCheckpointTable(tables: readonly string[], location: CheckpointLocation): string[] {
  const pattern = checkpointTablePattern(location);
  return pattern === undefined ? [...tables] : [...tables, pattern];
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

/** Keys whose variables are secrets; `url` can have a password. */
const SECRET_KEYS: ReadonlySet<PropertyKey> = new Set(['password', 'secret', 'token', 'url']);
/** What was removed from the environment of the process, for another configuration that names it too. */
const removedVariables: Environment = {};

/**
 * Removes a secret from the environment once it is read: processes that cdc starts would inherit it, and reports of
 * Node would have it. Variables of AWS stay, which the SDK reads again.
 */
function removeVariable(name: string, env: Environment): void {
  if (env !== process.env || name.startsWith('AWS_') || env[name] === undefined) return;
  removedVariables[name] = env[name];
  delete env[name];
}

/** Replaces `${NAME}` in every string with the environment variable, and `$${` with a literal `${`. */
function interpolate(value: unknown, env: Environment, path: Path, issues: ConfigIssue[]): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (match, name?: string) => {
      if (name === undefined) return '${';
      const found = env[name] ?? (env === process.env ? removedVariables[name] : undefined);
      if (SECRET_KEYS.has(path.at(-1) ?? '')) removeVariable(name, env);
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

/** Sets admin.token if it comes from admin.token_file. */
function readAdminToken(raw: unknown, directory: string, issues: ConfigIssue[]): void {
  const admin = (raw as { admin?: Record<string, unknown> | null }).admin;
  const file = admin?.token_file;
  if (typeof file !== 'string' || admin === null || admin === undefined) return;
  const path = ['admin', 'token_file'];
  if (admin.token !== undefined) issues.push({ path, message: 'cannot be combined with admin.token' });
  const token = withoutLineEnd(readNamed(file, directory, path, issues));
  if (token !== undefined) admin.token ??= token;
}

/** The keys of a connection that name a file, and why the text in it is not what the key needs. */
const CONNECTION_FILES = {
  password_file: () => undefined,
  ca_file: certificatesProblem,
  cert_file: certificatesProblem,
  key_file: privateKeyProblem,
} satisfies Partial<Record<keyof typeof connectionKeys, (text: string) => string | undefined>>;
type ConnectionFiles = Partial<Record<keyof typeof CONNECTION_FILES, string>>;

/**
 * The absolute paths of the files of a connection. They are read again for each attempt to connect, because passwords
 * and certificates are rotated; here they are read to find what is wrong with them before anything starts.
 * @param section the keys that lead to the section
 */
function connectionFiles(raw: unknown, section: string[], directory: string, issues: ConfigIssue[]): ConnectionFiles {
  const keys = section.reduce<Record<string, unknown> | undefined>(
    (at, key) => at?.[key] as Record<string, unknown> | undefined,
    raw as Record<string, unknown>,
  );
  const paths: ConnectionFiles = {};
  for (const [key, problemOf] of Object.entries(CONNECTION_FILES)) {
    const file = keys?.[key];
    if (typeof file !== 'string') continue;
    const path = [...section, key];
    const text = readNamed(file, directory, path, issues);
    const problem = text === undefined ? undefined : problemOf(text);
    if (problem !== undefined) issues.push({ path, message: `${file} is not usable: ${problem}` });
    paths[key as keyof ConnectionFiles] = resolve(directory, file);
  }
  return paths;
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
