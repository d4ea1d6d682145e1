import type { Config } from '../config/schema.ts';
import type { Finding } from '../model/finding.ts';
import { checkTopicNames, topicsOfTables } from './kafka/check-topic-names.ts';

/** The captured tables, as the source has them. */
export interface SinkTables {
  tables: readonly { schema: string; name: string }[];
  caseSensitive: boolean;
}

/**
 * Checks the other side of each transport that is configured.
 * @param captured undefined if the source does not answer
 * @throws CdcError with exit code 2 if a variable of the environment names no proxy or no authorities
 */
export async function checkSinks(config: Config, captured: Promise<SinkTables | undefined>): Promise<Finding[]> {
  const { firehose, kinesis, kafka } = config;
  const checks: Promise<Finding[]>[] = [];
  if (firehose !== undefined) {
    checks.push(import('./firehose/preflight.ts').then(({ checkStreams }) => checkStreams(config, firehose)));
  }
  if (kinesis !== undefined) {
    checks.push(import('./kinesis/preflight.ts').then(({ checkDataStreams }) => checkDataStreams(kinesis)));
  }
  if (kafka !== undefined) {
    const topics = captured.then((found) => (found === undefined ? [] : topicsOfTables(found.tables, config, found)));
    checks.push(import('./kafka/preflight.ts').then(({ checkKafka }) => checkKafka(kafka, config.name, topics)));
  }
  return (await Promise.all(checks)).flat();
}

/** Checks what the transports make of the captured tables, without asking the other side. */
export const checkSinkTables = checkTopicNames;
