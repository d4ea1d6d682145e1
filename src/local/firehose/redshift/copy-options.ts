import { invalidArgument } from '../aws-error.ts';

/** Options of Redshift's COPY command, as CopyOptions of a delivery stream has them. */
export interface CopyOptions {
  /** `'auto ignorecase'`: a key finds its column whatever its case. */
  ignoreCase: boolean;
  gzip: boolean;
  /** A Redshift format string, `epochsecs` or `epochmillisecs`; undefined for what the server reads by itself. */
  timeFormat: string | undefined;
  dateFormat: string | undefined;
  blanksAsNull: boolean;
  emptyAsNull: boolean;
  truncateColumns: boolean;
  /** The COPY fails at this number of lines that cannot be loaded. 0 and 1 mean the first one. */
  maxErrors: number;
  /** What replaces each byte that is not UTF-8; undefined if such a line is an error. */
  invalidCharacter: string | undefined;
}

/** Firehose writes them into the command itself. */
const OF_FIREHOSE = new Set([
  ...['REGION', 'CREDENTIALS', 'IAM_ROLE', 'ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN', 'MANIFEST'],
]);
const MAX_ERRORS_LIMIT = 100_000;

interface OptionToken {
  text: string;
  quoted: boolean;
}

/** Reads the options one by one, as COPY does: in any order, keywords in any case, AS where it is optional. */
class OptionReader {
  readonly #tokens: OptionToken[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  /** The next keyword in upper case; undefined at the end. */
  keyword(): string | undefined {
    const token = this.#tokens[this.#at++];
    if (token?.quoted) throw invalidArgument(`CopyOptions has '${token.text}' where an option begins`);
    return token?.text.toUpperCase();
  }

  /** The word, if it comes next. */
  skip(...words: string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (!token || token.quoted || !words.includes(token.text.toUpperCase())) return undefined;
    this.#at++;
    return token.text.toUpperCase();
  }

  /** A text in quotes, if it comes next. */
  quoted(): string | undefined {
    const token = this.#tokens[this.#at];
    if (!token?.quoted) return undefined;
    this.#at++;
    return token.text;
  }

  number(option: string): number {
    const { text, quoted } = this.#tokens[this.#at++] ?? { text: '', quoted: false };
    if (quoted || !/^\d+$/.test(text)) throw invalidArgument(`The COPY option ${option} needs a number`);
    return Number(text);
  }
}

/** @throws AwsError for an option that is unknown, incomplete, or not for Firehose */
export function parseCopyOptions(text: string): CopyOptions {
  const tokens = new OptionReader(text);
  const options: CopyOptions = {
    ignoreCase: false,
    gzip: false,
    timeFormat: undefined,
    dateFormat: undefined,
    blanksAsNull: false,
    emptyAsNull: false,
    truncateColumns: false,
    maxErrors: 0,
    invalidCharacter: undefined,
  };
  let json = false;
  for (let keyword = tokens.keyword(); keyword !== undefined; keyword = tokens.keyword()) {
    if (OF_FIREHOSE.has(keyword)) {
      throw invalidArgument(`CopyOptions cannot contain ${keyword}: Firehose adds it to the COPY command itself`);
    }
    switch (keyword) {
      case 'FORMAT':
        tokens.skip('AS');
        if (!tokens.skip('JSON')) throw unsupported('FORMAT other than JSON');
        json = true;
        options.ignoreCase = readJsonMode(tokens);
        break;
      case 'JSON':
        json = true;
        options.ignoreCase = readJsonMode(tokens);
        break;
      case 'GZIP':
        options.gzip = true;
        break;
      case 'TIMEFORMAT':
        options.timeFormat = readFormat(tokens, keyword);
        break;
      case 'DATEFORMAT':
        options.dateFormat = readFormat(tokens, keyword);
        break;
      case 'BLANKSASNULL':
        options.blanksAsNull = true;
        break;
      case 'EMPTYASNULL':
        options.emptyAsNull = true;
        break;
      case 'TRUNCATECOLUMNS':
        options.truncateColumns = true;
        break;
      case 'MAXERROR':
        tokens.skip('AS');
        options.maxErrors = tokens.number(keyword);
        if (options.maxErrors > MAX_ERRORS_LIMIT) {
          throw invalidArgument(`The COPY option MAXERROR cannot be greater than ${MAX_ERRORS_LIMIT}`);
        }
        break;
      case 'ACCEPTINVCHARS':
        options.invalidCharacter = readReplacement(tokens);
        break;
      // They concern how Redshift stores and plans, which PostgreSQL decides by itself.
      case 'COMPUPDATE':
        tokens.skip('PRESET', 'ON', 'OFF', 'TRUE', 'FALSE');
        break;
      case 'STATUPDATE':
        tokens.skip('ON', 'OFF', 'TRUE', 'FALSE');
        break;
      default:
        throw unsupported(keyword);
    }
  }
  if (!json) throw invalidArgument("The local Firehose copies only JSON: add JSON 'auto' to CopyOptions");
  return options;
}

/** Returns whether the case of keys is ignored. */
function readJsonMode(tokens: OptionReader): boolean {
  tokens.skip('AS');
  const mode = tokens.quoted() ?? 'auto';
  if (mode === 'auto' || mode === 'auto ignorecase') return mode !== 'auto';
  throw unsupported(mode === 'noshred' ? "JSON 'noshred'" : `JSON '${mode}', a file of JSONPaths`);
}

/** Undefined for 'auto': PostgreSQL recognizes the formats that Redshift does. */
function readFormat(tokens: OptionReader, option: string): string | undefined {
  tokens.skip('AS');
  const format = tokens.quoted();
  if (format === undefined || format === '') throw invalidArgument(`The COPY option ${option} needs a text in quotes`);
  return format === 'auto' ? undefined : format;
}

function readReplacement(tokens: OptionReader): string {
  tokens.skip('AS');
  const replacement = tokens.quoted() ?? '?';
  const code = replacement.charCodeAt(0);
  if (replacement.length === 1 && code > 0 && code < 0x80) return replacement;
  throw invalidArgument('The COPY option ACCEPTINVCHARS needs one ASCII character in quotes');
}

function tokensOf(text: string): OptionToken[] {
  const tokens: OptionToken[] = [];
  const pattern = /\s*(?:'((?:[^']|'')*)'|([^\s',]+)|(\S))/gy;
  for (const [, quoted, word, other] of text.trim().matchAll(pattern)) {
    if (other !== undefined) throw invalidArgument(`CopyOptions has an unexpected ${other}`);
    tokens.push(
      quoted === undefined ? { text: word!, quoted: false } : { text: quoted.replaceAll("''", "'"), quoted: true },
    );
  }
  return tokens;
}

const unsupported = (option: string) =>
  invalidArgument(`The local Firehose does not support the COPY option ${option}`);
