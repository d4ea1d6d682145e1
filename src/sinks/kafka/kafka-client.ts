import { isIPv6 } from 'node:net';
import { type Connection, createTopicsV7, describeConfigsV4, initProducerIdV4, metadataV9 } from '@platformatic/kafka';
import {
  type BrokerAddress,
  BrokerConnection,
  type BrokerConnectionSettings,
  isAnswer,
  type KafkaCallback,
} from './connection.ts';
import { ANSWER_PATIENCE_MS } from './limits.ts';

export interface KafkaSettings extends BrokerConnectionSettings {
  /** Brokers to ask first. Their answer names all of them. */
  bootstrap: readonly BrokerAddress[];
}

export interface Topic {
  name: string;
  /** For each partition the broker that leads it, -1 if none does, and how many replicas it has. */
  partitions: { leader: number; replicas: number }[];
}

/** What a broker said about a topic: itself, or an error code. */
type TopicAnswer = { topic: Topic } | { errorCode: number };

export interface NewTopic {
  name: string;
  partitions: number;
  replicationFactor: number;
  config: Readonly<Record<string, string>>;
}

/** A result of a request for single topics. 0 stands for success. */
export interface TopicResult {
  name: string;
  errorCode: number;
  message: string | null;
}

const TOPIC_RESOURCE = 2;
/** Errors of a partition in metadata, such as one without a leader, do not concern the topic. */
const LEADER_NOT_AVAILABLE = 5;

/** An api of the library, of a broker. */
type Request<T> = (connection: Connection, callback: KafkaCallback<T>) => void;

