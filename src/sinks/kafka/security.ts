import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { SASLOptions } from '@platformatic/kafka';
import type { KafkaConfig } from '../../config/kafka-schema.ts';
import { readPasswordFile } from '../../secrets/password-file.ts';
import { tlsOptions } from '../../secrets/tls-files.ts';
import { mskRegion, mskToken } from './msk-token.ts';

type SecurityConfig = Pick<KafkaConfig, 'brokers' | 'tls' | 'sasl'>;

/** The options of TLS, with the files as they are now; undefined without TLS. @throws CdcError */
export function tlsOf({ tls }: SecurityConfig): (() => TlsOptions) | undefined {
  if (tls === false) return undefined;
  const { ca_file: caFile, cert_file: certFile, key_file: keyFile } = tls === true ? {} : tls;
  const files = { ...(caFile && { caFile }), ...(certFile && { certFile }), ...(keyFile && { keyFile }) };
  return () => {
    const { ca, cert, key } = tlsOptions({ rejectUnauthorized: true, verifyIdentity: true, ...files }, 'kafka.tls');
    return { ...(ca && { ca }), ...(cert && key && { cert, key }) } as TlsOptions;
  };
}

const MECHANISMS = { plain: 'PLAIN', 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const;

/** How to authenticate, with the password as it is now; undefined without SASL. @throws CdcError */
export function saslOf({ sasl, brokers }: SecurityConfig): (() => SASLOptions) | undefined {
  if (sasl === undefined) return undefined;
  if (sasl.mechanism === 'msk-iam') {
    const region = sasl.region ?? mskRegion(brokers);
    return () => tokenSasl(() => mskToken(region));
  }
  const { mechanism, username, password, password_file: file } = sasl;
  return () => ({
    mechanism: MECHANISMS[mechanism],
    username: username as string,
    password: file === undefined ? (password as string) : readPasswordFile(file, 'kafka.sasl'),
  });
}

/** OAUTHBEARER. A broker that does not take the token says so in the bytes of an answer without an error. */
export const tokenSasl = (token: () => Promise<string>): SASLOptions => ({
  mechanism: 'OAUTHBEARER',
  token,
  authBytesValidator: (bytes, callback) => {
    if (bytes.length === 0) return callback(null, bytes);
    callback(new Error(`the broker refused the token: ${statusOf(bytes)}`));
  },
});

function statusOf(bytes: Buffer): string {
  try {
    return String((JSON.parse(String(bytes)) as { status?: unknown }).status);
  } catch {
    return 'it did not say why';
  }
}
