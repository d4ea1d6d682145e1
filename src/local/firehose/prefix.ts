import { invalidArgument } from './aws-error.ts';

/**
 * Firehose's prefix expressions, `!{namespace:value}`. They are compiled once per stream and evaluated once per object.
 * The rules and messages are those of the AWS page "Custom prefixes for Amazon S3 objects".
 */

export type PrefixField = 'Prefix' | 'ErrorOutputPrefix';

type PrefixPart =
  | { kind: 'text'; text: string }
  | { kind: 'timestamp'; pattern: string }
  | { kind: 'random-string' }
  | { kind: 'error-output-type' }
  | { kind: 'key'; name: string };

export type PrefixTemplate = readonly PrefixPart[];

export interface PrefixContext {
  /** Arrival of the oldest record in the object. */
  arrival: Date;
  keys?: ReadonlyMap<string, string>;
  errorType?: string;
}

const DEFAULT_TIMESTAMP: PrefixPart = { kind: 'timestamp', pattern: 'yyyy/MM/dd/HH/' };

export function compilePrefix(text: string, field: PrefixField): PrefixTemplate {
  const parts: PrefixPart[] = [];
  let from = 0;
  for (;;) {
    const open = text.indexOf('!{', from);
    if (open > from || (open < 0 && from < text.length)) {
      parts.push({ kind: 'text', text: text.slice(from, open < 0 ? undefined : open) });
    }
    if (open < 0) break;
    const close = text.indexOf('}', open);
    const expression = close < 0 ? '' : text.slice(open + 2, close);
    const colon = expression.indexOf(':');
    if (colon < 0 || colon === expression.length - 1) throw invalidArgument('Invalid expression usage');
    parts.push(compileExpression(expression.slice(0, colon), expression.slice(colon + 1), field));
    from = close + 1;
  }
  return parts;
}

/** The effective prefix. Firehose appends the hour of arrival to a prefix without a timestamp or a partition key. */
export function withDefaultTimestamp(template: PrefixTemplate): PrefixTemplate {
  return template.some(({ kind }) => kind === 'timestamp' || kind === 'key')
    ? template
    : [...template, DEFAULT_TIMESTAMP];
}

export const hasExpressions = (template: PrefixTemplate): boolean => template.some(({ kind }) => kind !== 'text');

/** The names in `!{partitionKeyFromQuery:name}`. */
export const partitionKeys = (template: PrefixTemplate): Set<string> =>
  new Set(template.flatMap((part) => (part.kind === 'key' ? [part.name] : [])));

export function evaluatePrefix(template: PrefixTemplate, context: PrefixContext): string {
  return template.map((part) => evaluatePart(part, context)).join('');
}

function compileExpression(namespace: string, value: string, field: PrefixField): PrefixPart {
  switch (namespace) {
    case 'timestamp':
      formatTimestamp(value, new Date(0), field);
      return { kind: 'timestamp', pattern: value };
    case 'firehose':
      if (value === 'random-string') return { kind: value };
      if (value !== 'error-output-type') throw invalidConversion(field);
      if (field === 'Prefix') {
        throw invalidArgument('Prefix must not contain any occurrence of !{firehose:error-output-type}');
      }
      return { kind: value };
    case 'partitionKeyFromQuery':
      if (field === 'ErrorOutputPrefix') {
        throw invalidArgument("Dynamic Partitioning Namespaces can't be part of an error prefix expression");
      }
      return { kind: 'key', name: value };
    case 'partitionKeyFromLambda':
      throw invalidArgument(
        'Lambda should be present when S3 Prefix contains keys from partitionKeyFromLambda namespace',
      );
    default:
      throw invalidArgument(`Namespace to the left of colon (${namespace}) is an invalid keyword!`);
  }
}

function evaluatePart(part: PrefixPart, { arrival, keys, errorType }: PrefixContext): string {
  switch (part.kind) {
    case 'text':
      return part.text;
    case 'timestamp':
      return formatTimestamp(part.pattern, arrival, 'Prefix');
    case 'random-string':
      return randomString();
    case 'error-output-type':
      return errorType ?? '';
    case 'key':
      return keys?.get(part.name) ?? '';
  }
}

/** Eleven characters, as in Firehose. */
const randomString = (): string =>
  Array.from({ length: 11 }, () => Math.floor(Math.random() * 36).toString(36)).join('');

const invalidConversion = (field: PrefixField) =>
  invalidArgument(`Invalid conversion character used in the value of the expression in ${field}`);

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const DAY_MS = 86_400_000;

/**
 * Formats by the letters of Java's DateTimeFormatter, in UTC. Other characters and text in single quotes are literal.
 */
export function formatTimestamp(pattern: string, time: Date, field: PrefixField): string {
  return pattern.replace(/'((?:[^']|'')*)'|([A-Za-z])\2*|'/g, (run: string, quoted: string | undefined) => {
    if (run === "''") return "'";
    if (quoted !== undefined) return quoted.replaceAll("''", "'");
    const text = formatField(run, time);
    if (text === undefined) throw invalidConversion(field);
    return text;
  });
}

function formatField(run: string, time: Date): string | undefined {
  const width = run.length;
  const number = (value: number) => String(value).padStart(width, '0');
  const name = (full: string) => (width > 3 ? full : full.slice(0, 3));
  const hour = time.getUTCHours();
  switch (run[0]) {
    case 'y':
    case 'u':
      return width === 2 ? String(time.getUTCFullYear() % 100).padStart(2, '0') : number(time.getUTCFullYear());
    case 'M':
    case 'L':
      return width < 3 ? number(time.getUTCMonth() + 1) : name(MONTHS[time.getUTCMonth()]!);
    case 'd':
      return number(time.getUTCDate());
    case 'D':
      return number(Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0, 1)) / DAY_MS) + 1);
    case 'E':
      return name(DAYS[time.getUTCDay()]!);
    case 'a':
      return hour < 12 ? 'AM' : 'PM';
    case 'H':
      return number(hour);
    case 'k':
      return number(hour || 24);
    case 'K':
      return number(hour % 12);
    case 'h':
      return number(hour % 12 || 12);
    case 'm':
      return number(time.getUTCMinutes());
    case 's':
      return number(time.getUTCSeconds());
    case 'S':
      return String(time.getUTCMilliseconds()).padStart(3, '0').padEnd(width, '0').slice(0, width);
    default:
      return undefined;
  }
}
