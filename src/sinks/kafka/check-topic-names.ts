import { compileDestinations } from '../../config/destinations.ts';
import type { Config } from '../../config/schema.ts';
import { error, type Finding, shortList } from '../../model/finding.ts';
import { TopicNames } from './topic-names.ts';

/** Tables whose topic is not their own, or is none: the first event of one stops `cdc run`. */
export function checkTopicNames(
  tables: readonly { schema: string; name: string }[],
  config: Config,
  options: { caseSensitive: boolean },
): Finding[] {
  if (config.kafka === undefined) return [];
  const destinations = compileDestinations(config, options);
  const names = new TopicNames(config.kafka.topic, config.name);
  const problems = tables
    .filter(({ schema, name }) => destinations.all[destinations.indexOf(schema, name)]?.transport === 'kafka')
    .flatMap(({ schema, name }) => names.problemOf({ schema, name, columns: [], key: [] }) ?? []);
  if (problems.length === 0) return [];
  return [
    error(
      `tables without a topic of their own: ${shortList(problems)}`,
      'Kafka does not allow all characters, and the first event of such a table stops the daemon',
      'exclude one of the tables in tables, or change kafka.topic',
    ),
  ];
}