/** The brokers of a cluster: connections, and who leads which partition. It retries nothing. */
export class KafkaClient {
  readonly #settings: KafkaSettings;
  readonly #brokers = new Map<number, BrokerAddress>();
  readonly #connections = new Map<string, BrokerConnection>();
  readonly #opening = new Map<string, Promise<BrokerConnection>>();
  readonly #topics = new Map<string, Topic>();
  /** What the last metadata had instead of a topic. */
  readonly #topicErrors = new Map<string, number>();
  #refreshing: Promise<void> | undefined;
  #wanted = new Set<string>();
  #next = 0;
  #isClosed = false;
  /** When metadata came last, milliseconds of `performance.now()`. */
  refreshedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: KafkaSettings) {
    this.#settings = settings;
  }

  /** A topic, as the last metadata have it. */
  topic(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** The error code that the last metadata had for a topic; undefined if none did. */
  topicError(name: string): number | undefined {
    return this.#topicErrors.get(name);
  }

  /** The broker that leads a partition, by the last metadata; undefined if none does. */
  leaderOf(topic: string, partition: number): number | undefined {
    const leader = this.#topics.get(topic)?.partitions[partition]?.leader ?? -1;
    return leader >= 0 && this.#brokers.has(leader) ? leader : undefined;
  }

  /** `host:port` of a broker, or its id if it is no longer in the cluster. */
  addressOf(broker: number): string {
    const address = this.#brokers.get(broker);
    return address === undefined ? String(broker) : `${address.host}:${address.port}`;
  }

  /** An open connection to a broker; undefined if it must be opened first. */
  openConnection(broker: number): BrokerConnection | undefined {
    const address = this.#brokers.get(broker);
    const connection = address && this.#connections.get(keyOf(address));
    return connection?.isUsable ? connection : undefined;
  }

  /** @throws the library's error, or a CdcError */
  async connect(broker: number): Promise<BrokerConnection> {
    const address = this.#brokers.get(broker);
    if (address === undefined) throw new Error(`broker ${broker} is not in the metadata`);
    return this.#connect(address);
  }

  /**
   * Asks a broker for the leaders of all topics that were ever asked for, and of these. Calls at the same time share
   * one request. @throws the error of the last broker that was tried
   */
  async refresh(topics: Iterable<string> = []): Promise<void> {
    const before = this.#wanted.size;
    for (const topic of topics) this.#wanted.add(topic);
    if (this.#refreshing !== undefined && this.#wanted.size > before) await this.#refreshing.catch(() => {});
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** The id of a new idempotent producer. @throws the library's error */
  async initProducerId(): Promise<bigint> {
    const { producerId } = await this.#ask<{ producerId: bigint }>((connection, callback) =>
      initProducerIdV4.api(connection, null, 0, -1n, -1, callback),
    );
    return producerId;
  }

  /** @param options `validateOnly` asks whether they could be created */
  async createTopics(topics: readonly NewTopic[], { validateOnly = false } = {}): Promise<TopicResult[]> {
    const requested = topics.map(({ name, partitions, replicationFactor, config }) => ({
      name,
      numPartitions: partitions,
      replicationFactor,
      assignments: [],
      configs: Object.entries(config).map(([key, value]) => ({ name: key, value })),
    }));
    const answer = await this.#ask<{
      topics: { name: string; errorCode: number; errorMessage?: string | null | undefined }[];
    }>(
      (connection, callback) =>
        createTopicsV7.api(connection, requested, this.#settings.requestTimeoutMs, validateOnly, callback),
      this.#settings.requestTimeoutMs,
    );
    return answer.topics.map(({ name, errorCode, errorMessage }) => ({
      name,
      errorCode,
      message: errorMessage ?? null,
    }));
  }

  /** Settings of topics by topic; topics that this user may not describe are left out. */
  async topicSettings(names: readonly string[], keys: readonly string[]): Promise<Map<string, Map<string, string>>> {
    const resources = names.map((resourceName) => ({
      resourceType: TOPIC_RESOURCE,
      resourceName,
      configurationKeys: [...keys],
    }));
    type Answer = Awaited<ReturnType<(typeof describeConfigsV4)['api']['async']>>;
    const answer = await this.#ask<Answer>((connection, callback) =>
      describeConfigsV4.api(connection, resources as never, false, false, callback),
    );
    const known = answer.results.filter(({ errorCode }) => errorCode === 0);
    return new Map(
      known.map(({ resourceName, configs }) => [
        resourceName,
        new Map(configs.flatMap(({ name, value }) => (value == null ? [] : [[name, value] as const]))),
      ]),
    );
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #refresh(): Promise<void> {
    const answer = await this.#ask<MetadataAnswer>((connection, callback) =>
      metadataV9.api(connection, [...this.#wanted], false, false, callback),
    );
    // A broker that just starts may not know the others yet.
    if (answer.brokers.length > 0) this.#brokers.clear();
    for (const { nodeId, host, port } of answer.brokers) this.#brokers.set(nodeId, { host, port });
    this.#topicErrors.clear();
    for (const [name, found] of topicAnswers(answer)) {
      if ('topic' in found) {
        this.#topics.set(name, found.topic);
        continue;
      }
      this.#topicErrors.set(name, found.errorCode);
      if (found.errorCode === UNKNOWN_TOPIC) this.#topics.delete(name);
    }
    this.refreshedAt = performance.now();
  }

  /**
   * Asks one broker after the other until one answers, those with an open connection first. One that is silent is left
   * for the next one soon, and keeps its connection: the request can be behind others that take their time.
   * @throws the last error
   */
  async #ask<T>(request: Request<T>, patienceMs = ANSWER_PATIENCE_MS): Promise<T> {
    const addresses = new Map<string, BrokerAddress>();
    for (const address of [...this.#brokers.values(), ...this.#settings.bootstrap]) {
      addresses.set(keyOf(address), address);
    }
    const turns = rotated([...addresses.values()], this.#next++);
    const isOpen = (address: BrokerAddress) => this.#connections.get(keyOf(address))?.isUsable === true;
    const asked = [...turns.filter(isOpen), ...turns.filter((address) => !isOpen(address))];
    let failure: unknown;
    for (const [i, address] of asked.entries()) {
      if (this.#isClosed) break;
      try {
        const answer = this.#connect(address).then((connection) => connection.call(request));
        // Nobody else is left to ask: the timeout of requests applies.
        if (i === asked.length - 1) return await answer;
        return await within(answer, patienceMs, `${keyOf(address)} did not answer`);
      } catch (error) {
        if (isAnswer(error)) return answerOf(error) as T;
        failure = error;
      }
    }
    throw failure ?? new Error('the sink is closed');
  }

  async #connect(address: BrokerAddress): Promise<BrokerConnection> {
    const key = keyOf(address);
    const known = this.#connections.get(key);
    if (known?.isUsable) return known;
    let opening = this.#opening.get(key);
    if (opening === undefined) {
      opening = BrokerConnection.open(address, this.#settings).finally(() => this.#opening.delete(key));
      this.#opening.set(key, opening);
    }
    const connection = await opening;
    if (this.#isClosed) {
      connection.close();
      throw new Error('the sink is closed');
    }
    this.#connections.set(key, connection);
    return connection;
  }
}

interface MetadataAnswer {
  brokers: { nodeId: number; host: string; port: number }[];
  topics: {
    errorCode: number;
    name?: string | null | undefined;
    partitions: { partitionIndex: number; leaderId: number; replicaNodes: number[] }[];
  }[];
}

export const UNKNOWN_TOPIC = 3;

/** The whole answer, where the library throws it because of an error of a part; its errors are in it. */
function answerOf(error: { response: unknown }): unknown {
  const { errorCode } = error.response as { errorCode?: number };
  // An error of the whole answer, not of a topic in it.
  if (errorCode !== undefined && errorCode !== 0) throw error;
  return error.response;
}

function topicAnswers({ topics }: MetadataAnswer): Map<string, TopicAnswer> {
  const answers = new Map<string, TopicAnswer>();
  for (const { errorCode, name, partitions } of topics) {
    if (typeof name !== 'string') continue;
    if ((errorCode !== 0 && errorCode !== LEADER_NOT_AVAILABLE) || partitions.length === 0) {
      answers.set(name, { errorCode: errorCode === 0 ? UNKNOWN_TOPIC : errorCode });
      continue;
    }
    const byIndex = [...partitions].sort((a, b) => a.partitionIndex - b.partitionIndex);
    const known = byIndex.map(({ leaderId, replicaNodes }) => ({ leader: leaderId, replicas: replicaNodes.length }));
    answers.set(name, { topic: { name, partitions: known } });
  }
  return answers;
}

/** Settles like `work`, or rejects after that time; the work itself continues. */
function within<T>(work: Promise<T>, ms: number, reason: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${reason} within ${ms / 1000} s`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const keyOf = ({ host, port }: BrokerAddress): string => `${isIPv6(host) ? `[${host}]` : host}:${port}`;

const rotated = <T>(list: readonly T[], by: number): T[] => {
  const start = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
};
