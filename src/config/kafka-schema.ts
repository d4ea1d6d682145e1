import { z } from 'zod';
import { numberWithUnit, parseInteger, runCheck, validatedString } from './refinements.ts';
import { SASL_MECHANISMS } from './sasl-mechanisms.ts';
import { region } from './sink-schema.ts';
import { parseDuration } from './units.ts';

const BROKER = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/;

/** `host:port`, or `[IPv6]:port`. @throws Error if the text is neither */
export function parseBroker(text: string): { host: string; port: number } {
  const [, ipv6, name, port] = BROKER.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new Error('must look like b-1.example.com:9092 or [::1]:9092');
  }
  return { host, port: Number(port) };
}

const tls = z
  .strictObject({
    ca_file: z.string().optional().describe('PEM file of the authority, if Node does not trust it by default.'),
    cert_file: z.string().optional().describe('PEM file of the client certificate. It needs key_file.'),
    key_file: z.string().optional().describe('PEM file of the key of the client certificate, without a passphrase.'),
  })
  .superRefine(({ cert_file, key_file }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (cert_file !== undefined && key_file === undefined) issue('cert_file', 'needs key_file');
    if (key_file !== undefined && cert_file === undefined) issue('key_file', 'needs cert_file');
  });

const sasl = z
  .strictObject({
    mechanism: z
      .enum(SASL_MECHANISMS)
      .describe("msk-iam: the credentials of AWS, as the AWS SDK finds them, for Amazon MSK's IAM access control."),
    username: z.string().min(1).optional().describe('Not for msk-iam.'),
    password: z.string().min(1).optional().describe('The password. An environment variable keeps it out of the file.'),
    password_file: z
      .string()
      .optional()
      .describe('A file that contains only the password. It is read for each connection, so it can be rotated.'),
    region: region.describe(
      'For msk-iam. Default: that of the name of a broker, AWS_REGION, or the AWS configuration.',
    ),
  })
  .superRefine(({ mechanism, username, password, password_file, region }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (mechanism === 'msk-iam') {
      if (username !== undefined) issue('username', 'has no effect with mechanism: msk-iam; remove it');
      if (password !== undefined) issue('password', 'has no effect with mechanism: msk-iam; remove it');
      if (password_file !== undefined) issue('password_file', 'has no effect with mechanism: msk-iam; remove it');
      return;
    }
    if (region !== undefined) issue('region', 'is only for mechanism: msk-iam; remove it');
    if (username === undefined) issue('username', `is missing; mechanism: ${mechanism} needs it`);
    if (password === undefined && password_file === undefined) {
      issue('password', 'is missing; set password or password_file');
    }
    if (password !== undefined && password_file !== undefined) {
      issue('password_file', 'cannot be combined with kafka.sasl.password');
    }
  });

const createTopics = z.strictObject({
  partitions: numberWithUnit(parseInteger, { min: 1, max: 10_000, what: 'a whole number from 1 to 10000' }).describe(
    'Partitions of a new topic.',
  ),
  replication_factor: numberWithUnit(parseInteger, { min: 1, max: 100, what: 'a whole number from 1 to 100' })
    .optional()
    .describe('Default: default.replication.factor of the brokers.'),
  config: z
    .record(z.string(), z.string().or(z.number()).or(z.boolean()))
    .default({})
    .describe('Settings of a new topic, such as { cleanup.policy: compact, min.insync.replicas: 2 }.'),
});

/** What names a topic: text, and `{name}`, `{db}` and `{table}`. */
function checkTemplate(template: string): void {
  const rest = template.replace(/\{(name|db|table)\}/g, '');
  if (template === '') throw new Error('must not be empty');
  if (!/^[A-Za-z0-9._-]*$/.test(rest)) {
    throw new Error('must be letters, digits, dots, dashes and underscores, with {name}, {db} and {table} among them');
  }
}

export const kafka = z
  .strictObject({
    brokers: z
      .array(z.string())
      .min(1)
      .superRefine((brokers, context) => {
        for (const [i, broker] of brokers.entries()) runCheck(context, () => parseBroker(broker), [i]);
      })
      .describe('Brokers as host:port. One that answers is enough, because it names the others.'),
    tls: z
      .boolean()
      .or(tls)
      .default(false)
      .describe('true: TLS with the authorities that Node trusts. { ca_file, cert_file, key_file }: with others.'),
    sasl: sasl.optional().describe('How cdc authenticates. Default: it does not, or by tls.cert_file.'),
    topic: validatedString(checkTemplate)
      .default('{name}.{db}.{table}')
      .describe(
        'The topic of a table: {name} is the name of the pipeline. Characters that Kafka does not allow become underscores.',
      ),
    create_topics: createTopics
      .optional()
      .describe('How topics are created that are missing. Default: a missing topic stops the daemon.'),
    compression: z
      .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
      .default('snappy')
      .describe('How batches are compressed. zstd needs Node 22.15.'),
    schemas: z
      .boolean()
      .default(false)
      .describe("true: key and value have their schemas, as with schemas.enable of Kafka Connect's JSON converter."),
    tombstones: z
      .boolean()
      .default(true)
      .describe('Whether a message without a value follows a DELETE, so that a compacted topic forgets the key.'),
    linger: numberWithUnit(parseDuration, { min: 0, max: 60_000, what: 'a duration such as 10ms, at most 60s' })
      .prefault('10ms')
      .describe('How long an event can wait for others before it is sent.'),
    timeout: numberWithUnit(parseDuration, {
      min: 1_000,
      max: 300_000,
      what: 'a duration such as 120s, from 1s to 300s',
    })
      .prefault('120s')
      .describe(
        'How long the same bytes are sent again until a broker answers. After it the outcome of an event is unknown.',
      ),
  })
  .superRefine(({ sasl, tls }, context) => {
    if (sasl?.mechanism === 'msk-iam' && tls === false) {
      context.addIssue({ code: 'custom', path: ['tls'], message: 'must be true for mechanism: msk-iam' });
    }
  });

export type KafkaConfig = z.output<typeof kafka>;
