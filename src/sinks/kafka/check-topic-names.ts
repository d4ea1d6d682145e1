import { compileDestinations } from '../../config/destinations.ts';
import type { Config } from '../../config/schema.ts';
import type { Transport } from '../../config/transports.ts';
import { error, type Finding, shortList } from '../../model/finding.ts';
import { compileTableFilter, parseTablePattern } from '../../model/table-filter.ts';
import { TopicNames } from './topic-names.ts';

type TopicConfig = Pick<Config, 'name' | 'tables' | 'routes' | Transport>;

/** A table of the source, as far as its topic is concerned. */
interface NamedTable {
  schema: string;
  name: string;
}

/** The topic of a captured table. */
export interface TableTopic {
  name: string;
  /** Whether `tables` names the table without a star. */
  isNamed: boolean;
}

/** The topics of captured tables, each once. */
export function topicsOfTables(
  tables: readonly NamedTable[],
  config: TopicConfig,
  options: { caseSensitive: boolean },
): TableTopic[] {
  const { sent, names } = sentToKafka(tables, config, options);
  const plain = config.tables.filter((text) => {
    const { exclude, schema, table } = parseTablePattern(text);
    return !exclude && schema.length === 1 && table.length === 1;
  });
  const isPlain = plain.length === 0 ? () => false : compileTableFilter(plain, options);
  const found = new Map<string, boolean>();
  for (const { schema, name } of sent) {
    const topic = names.topicOf({ schema, name, columns: [], key: [] });
    found.set(topic, found.get(topic) === true || isPlain(schema, name));
  }
  return [...found].map(([name, isNamed]) => ({ name, isNamed }));
}

/** Tables whose topic is not their own, or is none: the first event of one stops `cdc run`. */
export function checkTopicNames(
  tables: readonly NamedTable[],
  config: TopicConfig,
  options: { caseSensitive: boolean },
): Finding[] {
  const { sent, names } = sentToKafka(tables, config, options);
  const problems = sent.flatMap(({ schema, name }) => names.problemOf({ schema, name, columns: [], key: [] }) ?? []);
  if (problems.length === 0) return [];
  return [
    error(
      `tables without a topic of their own: ${shortList(problems)}`,
      'Kafka does not allow all characters, and the first event of such a table stops the daemon',
      'exclude one of the tables in tables, or change kafka.topic',
    ),
  ];
}

/** The tables whose events go to Kafka, and how their topics are named. */
function sentToKafka(tables: readonly NamedTable[], config: TopicConfig, options: { caseSensitive: boolean }) {
  const names = new TopicNames(config.kafka?.topic ?? '', config.name);
  if (config.kafka === undefined) return { sent: [], names };
  const destinations = compileDestinations(config, options);
  const sent = tables.filter(
    ({ schema, name }) => destinations.all[destinations.indexOf(schema, name)]?.transport === 'kafka',
  );
  return { sent, names };
}
