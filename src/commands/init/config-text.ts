import { Document, type ParsedNode, Scalar, stringify, YAMLMap, YAMLSeq } from 'yaml';
import { configJsonSchema } from '../../config/json-schema.ts';
import type { TlsMode } from '../../config/url.ts';
import { literal, optionalKey, type WrittenKey } from './written-key.ts';

/** What `cdc init` writes. Values are as typed; none is a secret. */
export interface NewConfig {
  name: string;
  /** Without a password. */
  url: string;
  /** Where the password comes from; undefined for an account without one. */
  password: { from: 'environment' } | { from: 'file'; file: string } | undefined;
  tls?: TlsMode | undefined;
  caFile?: string | undefined;
  tables: readonly string[];
  /** The section of the transport, and what belongs to it. */
  transport: readonly WrittenKey[];
}

/** The environment variable that holds the password. */
export const PASSWORD_VARIABLE = 'CDC_MYSQL_PASSWORD';

const LINE_LENGTH = 118;

const HEADER = `Configuration of cdc, written by cdc init. Lines that start with "#key:" are disabled options.
config/cdc.example.yaml and docs/CONFIGURATION.md have all keys.

\${NAME} in a value stands for an environment variable, and $\${ for a literal \${. Paths are relative to the directory
of this file.`;

/** The text of a configuration. Each key has the description of the schema as its comment. */
export function configText(config: NewConfig): string {
  const document = new Document(mapOf(entriesOf(config), [], configJsonSchema()));
  document.commentBefore = HEADER.replace(/^(?=.)/gm, ' ');
  // No line is folded: a long value stays one that can be searched for.
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

function entriesOf(config: NewConfig): WrittenKey[] {
  const { password } = config;
  const isFromFile = password?.from === 'file';
  return [
    { key: 'name', value: literal(config.name) },
    {
      key: 'source',
      entries: [
        { key: 'url', value: literal(config.url) },
        { key: 'password', value: `\${${PASSWORD_VARIABLE}}`, ...(password?.from !== 'environment' && DISABLED) },
        optionalKey('password_file', isFromFile ? password.file : undefined, '/run/secrets/mysql-password'),
        optionalKey('tls', config.tls, 'verify-identity'),
        optionalKey('ca_file', config.caFile, 'global-bundle.pem'),
        { key: 'start', value: 'now' },
      ],
    },
    { key: 'tables', value: config.tables.map(literal) },
    ...config.transport,
    { key: 'checkpoint', entries: [{ key: 'file', value: `state/${config.name}.json` }] },
    { key: 'admin', value: { listen: 8686 }, disabled: true },
  ];
}

const DISABLED = { disabled: true } as const;

/** @param schema of the whole configuration */
function mapOf(entries: readonly WrittenKey[], path: readonly string[], schema: SchemaNode): YAMLMap {
  const map = new YAMLMap();
  const indent = path.length * 2;
  let comments: string[] = [];
  for (const entry of entries) {
    const ownPath = [...path, entry.key];
    comments.push(...describe(schema, ownPath, LINE_LENGTH - indent));
    if ('value' in entry && entry.disabled) {
      comments.push(
        ...stringify({ [entry.key]: entry.value }, { lineWidth: 0 })
          .trimEnd()
          .split('\n'),
      );
      // An empty line parts the sections, also the disabled ones.
      if (path.length === 0) comments.push('');
      continue;
    }
    const key = new Scalar(entry.key);
    key.commentBefore = comments.join('\n');
    key.spaceBefore = path.length === 0 && map.items.length > 0;
    comments = [];
    map.set(
      key as unknown as ParsedNode,
      'entries' in entry ? mapOf(entry.entries, ownPath, schema) : yamlValue(entry.value),
    );
  }
  if (path.length === 0) comments.unshift('');
  if (comments.length > 0) map.comment = comments.join('\n').trimEnd();
  return map;
}

/** A list is on one line, with quotes: `!` and `*` of patterns mean something to YAML. */
function yamlValue(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const list = new YAMLSeq();
  list.flow = true;
  for (const item of value) {
    const scalar = new Scalar(item);
    scalar.type = Scalar.QUOTE_DOUBLE;
    list.add(scalar);
  }
  return list;
}

interface SchemaNode {
  description?: string;
  properties?: Record<string, SchemaNode>;
  anyOf?: SchemaNode[];
}

/** The description of a key in the schema, as lines of a comment. */
function describe(schema: SchemaNode, path: readonly string[], width: number): string[] {
  let node: SchemaNode | undefined = schema;
  for (const key of path) {
    const alternatives: (SchemaNode | undefined)[] = [node, ...(node?.anyOf ?? [])];
    node = alternatives.find((one) => one?.properties?.[key])?.properties?.[key];
  }
  const lines: string[] = [];
  for (const word of (node?.description ?? '').split(' ').filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 1 <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(` ${word}`);
  }
  return lines;
}
