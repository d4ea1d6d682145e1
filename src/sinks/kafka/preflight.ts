import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import type { KafkaConfig } from '../../config/kafka-schema.ts';
import type { Config } from '../../config/schema.ts';
import { error, type Finding, shortList, transientError, warning } from '../../model/finding.ts';
import { CdcError } from '../../runtime/error.ts';
import { isAnswer } from './connection.ts';
import { isAuthenticationFailure, isCertificateFailure, kafkaFailureText, listenerHint } from './failure-text.ts';
import { type KafkaClient, type Topic, UNKNOWN_TOPIC } from './kafka-client.ts';
import { kafkaClient } from './open-sinks.ts';
import { batchError, errorText } from './protocol-errors.ts';
import { TopicNames } from './topic-names.ts';

/** Time for all requests of the check to one broker. */
const CHECK_TIMEOUT_MS = 20_000;
const PRODUCER_ATTEMPTS = 10;
const PRODUCER_RETRY_MS = 500;
const DEFAULT_MESSAGE_BYTES = 1_048_588;

/** Checks the cluster, and the topics whose names the configuration has without a star. */
export async function checkKafka(config: Pick<Config, 'name' | 'tables'>, kafka: KafkaConfig): Promise<Finding[]> {
  const client = kafkaClient(kafka, config.name, CHECK_TIMEOUT_MS);
  const findings = checkCompression(kafka);
  try {
    const topics = exactTopics(config, kafka);
    // Without a name the brokers list no topics, and still show that they answer.
    await client.refresh(topics);
    findings.push(...(await checkProducer(client)));
    findings.push(...(await checkTopics(client, kafka, topics)));
  } catch (failure) {
    findings.push(connectionFinding(failure, kafka));
  } finally {
    client.close();
  }
  return findings;
}

function checkCompression({ compression }: KafkaConfig): Finding[] {
  if (compression !== 'zstd' || 'zstdCompressSync' in zlib) return [];
  const why = `this is Node ${process.versions.node}, which has no zstd`;
  return [error('kafka.compression is zstd', why, 'run Node 22.15 or newer, or set kafka.compression to snappy')];
}

/** The topics of tables that are named without a star. */
function exactTopics({ name, tables }: Pick<Config, 'name' | 'tables'>, { topic }: KafkaConfig): string[] {
  const names = new TopicNames(topic, name);
  const exact = tables.flatMap((pattern) => {
    const [, schema, table] = /^`?([^.*!`]+)`?\.`?([^.*`]+)`?$/.exec(pattern) ?? [];
    return schema === undefined || table === undefined ? [] : [{ schema, name: table, columns: [], key: [] }];
  });
  return [...new Set(exact.map((table) => names.topicOf(table)))];
}

/** Whether this user may write with idempotence. A cluster that has just started takes a moment. */
async function checkProducer(client: KafkaClient): Promise<Finding[]> {
  for (let left = PRODUCER_ATTEMPTS; ; left--) {
    try {
      await client.initProducerId();
      return [];
    } catch (failure) {
      if (!isAnswer(failure)) throw failure;
      const { errorCode } = failure.response as { errorCode: number };
      const { hint } = batchError(errorCode);
      if (hint === undefined && left > 1) {
        await sleep(PRODUCER_RETRY_MS);
        continue;
      }
      const what = `Kafka gives no producer id: ${errorText(errorCode)}`;
      const why = 'cdc writes with idempotence, so that a retry stores nothing twice';
      return [hint === undefined ? transientError(what, why, 'cdc run tries again') : error(what, why, hint)];
    }
  }
}

async function checkTopics(client: KafkaClient, kafka: KafkaConfig, names: readonly string[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  const missing = names.filter((name) => client.topic(name) === undefined);
  for (const name of missing) {
    const code = client.topicError(name) ?? UNKNOWN_TOPIC;
    if (code !== UNKNOWN_TOPIC) {
      const fix = batchError(code).hint ?? 'cdc run tries again';
      findings.push(error(`the topic ${name} cannot be seen: ${errorText(code)}`, 'cdc cannot write to it', fix));
    }
  }
  const absent = missing.filter((name) => (client.topicError(name) ?? UNKNOWN_TOPIC) === UNKNOWN_TOPIC);
  if (absent.length > 0 && kafka.create_topics === undefined) {
    const what = `there ${absent.length === 1 ? 'is no topic' : 'are no topics'} ${shortList(absent)}`;
    const fix = 'create what is missing, or let cdc create topics: kafka.create_topics';
    findings.push(error(what, 'a topic that is missing stops the stream at the first event for it', fix));
  }
  const topics = names.flatMap((name) => client.topic(name) ?? []);
  const keys = ['min.insync.replicas', 'max.message.bytes'];
  const settings = topics.length === 0 ? new Map() : await client.topicSettings(names, keys).catch(() => new Map());
  for (const topic of topics) findings.push(...checkTopic(topic, settings.get(topic.name) ?? new Map()));
  return findings;
}

function checkTopic({ name, partitions }: Topic, settings: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  const replicas = Math.min(...partitions.map((partition) => partition.replicas));
  const inSync = Number(settings.get('min.insync.replicas') ?? 0);
  if (replicas === 1) {
    const why = 'what cdc reports as delivered is lost with the disk of one broker';
    findings.push(warning(`the topic ${name} has one replica`, why, 'give the topic three replicas'));
  } else if (inSync === 1) {
    const why = 'an event counts as delivered when one broker has it, if the others are behind';
    findings.push(warning(`min.insync.replicas of the topic ${name} is 1`, why, 'set it to 2'));
  } else if (inSync >= replicas) {
    const why = 'the topic takes nothing while one broker is away';
    const what = `min.insync.replicas of the topic ${name} is ${inSync}, as many as it has replicas`;
    findings.push(warning(what, why, `set it to ${replicas - 1}`));
  }
  const bytes = Number(settings.get('max.message.bytes') ?? DEFAULT_MESSAGE_BYTES);
  if (bytes < DEFAULT_MESSAGE_BYTES) {
    const why = 'an event of a row with more becomes a dead letter';
    findings.push(warning(`max.message.bytes of the topic ${name} is ${bytes}`, why, 'raise it to the largest row'));
  }
  const leaderless = partitions.filter(({ leader }) => leader < 0).length;
  if (leaderless > 0) {
    const what = `${leaderless} of ${partitions.length} partitions of the topic ${name} have no leader`;
    findings.push(transientError(what, 'their brokers are away', 'start them; cdc run waits'));
  }
  return findings;
}

function connectionFinding(failure: unknown, { brokers, sasl }: KafkaConfig): Finding {
  const what = `no connection to Kafka (${shortList(brokers, 3)})`;
  if (failure instanceof CdcError) {
    return error(what, [failure.message, failure.why].filter(Boolean).join(': '), failure.hint ?? 'correct the file');
  }
  const why = kafkaFailureText(failure);
  const listener = listenerHint(failure);
  if (isAuthenticationFailure(failure)) {
    const fix =
      sasl?.mechanism === 'msk-iam'
        ? 'check the credentials of AWS and their policy (docs/KAFKA.md)'
        : 'check kafka.sasl: the mechanism, the username and the password';
    return error(`Kafka did not accept who cdc is (${shortList(brokers, 3)})`, why, listener ?? fix);
  }
  if (listener !== undefined) return transientError(what, why, listener);
  if (isCertificateFailure(failure)) {
    return error(what, why, 'set kafka.tls.ca_file to the authority that signed the certificates of the brokers');
  }
  return transientError(what, why, 'check kafka.brokers, kafka.tls and the network; cdc run tries again');
}
