import { SASL_MECHANISMS, type SaslMechanism } from '../../config/sasl-mechanisms.ts';
import type { Asking, InitTransport, TransportFlag, TransportFlags } from './transport.ts';
import { literal, optionalKey, type WrittenKey } from './written-key.ts';

const PASSWORD_VARIABLE = 'CDC_KAFKA_PASSWORD';

/** Brokers with commas between them, as in the settings of Kafka's own clients. */
const splitBrokers = (text: string): string[] =>
  text
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');

const FLAGS: readonly TransportFlag[] = [
  {
    name: 'brokers',
    option: '--brokers <host:port...>',
    description: 'kafka.brokers; one that answers is enough',
    key: ['brokers'],
    split: splitBrokers,
  },
  {
    name: 'createTopics',
    option: '--create-topics <partitions>',
    description: 'kafka.create_topics (default: a missing topic stops the daemon)',
    key: ['create_topics', 'partitions'],
  },
  {
    name: 'kafkaTls',
    option: '--kafka-tls',
    description: 'kafka.tls, with the authorities that Node trusts',
    key: ['tls'],
  },
  {
    name: 'kafkaCaFile',
    option: '--kafka-ca-file <file>',
    description: 'kafka.tls.ca_file, the certificate authority of the brokers',
    key: ['tls', 'ca_file'],
  },
  {
    name: 'kafkaSasl',
    option: '--kafka-sasl <mechanism>',
    description: 'kafka.sasl.mechanism (default: no authentication)',
    key: ['sasl', 'mechanism'],
    choices: SASL_MECHANISMS,
  },
  {
    name: 'kafkaUsername',
    option: '--kafka-username <name>',
    description: 'kafka.sasl.username; not for msk-iam',
    key: ['sasl', 'username'],
  },
  {
    name: 'kafkaPasswordFile',
    option: '--kafka-password-file <file>',
    description: 'a file that contains only its password',
    key: ['sasl', 'password_file'],
  },
];

const usesPassword = ({ kafkaSasl }: TransportFlags): boolean => kafkaSasl !== undefined && kafkaSasl !== 'msk-iam';
const namesAccount = ({ kafkaUsername, kafkaPasswordFile }: TransportFlags): boolean =>
  (kafkaUsername ?? kafkaPasswordFile) !== undefined;

export const kafkaTransport: InitTransport = {
  title: 'Apache Kafka',
  purpose: 'many programs read a topic for each table, for as long as it keeps them',
  flags: FLAGS,
  example: (flags) => {
    const mechanism = flags.kafkaSasl ?? 'scram-sha-512';
    const account = ` --kafka-tls --kafka-sasl ${mechanism} --kafka-username cdc --kafka-password-file kafka-password`;
    const needsAccount = usesPassword(flags) || (flags.kafkaSasl === undefined && namesAccount(flags));
    return `--brokers kafka.example.com:9092 --create-topics 12${needsAccount ? account : ''}`;
  },
  least: { brokers: ['any:9092'] },
  missing: (flags, env) => [
    ...(flags.brokers === undefined ? ['--brokers'] : []),
    ...(namesAccount(flags) && flags.kafkaSasl === undefined ? ['--kafka-sasl'] : []),
    ...(usesPassword(flags) && flags.kafkaUsername === undefined ? ['--kafka-username'] : []),
    ...(kafkaTransport.password(flags) !== undefined && !env[PASSWORD_VARIABLE]
      ? [`${PASSWORD_VARIABLE} or --kafka-password-file`]
      : []),
  ],
  async ask(flags, asking) {
    const { prompts, problem } = asking;
    const brokers =
      flags.brokers ??
      splitBrokers(
        await prompts.text('The brokers as host:port, with commas between them', {
          placeholder: 'kafka.example.com:9092',
          validate: (value) => problem('brokers', splitBrokers(value)),
        }),
      );
    const partitions =
      flags.createTopics ??
      (await prompts.text(
        'Partitions of the topics that cdc creates (empty: it creates none, and stops at a missing one)',
        {
          initialValue: '12',
          validate: (value) => (value === '' ? undefined : problem('createTopics', value)),
        },
      ));
    const secured = await askSecurity(flags, asking);
    return { ...secured, brokers, ...(partitions !== '' && { createTopics: partitions }) };
  },
  password: (flags) =>
    usesPassword(flags) && flags.kafkaPasswordFile === undefined
      ? { variable: PASSWORD_VARIABLE, question: 'The password for Kafka' }
      : undefined,
  note: ({ createTopics }) =>
    createTopics === undefined
      ? 'cdc creates no topics: the daemon stops at the first event for a missing topic; create them, or let cdc do it with --create-topics <partitions>'
      : undefined,
  keys: (flags) => [{ key: 'kafka', entries: sectionOf(flags) }],
};

