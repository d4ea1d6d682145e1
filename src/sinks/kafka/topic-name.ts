/** Topic.MAX_NAME_LENGTH of Kafka. */
const MAX_LENGTH = 249;

/**
 * The topic of a table, as Debezium names it (AbstractTopicNamingStrategy.sanitizedTopicName): each character that a
 * topic cannot have, of two UTF-16 units twice, becomes `_`, and a longer name is cut. Two tables can get one topic.
 */
export const topicName = (prefix: string, schema: string, table: string): string =>
  validTopic(`${prefix}.${schema}.${table}`);

/** The nearest name that Kafka allows. */
export const validTopic = (name: string): string => name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, MAX_LENGTH);
