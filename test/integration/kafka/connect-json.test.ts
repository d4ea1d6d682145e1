import { describe, expect, test } from 'vitest';
import { schemasConflict } from '../../../src/config/schemas-conflict.ts';
import { compileColumnRules } from '../../../src/model/column-rules.ts';
import { MessageWriter, SEQ_HEADER } from '../../../src/sinks/kafka/message-text.ts';
import { configOf, decode, type Fixture, type Variation } from '../../golden/decode.ts';
import { FIXTURES, type FixtureName, readFixture } from '../../golden/files.ts';
import { DEFAULTS, variationsOf } from '../../golden/variations.ts';
import { connectAvailability, findConnect } from '../../kafka/artifacts.ts';
import { parseExactly, type ReadSchema, readDifferences, schemalessDifferences } from '../../kafka/connect-reading.ts';
import { type Converted, convert, type Part } from '../../kafka/connect-tool.ts';

/** The golden binlogs have every type case and every unusual table of the oracle, and the stories. */

const unavailable = await connectAvailability();
const suite = (name: string) => (unavailable ? `${name} (skipped: ${unavailable})` : name);

/** Options that no golden file has, because the events are only read here. */
const MORE: readonly { section: string; variation: Variation }[] = (['debezium', 'flat'] as const).flatMap((format) => [
  {
    section: `${format} epoch_micros_zero_null`,
    variation: { format, values: { temporal: 'epoch_micros', zero_dates: 'null' } },
  },
  { section: `${format} bit1`, variation: { format, values: { boolean: ['bit1'] } } },
]);

/** The same code writes the values of all servers: each option is tried with one of them. */
const optionsOf = (name: FixtureName) => [
  ...DEFAULTS,
  ...(name === 'mysql-9.7' ? [...variationsOf(name), ...MORE] : []),
];
const MAX_SHOWN = 20;

interface Message {
  key: Buffer | null;
  value: Buffer | null;
  /** The line that it was made of. */
  line: string;
  eventKey: string;
  isTombstone: boolean;
}

function messagesOf(fixture: Fixture, variation: Variation, schemas: boolean): Message[] {
  const config = configOf(variation);
  const writer = new MessageWriter({
    topicPrefix: config.name,
    format: config.format,
    schemas,
    tombstones: true,
    flatPrefix: config.flat_prefix,
    values: config.values,
    columnRule: compileColumnRules(config.columns, fixture),
  });
  const { lines, events } = decode(fixture, variation);
  return lines.flatMap((line, i) => {
    const event = events[i] as (typeof events)[number];
    return writer.messagesOf(event, line).map(({ key, value, headers }): Message => {
      const text = line.toString('utf8', 0, line.length - 1);
      const [[name, seq] = []] = headers;
      if (name !== SEQ_HEADER || !text.includes(`seq":"${seq}"`)) throw new Error(`${name} ${seq} in ${text}`);
      return {
        key,
        value: value && Buffer.concat(value),
        line: text,
        eventKey: event.key.toString(),
        isTombstone: value === null,
      };
    });
  });
}

async function read(messages: readonly Message[], schemas: boolean): Promise<[key: Converted, value: Converted][]> {
  const parts = messages.flatMap(({ key, value }): Part[] => [
    { of: 'key', schemas, content: key },
    { of: 'value', schemas, content: value },
  ]);
  const results = await convert(await findConnect(), parts);
  return messages.map((_, i) => [results[i * 2] as Converted, results[i * 2 + 1] as Converted]);
}

interface Enveloped {
  schema: ReadSchema;
  payload: unknown;
}

/** Compares a part with schema: the schema as it was read, and the value. */
function compareEnveloped(written: Buffer | null, payload: string, converted: Converted): string[] {
  if ('error' in converted) return [converted.error];
  if (written === null || converted.text === null) return written === converted.text ? [] : ['null on one side only'];
  const ours = parseExactly(written.toString()) as Enveloped;
  const theirs = parseExactly(converted.text) as Enveloped;
  // The order of their members too: where the schema of a key is another text, its partition is another one.
  expect(JSON.stringify(theirs.schema)).toBe(JSON.stringify(ours.schema));
  return readDifferences(ours.schema, parseExactly(payload), theirs.payload);
}

function compareSchemaless(written: Buffer | null, payload: string, converted: Converted): string[] {
  if ('error' in converted) return [converted.error];
  if (written === null || converted.text === null) return written === converted.text ? [] : ['null on one side only'];
  return schemalessDifferences(parseExactly(payload), parseExactly(converted.text));
}

async function differences(fixture: Fixture, variation: Variation, schemas: boolean): Promise<string[]> {
  const messages = messagesOf(fixture, variation, schemas);
  expect(messages.some(({ isTombstone }) => isTombstone)).toBe(true);
  const compare = schemas ? compareEnveloped : compareSchemaless;
  const results = await read(messages, schemas);
  return results
    .flatMap(([key, value], i) => {
      const message = messages[i] as Message;
      const found = [...compare(message.key, message.eventKey, key), ...compare(message.value, message.line, value)];
      return found.map((difference) => `${difference}\n  in ${message.line.slice(0, 300)}`);
    })
    .slice(0, MAX_SHOWN);
}

describe.skipIf(unavailable)(suite("Apache's JsonConverter"), () => {
  describe.each(FIXTURES)('reads the messages of %s', (name) => {
    const fixture = readFixture(name);
    const allowed = optionsOf(name).filter(({ variation }) => schemasConflict(configOf(variation)) === undefined);

    test.each(allowed)('with their schemas and the same values: $section', async ({ variation }) => {
      expect(await differences(fixture, variation, true)).toEqual([]);
    });

    test.each(DEFAULTS)('without schemas: $section', async ({ variation }) => {
      expect(await differences(fixture, variation, false)).toEqual([]);
    });
  });

  test('does not fail on values that schemas: true is refused for', async () => {
    const field = (type: string) => ({
      type: 'struct',
      optional: false,
      fields: [{ type, optional: true, field: 'v' }],
    });
    const readOf = async (type: string, value: string) => {
      const content = Buffer.from(`{"schema":${JSON.stringify(field(type))},"payload":{"v":${value}}}`);
      const [result] = await convert(await findConnect(), [{ of: 'value', schemas: true, content }]);
      return 'text' in (result as Converted) ? JSON.parse((result as { text: string }).text).payload.v : result;
    };
    // tinyint1, a zero date in epoch_micros, DECIMAL as a number, nested JSON: none is an error, and each is wrong.
    expect(await readOf('boolean', '2')).toBe(false);
    expect(await readOf('int64', '"0000-00-00"')).toBe(0);
    expect(await readOf('string', '12.50')).toBe(null);
    expect(await readOf('string', '{"a":1}')).toBe(null);
  });
});