const MECHANISM_LABELS: Record<SaslMechanism, string> = {
  'scram-sha-512': 'a password with SCRAM-SHA-512',
  'scram-sha-256': 'a password with SCRAM-SHA-256',
  plain: 'a password with PLAIN',
  'msk-iam': 'IAM of Amazon MSK',
};
const MECHANISMS = Object.entries(MECHANISM_LABELS).map(([value, label]) => ({ value: value as SaslMechanism, label }));

async function askSecurity(flags: TransportFlags, asking: Asking): Promise<TransportFlags> {
  const { prompts, problem } = asking;
  let answers = flags;
  if (flags.kafkaSasl === undefined && namesAccount(flags)) {
    const mechanisms = MECHANISMS.filter(({ value }) => value !== 'msk-iam');
    answers = { ...flags, kafkaSasl: await prompts.choose('The mechanism of SASL', mechanisms) };
  } else if (flags.kafkaSasl === undefined && !usesTls(flags)) {
    answers = { ...flags, ...(await askMechanism(asking)) };
  }
  if (!usesPassword(answers) || answers.kafkaUsername !== undefined) return answers;
  const validate = (value: string) => problem('kafkaUsername', value);
  return { ...answers, kafkaUsername: await prompts.text('The user name for Kafka', { validate }) };
}

/** One question for those who need no security. */
async function askMechanism({ prompts }: Asking): Promise<TransportFlags> {
  const chosen = await prompts.choose('What the brokers need of cdc', [
    { value: 'nothing' as const, label: 'nothing', hint: 'neither TLS nor a password' },
    { value: 'tls' as const, label: 'TLS' },
    ...MECHANISMS,
  ]);
  if (chosen === 'nothing') return {};
  if (chosen === 'msk-iam') return { kafkaSasl: chosen };
  const sasl = chosen === 'tls' ? {} : { kafkaSasl: chosen };
  if (chosen !== 'tls' && !(await prompts.confirm('Do they use TLS?'))) return sasl;
  const kafkaCaFile = await prompts.certificates('PEM file of their certificate authority (empty if Node trusts it)');
  return { ...sasl, kafkaTls: true, ...(kafkaCaFile !== '' && { kafkaCaFile }) };
}

const usesTls = ({ kafkaTls, kafkaCaFile, kafkaSasl }: TransportFlags): boolean =>
  kafkaTls === true || kafkaCaFile !== undefined || kafkaSasl === 'msk-iam';

function sectionOf(flags: TransportFlags): WrittenKey[] {
  const { brokers = [], createTopics, kafkaCaFile } = flags;
  const replication: WrittenKey = { key: 'replication_factor', value: 3, disabled: true };
  return [
    { key: 'brokers', value: [...new Set(brokers)].map(literal) },
    kafkaCaFile === undefined
      ? { key: 'tls', value: true, ...(!usesTls(flags) && { disabled: true }) }
      : { key: 'tls', entries: [{ key: 'ca_file', value: literal(kafkaCaFile) }] },
    saslOf(flags),
    { key: 'topic', value: '{name}.{db}.{table}', disabled: true },
    createTopics === undefined
      ? { key: 'create_topics', value: { partitions: 12, replication_factor: 3 }, disabled: true }
      : { key: 'create_topics', entries: [{ key: 'partitions', value: Number(createTopics) }, replication] },
  ];
}

function saslOf(flags: TransportFlags): WrittenKey {
  const { kafkaSasl, kafkaUsername = '', kafkaPasswordFile } = flags;
  const password = `\${${PASSWORD_VARIABLE}}`;
  if (kafkaSasl === undefined) {
    return { key: 'sasl', value: { mechanism: 'scram-sha-512', username: 'cdc', password }, disabled: true };
  }
  const mechanism: WrittenKey = { key: 'mechanism', value: kafkaSasl };
  if (kafkaSasl === 'msk-iam') {
    return { key: 'sasl', entries: [mechanism, { key: 'region', value: 'eu-west-1', disabled: true }] };
  }
  return {
    key: 'sasl',
    entries: [
      mechanism,
      { key: 'username', value: literal(kafkaUsername) },
      { key: 'password', value: password, ...(kafkaPasswordFile !== undefined && { disabled: true }) },
      optionalKey('password_file', kafkaPasswordFile, '/run/secrets/kafka-password'),
    ],
  };
}
