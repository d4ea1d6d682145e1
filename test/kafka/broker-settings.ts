/** How clients of a Kafka of the tests identify themselves. */
export interface KafkaSasl {
  mechanisms: readonly ('PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER')[];
  /** Passwords by name, for all mechanisms but OAUTHBEARER: that one takes any unsecured JWT with a `sub`. */
  users: Record<string, string>;
}

/** PEM texts. With `clientCa` clients must show a certificate of it. */
export interface KafkaTls {
  key: string;
  certificate: string;
  clientCa?: string;
}

/** Ports on 127.0.0.1 of one broker. */
export interface BrokerPorts {
  /** For the clients under test, behind SASL and TLS as the test wants it. */
  client: number;
  /** What the metadata say instead of `client`: a proxy of the test. */
  advertised: number;
  /** Plaintext, for brokers among each other and the tool of the tests. */
  internal: number;
  controller: number;
}

/** The settings of broker `id` (1 and up) of these, which all are controllers too. */
export function brokerSettings(options: {
  id: number;
  ports: readonly BrokerPorts[];
  directory: string;
  /** The name of this machine in the metadata, which a certificate can have. */
  advertisedHost: string;
  sasl?: KafkaSasl | undefined;
  tls?: KafkaTls | undefined;
  settings?: Record<string, string | number> | undefined;
}): string {
  const { id, ports, directory, sasl, tls } = options;
  const own = ports[id - 1] as BrokerPorts;
  const copies = ports.length;
  const protocol = sasl ? (tls ? 'SASL_SSL' : 'SASL_PLAINTEXT') : tls ? 'SSL' : 'PLAINTEXT';
  const at = (port: number) => `127.0.0.1:${port}`;
  const all: Record<string, string | number> = {
    'node.id': id,
    'process.roles': 'broker,controller',
    'controller.quorum.voters': ports.map((each, index) => `${index + 1}@${at(each.controller)}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    listeners: `CLIENT://${at(own.client)},INTERNAL://${at(own.internal)},CONTROLLER://${at(own.controller)}`,
    'advertised.listeners': `CLIENT://${options.advertisedHost}:${own.advertised},INTERNAL://${at(own.internal)}`,
    'listener.security.protocol.map': `CLIENT:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'log.dirs': directory,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': copies,
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // A killed broker loses its partitions, and can come back, after this time.
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 500,
    // Small: there are up to three on two cores, beside much else.
    'num.network.threads': 2,
    'num.io.threads': 3,
    'background.threads': 2,
    'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
    'log.index.size.max.bytes': 1024 * 1024,
    ...(sasl ? saslSettings(sasl) : {}),
    ...(tls ? tlsSettings(tls) : {}),
    ...options.settings,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`)
    .join('');
}

function saslSettings({ mechanisms, users }: KafkaSasl): Record<string, string> {
  const prefix = 'listener.name.client';
  const known = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const modules = {
    PLAIN: `org.apache.kafka.common.security.plain.PlainLoginModule required ${known.join(' ')};`,
    'SCRAM-SHA-256': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'SCRAM-SHA-512': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    OAUTHBEARER: 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;',
  };
  const jaas = mechanisms.map((name) => [`${prefix}.${name.toLowerCase()}.sasl.jaas.config`, modules[name]]);
  return { [`${prefix}.sasl.enabled.mechanisms`]: mechanisms.join(','), ...Object.fromEntries(jaas) };
}

function tlsSettings({ key, certificate, clientCa }: KafkaTls): Record<string, string> {
  const prefix = 'listener.name.client.ssl';
  return {
    [`${prefix}.keystore.type`]: 'PEM',
    [`${prefix}.keystore.key`]: key,
    [`${prefix}.keystore.certificate.chain`]: certificate,
    ...(clientCa
      ? {
          [`${prefix}.truststore.type`]: 'PEM',
          [`${prefix}.truststore.certificates`]: clientCa,
          [`${prefix}.client.auth`]: 'required',
        }
      : {}),
  };
}
