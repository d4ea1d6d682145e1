import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/local/demo/random.ts';
import { copyJavaSource } from '../kafka/compiled-copy.ts';
import { type KafkaServer, startKafka } from '../kafka/kafka-server.ts';
import { type LostAnswer, TcpProxy } from '../tcp-proxy.ts';
import type { StoredEvent } from './event-log.ts';
import { Links } from './links.ts';
import type { TransportOptions, TransportUnderTest } from './transport-under-test.ts';
import { weightedChoice } from './weighted-choice.ts';

/** The topics of the pipeline `chaos` begin with it. */
const PREFIX = 'chaos.';
const PARTITIONS = 3;
/** A cut finds batches that are stored and not answered. */
const DELAY_MS = 15;
/** With it a send ends with an unknown outcome while its broker is away; otherwise it outlasts all faults. */
const SHORT_TIMEOUT = '1s';

/** What happens to a broker, with weights. */
const BROKER_FAULTS = { kill: 20, stop: 15, pause: 30, delay: 25, none: 10 };

const USER = 'cdc';
const PASSWORD = 'secret';

/** The daemon can do everything while there is no rule for its topics. Brokers and the reader always can. */
const AUTHORIZER = {
  'super.users': 'User:ANONYMOUS',
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
};
/** While these are rules for the daemon, it cannot write. */
const READ_ONLY = ['READ', 'DESCRIBE', 'DESCRIBE_CONFIGS'];

/** An Apache Kafka whose brokers are killed, stopped and paused. What it has stored is only seen by reading it. */
export async function startKafkaUnderTest({ seed, brokers, onFault }: TransportOptions): Promise<TransportUnderTest> {
  copyJavaSource();
  const proxies: TcpProxy[] = [];
  const kafka = await startKafka({
    brokers,
    sasl: { mechanisms: ['PLAIN'], users: { [USER]: PASSWORD } },
    settings: AUTHORIZER,
    async proxy(port) {
      const proxy = await TcpProxy.listen(port);
      proxy.delayMs = DELAY_MS;
      proxies.push(proxy);
      return proxy.port;
    },
  });
  const link = new Links(proxies);
  const nemesis = new BrokerNemesis(kafka, proxies, onFault);
  const offsets = new Map<string, number>();
  let isReadOnly = false;

  async function setReadOnly(on: boolean): Promise<void> {
    if (on === isReadOnly) return;
    isReadOnly = on;
    const rule = { resource: 'TOPIC', name: PREFIX, user: USER };
    if (on) for (const operation of READ_ONLY) await kafka.admin('allow', { ...rule, operation });
    else await kafka.admin('withdraw');
  }

  async function readNew(): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    for (const { topic, partition, offset, timestamp, key, value } of await kafka.readNew(PREFIX, offsets)) {
      const place = `${topic}/${partition}`;
      offsets.set(place, offset + 1);
      // A tombstone.
      if (value === null) continue;
      const message = { key: key?.toString() ?? null, line: value.toString(), offset: String(offset), at: timestamp };
      events.push({ partition: place, ...message });
    }
    return events;
  }

  const topics = `{ partitions: ${PARTITIONS}, config: { message.timestamp.type: LogAppendTime } }`;
  return {
    configuration: `kafka:
  brokers: ${JSON.stringify(kafka.bootstrap)}
  sasl: { mechanism: plain, username: ${USER}, password: ${PASSWORD} }
  create_topics: ${topics}
  linger: 2ms
${seed % 2 === 1 ? `  timeout: ${SHORT_TIMEOUT}\n` : ''}`,
    link,
    // A retry has the same bytes, which are stored once.
    lostAnswers: nemesis.late,
    countsRepeats: true,
    log: {
      keyPerRow: true,
      isOnlyWitness: true,
      readNew,
      parentsOf: () => [],
      storedByCalls: undefined,
    },
    async injectFaults(random, signal) {
      await setReadOnly(false);
      await nemesis.attack(random, signal);
    },
    rejectEverything: () => setReadOnly(true),
    failSomeRecords() {},
    async endFaults() {
      await setReadOnly(false);
      await nemesis.end();
    },
    daemonDied() {
      // What is on the wire could be stored after the start of the next daemon.
      link.cut('rst');
      nemesis.daemonDied();
    },
    // The consumer continues where it was.
    async clear() {},
    async close() {
      await link.close();
      await kafka.close();
    },
  };
}

/** Attacks one broker at a time. */
class BrokerNemesis {
  /** When a broker was paused that can have stored later what a daemon had sent that was dead by then. */
  readonly late: LostAnswer[] = [];
  readonly #kafka: KafkaServer;
  readonly #proxies: readonly TcpProxy[];
  readonly #onFault: TransportOptions['onFault'];
  #attacking: Promise<void> | undefined;
  #pausedSince: number | undefined;
  #diedWhilePaused = false;

  constructor(kafka: KafkaServer, proxies: readonly TcpProxy[], onFault: TransportOptions['onFault']) {
    this.#kafka = kafka;
    this.#proxies = proxies;
    this.#onFault = onFault;
  }

  /** Resolves when the attack is over, or at once if another one is under way. */
  async attack(random: Random, signal: AbortSignal): Promise<void> {
    if (this.#attacking) return;
    this.#attacking = this.#attack(random, signal);
    await this.#attacking.finally(() => {
      this.#attacking = undefined;
    });
  }

  async end(): Promise<void> {
    await this.#attacking;
    for (const proxy of this.#proxies) proxy.delayMs = DELAY_MS;
  }

  /** A paused broker stores later what the dead daemon has sent. */
  daemonDied(): void {
    if (this.#pausedSince !== undefined) this.#diedWhilePaused = true;
  }

  async #attack(random: Random, signal: AbortSignal): Promise<void> {
    const kafka = this.#kafka;
    const broker = random.below(this.#proxies.length);
    const fault = weightedChoice(random, BROKER_FAULTS);
    const ms = random.below(random.chance(0.3) ? 6_000 : 1_500);
    const delayMs = random.below(250);
    for (const proxy of this.#proxies) proxy.delayMs = DELAY_MS;
    if (fault !== 'none') this.#onFault(`broker: ${fault}`);
    switch (fault) {
      case 'kill':
      case 'stop':
        if (fault === 'kill') await kafka.killBroker(broker);
        else await kafka.stopBroker(broker);
        await pause(ms, signal);
        await kafka.startBroker(broker);
        break;
      case 'pause':
        kafka.pauseBroker(broker);
        this.#pausedSince = Date.now();
        await pause(ms, signal);
        kafka.resumeBroker(broker);
        if (this.#diedWhilePaused) this.late.push({ from: this.#pausedSince, to: Date.now() });
        this.#diedWhilePaused = false;
        this.#pausedSince = undefined;
        break;
      case 'delay':
        for (const proxy of this.#proxies) proxy.delayMs = delayMs;
    }
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});
