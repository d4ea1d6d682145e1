import type { z } from 'zod';
import { issueMessage } from '../../config/config-issue.ts';
import { configSchema } from '../../config/schema.ts';
import type { Transport } from '../../config/transports.ts';
import { hostUrls, parseSourceUrl, type TlsMode } from '../../config/url.ts';
import { CdcError } from '../../runtime/error.ts';
import { PASSWORD_VARIABLE } from './config-text.ts';
import { flagText, type TransportFlagName, type TransportFlags } from './transport.ts';
import { INIT_TRANSPORTS } from './transports.ts';

export interface InitFlags extends TransportFlags {
  output: string;
  transport?: Transport;
  url?: string;
  passwordFile?: string;
  tls?: TlsMode;
  caFile?: string;
  tables?: string[];
  name?: string;
  force?: true;
  yes?: true;
}

/** The flags with a value that are not of the transport, and the key of the configuration that each sets. */
const KEYS = { url: ['source', 'url'], tls: ['source', 'tls'], tables: ['tables'], name: ['name'] } as const;
export type AnswerName = keyof typeof KEYS | TransportFlagName;

const keysOf = (transport: Transport): [AnswerName, readonly string[]][] => [
  ...(Object.entries(KEYS) as [AnswerName, readonly string[]][]),
  ...INIT_TRANSPORTS[transport].flags.map(({ name, key }): [AnswerName, string[]] => [name, [transport, ...key]]),
];

/** What is wrong with values, as the configuration has it. Never contains a value. */
function problemsWith(values: Partial<Record<AnswerName, unknown>>, transport: Transport): [AnswerName, string][] {
  const given = keysOf(transport).filter(([name]) => values[name] !== undefined);
  const least = { source: { url: 'mysql://cdc@localhost' }, [transport]: INIT_TRANSPORTS[transport].least };
  const raw = given.reduce((section, [name, path]) => withKey(section, path, values[name]), least as RawSection);
  const { error } = configSchema.safeParse(raw, { error: issueMessage as z.core.$ZodErrorMap });
  return given.flatMap(([name, path]) => {
    const own = error?.issues.find((issue) => path.every((part, i) => issue.path[i] === part));
    return own === undefined ? [] : [[name, own.message] as [AnswerName, string]];
  });
}

type RawSection = Record<string, unknown>;
const withKey = (section: RawSection, [key = '', ...rest]: readonly string[], value: unknown): RawSection => ({
  ...section,
  [key]: rest.length === 0 ? value : withKey((section[key] ?? {}) as RawSection, rest, value),
});

/** What is wrong with one value; undefined if nothing is. */
export const problemWith = (name: AnswerName, value: unknown, transport: Transport = 'firehose'): string | undefined =>
  problemsWith({ [name]: value }, transport).find(([of]) => of === name)?.[1];

/**
 * @param asks whether what is missing is asked for
 * @throws CdcError with exit code 2 that names every flag with a wrong value, and those that are missing
 */
export function assertFlags(flags: InitFlags, transport: Transport, asks: boolean, env = process.env): void {
  const { missing: missingOf, example } = INIT_TRANSPORTS[transport];
  const missing = asks ? [] : [...(flags.url === undefined ? ['--url'] : []), ...missingOf(flags, env)];
  if (missing.length > 0) {
    throw new CdcError(`cdc init needs ${missing.join(' and ')}`, {
      exitCode: 2,
      why: flags.yes ? 'with --yes it asks nothing' : 'there is no terminal, so that it cannot ask',
      hint: `cdc init --url mysql://cdc@db.example.com:3306 ${example(flags)}`,
    });
  }
  const wrong = problemsWith(flags, transport).map(([name, problem]) => `${flagText(name)} ${problem}`);
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
