import type { ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../src/runtime/free-port.ts';
import { findKafka, type KafkaArtifacts } from './artifacts.ts';
import { type BrokerPorts, brokerSettings, type KafkaSasl, type KafkaTls } from './broker-settings.ts';
import { KafkaTool, type StoredRecord } from './kafka-tool.ts';
import { spawnJava } from './spawn-java.ts';

export interface KafkaOptions {
  brokers?: 1 | 2 | 3;
  sasl?: KafkaSasl;
  tls?: KafkaTls;
  /** The name of this machine for clients; default: 127.0.0.1. */
  advertisedHost?: string;
  /** More settings of every broker, or others than broker-settings.ts has. */
  settings?: Record<string, string | number>;
  /** Given the port of a broker, makes a proxy in front of it and returns the port of that. */
  proxy?: (port: number) => Promise<number>;
}

/** An Apache Kafka (KRaft) of this machine, with data of its own. Brokers are numbered from 0. */
export interface KafkaServer {
  /** `HOST:PORT` of each broker, or of the proxy in front of it. */
  bootstrap: string[];
  createTopic(name: string, partitions?: number, config?: Record<string, string | number>): Promise<void>;
  /** Its own client of the administration: see KafkaTool.java for the commands. */
  admin(command: string, fields?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** For each partition the number of the broker that leads it, -1 if none does, and of those in sync. */
  partitions(topic: string): Promise<{ leader: number; inSync: number[] }[]>;
  /** Every record that the topic has now, of every partition; those of a partition are in order. Apache's consumer. */
  readTopic(topic: string): Promise<StoredRecord[]>;
  /**
   * The records of all topics that begin with the prefix, from these offsets, by `topic/partition`. A partition without
   * one is read from its beginning.
   */
  readNew(prefix: string, offsets: ReadonlyMap<string, number>): Promise<StoredRecord[]>;
  /** SIGTERM: the broker hands its partitions over first. */
  stopBroker(index: number): Promise<void>;
  /** SIGKILL. */
  killBroker(index: number): Promise<void>;
  /** SIGSTOP and SIGCONT: the broker keeps its connections, and is silent. */
  pauseBroker(index: number): void;
  resumeBroker(index: number): void;
  /** On the same ports and data. Resolves when the cluster has it. */
  startBroker(index: number): Promise<void>;
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 150_000;
/** Above it the system takes ports for connections, perhaps that of a broker which is down. */
const FIRST_EPHEMERAL_PORT = 32_768;

/** Starts brokers and resolves when all are members of the cluster. @throws Error with the end of their logs */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const artifacts = await findKafka();
  const directory = await mkdtemp(join(tmpdir(), 'cdc-kafka-'));
  const count = options.brokers ?? 1;
  const ports: BrokerPorts[] = [];
  for (let index = 0; index < count; index++) {
    const client = await quietPort();
    const advertised = options.proxy ? await options.proxy(client) : client;
    ports.push({ client, advertised, internal: await quietPort(), controller: await quietPort() });
  }
  const { advertisedHost = '127.0.0.1' } = options;
  const brokers: Broker[] = [];
  const clusterId = randomBytes(16).toString('base64url');
  for (let id = 1; id <= count; id++) {
    const data = join(directory, `${id}`);
    await mkdir(data);
    await writeFile(join(data, 'meta.properties'), metaProperties(clusterId, id));
    const file = join(directory, `${id}.properties`);
    const { sasl, tls, settings } = options;
    await writeFile(file, brokerSettings({ id, ports, directory: data, advertisedHost, sasl, tls, settings }));
    brokers.push(new Broker(artifacts, file));
  }
  const tool = new KafkaTool(artifacts, ports.map(({ internal }) => `127.0.0.1:${internal}`).join(','));
  const close = async () => {
    await Promise.all([tool.close(), ...brokers.map((broker) => broker.end('SIGKILL'))]);
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  const start = async (index: number) => {
    const broker = brokers[index] as Broker;
    broker.start();
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const { internal } = ports[index] as BrokerPorts;
      const question = tool.request('joined', { broker: `127.0.0.1:${internal}`, id: index + 1 });
      const { joined } = await Promise.race([question, broker.failure]);
      if (joined) return;
      if (Date.now() > deadline) throw new Error(`broker ${index} does not join the cluster\n${broker.log()}`);
      await sleep(50);
    }
  };
  try {
    await Promise.all(brokers.map((_, index) => start(index)));
    for (const [user, password] of Object.entries(options.sasl?.users ?? {})) {
      const mechanisms = options.sasl?.mechanisms.filter((name) => name.startsWith('SCRAM')) ?? [];
      if (mechanisms.length > 0) await tool.request('addUser', { user, password, mechanisms });
    }
  } catch (error) {
    await close();
    throw error;
  }
  const broker = (index: number) => {
    const found = brokers[index];
    if (!found) throw new Error(`there is no broker ${index}`);
    return found;
  };
  return {
    bootstrap: ports.map(({ advertised }) => `${advertisedHost}:${advertised}`),
    createTopic: async (topic, partitions = 1, config = {}) => {
      await tool.request('createTopic', { topic, partitions, config });
    },
    admin: (command, fields) => tool.request(command, fields),
    partitions: async (topic) => {
      const answer = (await tool.request('partitions', { topic })) as {
        partitions: { leader: number; isr?: number[] }[];
      };
      return answer.partitions.map(({ leader, isr = [] }) => ({
        leader: leader < 0 ? -1 : leader - 1,
        inSync: isr.map((id) => id - 1),
      }));
    },
    readTopic: (topic) => tool.read(topic),
    readNew: (prefix, offsets) => tool.readNew(prefix, offsets),
    stopBroker: (index) => broker(index).end('SIGTERM'),
    killBroker: (index) => broker(index).end('SIGKILL'),
    pauseBroker: (index) => broker(index).signal('SIGSTOP'),
    resumeBroker: (index) => broker(index).signal('SIGCONT'),
    startBroker: start,
    close,
  };
}

/** What `kafka-storage format` writes: the folder is that of this node of this cluster. */
const metaProperties = (clusterId: string, id: number) =>
  `version=1\ncluster.id=${clusterId}\nnode.id=${id}\ndirectory.id=${randomBytes(16).toString('base64url')}\n`;

async function quietPort(): Promise<number> {
  for (;;) {
    const port = randomInt(16_000, FIRST_EPHEMERAL_PORT);
    if ((await freePort(port)) === port) return port;
  }
}

/** A broker's process, of which there can be several after one another. */
class Broker {
  readonly #artifacts: KafkaArtifacts;
  readonly #file: string;
  #child: ChildProcess | undefined;
  log: () => string = () => '';
  /** Rejects when the process ends. */
  failure: Promise<never> = new Promise(() => {});

  constructor(artifacts: KafkaArtifacts, file: string) {
    this.#artifacts = artifacts;
    this.#file = file;
  }

  start(): void {
    if (this.#child) throw new Error('the broker runs already');
    const { child, log } = spawnJava(this.#artifacts, ['-Xms128m', '-Xmx256m', 'kafka.Kafka', this.#file]);
    this.#child = child;
    this.log = log;
    this.failure = once(child, 'close').then(([code, signal]) => {
      this.#child = undefined;
      throw new Error(`the broker ended (${signal ?? code})\n${log()}`);
    });
    this.failure.catch(() => {});
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#child) return;
    this.signal(signal);
    // A stopped process takes no SIGTERM.
    this.signal('SIGCONT');
    await this.failure.catch(() => {});
  }
}
