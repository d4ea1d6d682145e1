import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import type { KafkaConfig } from '../../config/kafka-schema.ts';
import { error, type Finding, shortList, transientError, warning } from '../../model/finding.ts';
import { CdcError } from '../../runtime/error.ts';
import type { TableTopic } from './check-topic-names.ts';
import { isAnswer } from './connection.ts';
import { isAuthenticationFailure, isCertificateFailure, kafkaFailureText, listenerHint } from './failure-text.ts';
import { type KafkaClient, type NewTopic, type Topic, UNKNOWN_TOPIC } from './kafka-client.ts';
import { kafkaClient, newTopicOf } from './open-sinks.ts';
import { batchError, errorText } from './protocol-errors.ts';
import { CREATE_AGAIN, TOPIC_ALREADY_EXISTS } from './topic-directory.ts';

/** Time for all requests of the check to one broker. */
const CHECK_TIMEOUT_MS = 20_000;
const PRODUCER_ATTEMPTS = 10;
const PRODUCER_RETRY_MS = 500;
const DEFAULT_MESSAGE_BYTES = 1_048_588;

/** @param captured the topics of the captured tables; none if the source does not answer */
export async function checkKafka(
  kafka: KafkaConfig,
  pipeline: string,
  captured: Promise<readonly TableTopic[]>,
): Promise<Finding[]> {
  const client = kafkaClient(kafka, pipeline, CHECK_TIMEOUT_MS);
  const findings = checkCompression(kafka);
  try {
    const topics = await captured;
    // Without a name the brokers list no topics, and still show that they answer.
    await client.refresh(topics.map(({ name }) => name));
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

async function checkTopics(
  client: KafkaClient,
  kafka: KafkaConfig,
  captured: readonly TableTopic[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const missing = captured.filter(({ name }) => client.topic(name) === undefined);
  for (const { name } of missing) {
    const code = client.topicError(name) ?? UNKNOWN_TOPIC;
    if (code !== UNKNOWN_TOPIC) {
      const fix = batchError(code).hint ?? 'cdc run tries again';
      findings.push(error(`the topic ${name} cannot be seen: ${errorText(code)}`, 'cdc cannot write to it', fix));
    }
  }
  const absent = missing.filter(({ name }) => (client.topicError(name) ?? UNKNOWN_TOPIC) === UNKNOWN_TOPIC);
  const newTopic = newTopicOf(kafka);
  if (newTopic !== undefined) findings.push(...(await checkCreation(client, absent.slice(0, 1), newTopic)));
  else {
    findings.push(
      ...absentTopics(
        absent.filter(({ isNamed }) => isNamed),
        error,
      ),
    );
    // A table behind a star may never change.
    findings.push(
      ...absentTopics(
        absent.filter(({ isNamed }) => !isNamed),
        warning,
      ),
    );
  }
  const topics = captured.flatMap(({ name }) => client.topic(name) ?? []);
  const keys = ['min.insync.replicas', 'max.message.bytes'];
  const present = topics.map(({ name }) => name);
  const settings = topics.length === 0 ? undefined : await client.topicSettings(present, keys).catch(() => undefined);
  const checked = topics.map((topic) => ({ name: topic.name, ...checkedTopic(topic, settings?.get(topic.name)) }));
  for (const { applies, finding } of TOPIC_CHECKS) {
    const found = checked.filter(applies).map(({ name }) => name);
    if (found.length > 0) findings.push(finding(found));
  }
  return findings;
}

/** Asks whether the topic could be created; none is. */
async function checkCreation(
  client: KafkaClient,
  topics: readonly TableTopic[],
  newTopic: Omit<NewTopic, 'name'>,
): Promise<Finding[]> {
  if (topics.length === 0) return [];
  const wanted = topics.map(({ name }) => ({ name, ...newTopic }));
  const results = await client.createTopics(wanted, { validateOnly: true });
  return results.flatMap(({ name, errorCode, message }) => {
    if (errorCode === 0 || errorCode === TOPIC_ALREADY_EXISTS) return [];
    const what = `Kafka would not create the topic ${name}: ${errorText(errorCode, message)}`;
    const fix = 'correct kafka.create_topics, or create the topics (docs/KAFKA.md)';
    const finding = CREATE_AGAIN.has(errorCode) ? transientError : error;
    return [finding(what, 'cdc creates the topic of a table before its first event', fix)];
  });
}

function absentTopics(topics: readonly TableTopic[], finding: typeof error): Finding[] {
  if (topics.length === 0) return [];
  const names = topics.map(({ name }) => name);
  const what = `there ${names.length === 1 ? 'is no topic' : 'are no topics'} ${shortList(names)}`;
  const fix = 'create what is missing, or let cdc create topics: kafka.create_topics';
  return [finding(what, 'a topic that is missing stops the daemon at the first event for it', fix)];
}

interface CheckedTopic {
  /** The smallest number of replicas of a partition. */
  replicas: number;
  inSync: number;
  messageBytes: number;
  hasLeaders: boolean;
}

/** What can be wrong with a topic, and the finding that names those with which it is. */
const TOPIC_CHECKS: { applies: (topic: CheckedTopic) => boolean; finding: (names: string[]) => Finding }[] = [
  {
    applies: ({ replicas }) => replicas === 1,
    finding: (names) =>
      warning(
        `${subject(names)} ${names.length === 1 ? 'has' : 'have'} one replica`,
        'what cdc reports as delivered is lost with the disk of one broker',
        'give each topic three replicas',
      ),
  },
  {
    applies: ({ replicas, inSync }) => replicas > 1 && inSync === 1,
    finding: (names) =>
      warning(
        `min.insync.replicas of ${subject(names)} is 1`,
        'an event counts as delivered when one broker has it, if the others are behind',
        'set it to 2',
      ),
  },
  {
    applies: ({ replicas, inSync }) => replicas > 1 && inSync >= replicas,
    finding: (names) =>
      warning(
        `min.insync.replicas of ${subject(names)} is the number of replicas`,
        'nothing is stored while one broker is away',
        'set it to one less',
      ),
  },
  {
    applies: ({ messageBytes }) => messageBytes < DEFAULT_MESSAGE_BYTES,
    finding: (names) =>
      warning(
        `max.message.bytes of ${subject(names)} is less than the default of Kafka (${DEFAULT_MESSAGE_BYTES})`,
        'an event of a row with more becomes a dead letter',
        'raise it to the largest row',
      ),
  },
  {
    applies: ({ hasLeaders }) => !hasLeaders,
    finding: (names) =>
      transientError(
        `partitions of ${subject(names)} have no leader`,
        'their brokers are away',
        'start them; cdc run waits',
      ),
  },
];

const subject = (names: readonly string[]): string =>
  names.length === 1 ? `the topic ${names[0]}` : `the topics ${shortList(names)}`;

const checkedTopic = ({ partitions }: Topic, settings: ReadonlyMap<string, string> | undefined): CheckedTopic => ({
  replicas: Math.min(...partitions.map((partition) => partition.replicas)),
  inSync: Number(settings?.get('min.insync.replicas') ?? 0),
  messageBytes: Number(settings?.get('max.message.bytes') ?? DEFAULT_MESSAGE_BYTES),
  hasLeaders: partitions.every(({ leader }) => leader >= 0),
});

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
