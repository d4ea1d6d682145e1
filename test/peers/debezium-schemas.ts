import { configSchema, type ValueOptions } from '../../src/config/schema.ts';
import { parseRawObject } from '../../src/runtime/raw-json.ts';
import { type KafkaMessage, MessageWriter } from '../../src/sinks/kafka/message-text.ts';
import type { Line } from '../integration/follow.ts';
import type { Theirs } from './debezium.ts';

/** A schema of Kafka Connect as a message has it. */
export interface Schema {
  field: string;
  type: string;
  optional: boolean;
  name?: string;
  version?: number;
  parameters?: Record<string, string>;
  default?: unknown;
  fields?: Schema[];
  items?: Schema;
}

/** The messages of a table of the schema `peers`. */
function messagesOf(lines: readonly Line[], name: string): KafkaMessage[] {
  const writer = new MessageWriter({
    ...{ topicPrefix: 'peers', format: 'debezium', schemas: true, tombstones: true, flatPrefix: '_' },
    values: configSchema.shape.values.parse({}) as ValueOptions,
  });
  return lines
    .filter(({ table }) => table.name === name)
    .flatMap(({ text, key, op, table }) => writer.messagesOf({ key: Buffer.from(key), op, table }, Buffer.from(text)));
}

/**
 * The messages of the table `keyed`, tombstones too: the same topics in the same order, with the same bytes of keys.
 * The keys decide the partitions.
 */
export function compareKeys(theirs: readonly Theirs[], lines: readonly Line[]): void {
  const topic = 'peers.peers.keyed';
  const shown = (key: string, isTombstone: boolean): string => `${isTombstone ? 'tombstone' : 'event'} of ${key}`;
  const expected = theirs
    .filter((each) => each.topic === topic)
    .map(({ line, value }) => shown(parseRawObject(line).get('key') ?? '', value === null));
  const ours = messagesOf(lines, 'keyed').map(({ key, value }) => shown(String(key), value === null));
  if (expected.length === 0 || expected.join('\n') !== ours.join('\n')) {
    throw new Error(`other messages\n  Debezium\n${expected.join('\n')}\n  cdc\n${ours.join('\n')}`);
  }
}

/** The fields of the messages of the table `types` whose schemas differ. `types` are those of its columns c0, c1, … */
export function schemasTable(theirs: readonly Theirs[], lines: readonly Line[], types: readonly string[]): string {
  const topic = 'peers.peers.types';
  const debezium = theirs.find((each) => each.topic === topic)?.value?.schema;
  const [message] = messagesOf(lines, 'types');
  if (debezium === undefined || message?.value == null) throw new Error(`there is no message of ${topic}`);
  const { schema } = JSON.parse(Buffer.concat(message.value).toString()) as { schema: Schema };
  const [before, after] = [describe(debezium), describe(schema)];
  const rows = [...new Set([...before.keys(), ...after.keys()])]
    // `before` is like `after`.
    .filter((path) => !path.startsWith('before') && before.get(path) !== after.get(path))
    .map((path) => {
      const label = path.replace(/^after\.c(\d+)/, (_, column) => types[Number(column)] ?? '');
      return `| ${[label === path ? `\`${path}\`` : label, cell(before.get(path)), cell(after.get(path))].join(' | ')} |`;
    });
  return ['| field | Debezium | cdc |', '| --- | --- | --- |', ...new Set(rows)].join('\n');
}

const cell = (text: string | undefined): string => (text === undefined ? '' : `\`${text}\``);

/** Every field by its path, as one line of text. */
function describe(schema: Schema, path = '', fields = new Map<string, string>()): Map<string, string> {
  const { type, optional, name, version, parameters, items } = schema;
  const text = [
    `${type}${optional ? '?' : ''}`,
    name === undefined ? '' : `${name.replace(/^io\.debezium\.|^org\.apache\.kafka\.connect\./, '')} ${version ?? ''}`,
    ...Object.entries(parameters ?? {}).map(([key, value]) => `${key}=${value}`),
    schema.default === undefined ? '' : `default=${JSON.stringify(schema.default)}`,
    items === undefined ? '' : `of ${items.type}`,
  ];
  fields.set(
    path,
    text
      .map((each) => each.trim())
      .filter(Boolean)
      .join(' '),
  );
  for (const each of schema.fields ?? []) describe(each, path === '' ? each.field : `${path}.${each.field}`, fields);
  return fields;
}
