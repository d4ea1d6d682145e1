import { compileDestinations } from '../../config/destinations.ts';
import type { Config } from '../../config/schema.ts';
import { error, type Finding, shortList } from '../../model/finding.ts';
import { TopicNames } from './topic-names.ts';

/** A table of the source, as far as its topic is concerned. */
interface NamedTable {
  schema: string;
  name: string;
}

/** The topics of captured tables, each once. */
export function topicsOfTables(
  tables: readonly NamedTable[],
  config: Config,
  options: { caseSensitive: boolean },
): string[] {
  const { sent, names } = sentToKafka(tables, config, options);
  return [...new Set(sent.map(({ schema, name }) => names.topicOf({ schema, name, columns: [], key: [] })))];
}

/** Tables whose topic is not their own, or is none: the first event of one stops `cdc run`. */
export function checkTopicNames(
  tables: readonly NamedTable[],
  config: Config,
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
function sentToKafka(tables: readonly NamedTable[], config: Config, options: { caseSensitive: boolean }) {
  const names = new TopicNames(config.kafka?.topic ?? '', config.name);
  if (config.kafka === undefined) return { sent: [], names };
  const destinations = compileDestinations(config, options);
  const sent = tables.filter(
    ({ schema, name }) => destinations.all[destinations.indexOf(schema, name)]?.transport === 'kafka',
  );
  return { sent, names };
}
