import { distance } from 'fastest-levenshtein';
import { type Document, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import type { z } from 'zod';
import { configSchema } from './schema.ts';
import { TRANSPORTS } from './transports.ts';

/** One error in the configuration, and where it is. */
export interface ConfigIssue {
  path: readonly PropertyKey[];
  message: string;
}

/** `tables[1]`, `source.url`, `keys."shop.log"`. */
export function keyPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text ? '.' : ''}${/[.\s]/.test(String(part)) ? JSON.stringify(part) : String(part)}`;
  }
  return text;
}

const TYPES: Record<string, string> = { object: 'a map', record: 'a map', array: 'a list', string: 'text' };

/** The message for an issue that zod found. It never contains the value, which can be a secret. */
export function issueMessage(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is missing';
    const expected = TYPES[issue.expected] ?? `a ${issue.expected}`;
    return `must be ${expected}, not ${typeText(issue.input)}${issue.expected === 'string' ? '; put it in quotes' : ''}`;
  }
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'too_small') return 'must not be empty';
  return undefined;
}

function typeText(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return typeof value === 'string' ? 'text' : `a ${typeof value}`;
}

/** The errors that one issue of zod stands for: unknown keys are one error each, and a union names its alternatives. */
export function describeIssue(issue: z.core.$ZodIssue, raw: unknown): ConfigIssue[] {
  const union = issue.code === 'invalid_union' ? mapOrWord(issue) : undefined;
  if (union !== undefined) {
    // A value that is a map is checked as the map of the union.
    const isMap = union.map.every(({ code, path }) => code === 'unrecognized_keys' || path.length > 0);
    if (!isMap) return [{ path: issue.path, message: `must be a map, or ${union.word}` }];
    const inner = union.map.map((each) => ({ ...each, path: [...issue.path, ...each.path] }) as z.core.$ZodIssue);
    return inner.flatMap((each) => describeIssue(each, raw));
  }
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, message: issue.message }];
  return issue.keys.map((key) => {
    const path = [...issue.path, key];
    const suggestion = nearestKey(key, keyPath(issue.path), raw);
    return { path, message: `unknown key${suggestion ? `, did you mean ${suggestion}?` : ''}` };
  });
}

/** For a union of a map and one word: the issues of the map, and the word. */
function mapOrWord({ errors }: z.core.$ZodIssueInvalidUnion): { map: z.core.$ZodIssue[]; word: string } | undefined {
  const [map, [word] = []] = errors;
  if (map === undefined || errors.length !== 2 || word?.code !== 'invalid_value') return undefined;
  return { map, word: String(word.values[0]) };
}

/**
 * The key that was probably meant: the same name under another parent, in this section if it is there, or a similar
 * name under this parent.
 */
function nearestKey(key: string, parent: string, raw: unknown): string | undefined {
  const known = keyPaths(configSchema).filter((path) => !isOfOtherTransport(path, raw));
  const section = `${parent.split('.')[0]}.`;
  const sameName = known.filter((path) => path.endsWith(`.${key}`));
  const underOtherParent = sameName.find((path) => path.startsWith(section)) ?? sameName[0];
  if (underOtherParent) return underOtherParent;
  const best = known
    .filter((path) => path.slice(0, Math.max(0, path.lastIndexOf('.'))) === parent)
    .map((path) => path.slice(path.lastIndexOf('.') + 1))
    .map((name) => ({ name, edits: distance(key.toLowerCase(), name) }))
    .sort((a, b) => a.edits - b.edits)[0];
  return best && best.edits <= Math.max(2, key.length / 2) ? best.name : undefined;
}

/** Whether the key is of a transport that is not configured, while another one is. */
function isOfOtherTransport(path: string, raw: unknown): boolean {
  const configured = TRANSPORTS.filter((name) => typeof raw === 'object' && raw !== null && name in raw);
  const transport = TRANSPORTS.find((name) => path.startsWith(`${name}.`));
  return transport !== undefined && configured.length > 0 && !configured.includes(transport);
}

/** Every key of an object schema as a dotted path, parents before children. */
export function keyPaths(schema: unknown, parent = ''): string[] {
  return Object.entries(shapeOf(schema) ?? {}).flatMap(([key, inner]) => [
    `${parent}${key}`,
    ...keyPaths(inner, `${parent}${key}.`),
  ]);
}

interface Wrapped {
  shape?: Record<string, unknown>;
  def?: { innerType?: Wrapped; options?: Wrapped[] };
}

/** The fields of an object schema. Wrappers around it are removed: default, prefault, optional, "or a word". */
function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  let inner = schema as Wrapped | undefined;
  while (inner && !inner.shape) inner = inner.def?.innerType ?? inner.def?.options?.find(({ shape }) => shape);
  return inner?.shape;
}

/** The line of the deepest key of the path that exists in the file. */
export function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      offset = (pair?.key as Node | undefined)?.range?.[0] ?? offset;
      node = pair?.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return lines.linePos(offset).line;
}
