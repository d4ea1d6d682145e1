import type { z } from 'zod';
import { issueMessage } from '../../config/config-issue.ts';
import { configSchema } from '../../config/schema.ts';
import { hostUrls, parseSourceUrl, type TlsMode } from '../../config/url.ts';
import { CdcError } from '../../runtime/error.ts';
import { PASSWORD_VARIABLE } from './config-text.ts';

export interface InitFlags {
  output: string;
  url?: string;
  passwordFile?: string;
  tls?: TlsMode;
  caFile?: string;
  tables?: string[];
  name?: string;
  stream?: string;
  region?: string;
  endpoint?: string;
  force?: true;
  yes?: true;
}

/** The flags that have a value, by the key of the configuration that they set. */
const KEYS = {
  url: ['source', 'url'],
  tls: ['source', 'tls'],
  tables: ['tables'],
  name: ['name'],
  stream: ['firehose', 'stream'],
  region: ['firehose', 'region'],
  endpoint: ['firehose', 'endpoint'],
} as const;
export type AnswerName = keyof typeof KEYS;

/** What is wrong with a value, as the configuration has it; undefined if nothing is. Never contains the value. */
export function problemWith(name: AnswerName, value: unknown): string | undefined {
  const path = KEYS[name];
  const [section, key] = path;
  const raw: Record<string, unknown> = { source: { url: 'mysql://cdc@localhost' }, firehose: { stream: 'any' } };
  raw[section] = key === undefined ? value : { ...(raw[section] as object), [key]: value };
  const { error } = configSchema.safeParse(raw, { error: issueMessage as z.core.$ZodErrorMap });
  return error?.issues.find((issue) => path.every((part, i) => issue.path[i] === part))?.message;
}

/** @throws CdcError with exit code 2 that names every flag with a wrong value, and those that are missing */
export function assertFlags(flags: InitFlags, required: readonly AnswerName[]): void {
  const missing = required.filter((name) => flags[name] === undefined).map((name) => `--${name}`);
  if (missing.length > 0) {
    throw new CdcError(`cdc init needs ${missing.join(' and ')}`, {
      exitCode: 2,
      why: flags.yes ? 'with --yes it asks nothing' : 'there is no terminal, so that it cannot ask',
      hint: 'cdc init --url mysql://cdc@db.example.com:3306 --stream shop-changes',
    });
  }
  const wrong = (Object.keys(KEYS) as AnswerName[]).flatMap((name) => {
    const problem = flags[name] === undefined ? undefined : problemWith(name, flags[name]);
    return problem === undefined ? [] : [`--${name} ${problem}`];
  });
  if (wrong.length === 0) return;
  throw new CdcError(`${wrong.length === 1 ? 'a flag' : `${wrong.length} flags`} of cdc init cannot be used`, {
    exitCode: 2,
    why: wrong.join('\n       '),
    hint: 'docs/CONFIGURATION.md has the form of each value',
  });
}

/** The source without the password, which must not be in the file. */
export interface SourceAnswers {
  url: string;
  /** For this process. The file gets the name of the environment variable, or of the password file. */
  password: string | undefined;
}

/**
 * Takes the password out of the URL.
 * @param environment the password in the environment
 * @throws CdcError with exit code 2 if both have one, and they differ
 */
export function splitPassword(typed: string, environment: string | undefined): SourceAnswers {
  const at = typed.lastIndexOf('@');
  const { password } = parseSourceUrl(hostUrls(typed)[0] as string);
  const url = `${typed.slice(0, at).replace(/^(\w+:\/\/[^:]*):.*$/s, '$1')}${typed.slice(at)}`;
  if (password !== undefined && environment !== undefined && password !== environment) {
    throw new CdcError(`the password in the URL is not the one in ${PASSWORD_VARIABLE}`, {
      exitCode: 2,
      why: `the configuration would have \${${PASSWORD_VARIABLE}}, which is another one`,
      hint: `remove one of the two, or correct ${PASSWORD_VARIABLE}`,
    });
  }
  return { url, password: password ?? environment };
}

/** The name of the pipeline, if nobody names it: that of the only database, or cdc. */
export function defaultName(tables: readonly string[]): string {
  const schemas = new Set(tables.filter((text) => !text.startsWith('!')).map((text) => text.split('.')[0] ?? ''));
  const [first = ''] = schemas;
  return schemas.size === 1 && problemWith('name', first) === undefined ? first : 'cdc';
}

/** Patterns with commas between them. A comma within backticks is a part of a name. */
export const splitPatterns = (text: string): string[] =>
  (text.match(/(?:`[^`]*`|[^,`])+/g) ?? []).map((pattern) => pattern.trim()).filter((pattern) => pattern !== '');
