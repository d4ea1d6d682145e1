import { isIPv6 } from 'node:net';
import { NOT_KAFKA } from './connection.ts';

/** An error of the connection or of an answer, as far as cdc reads it. */
interface KafkaFailure {
  code?: string;
  message?: string;
  apiId?: string;
  serverErrorMessage?: string | null;
  errors?: readonly unknown[];
  cause?: unknown;
}

const DEPTH_MAX = 8;

/** An error, its causes and its parts. */
function* partsOf(error: unknown, depth = 0): Generator<KafkaFailure> {
  if (error === null || typeof error !== 'object' || depth > DEPTH_MAX) return;
  const failure = error as KafkaFailure;
  yield failure;
  yield* partsOf(failure.cause, depth + 1);
  for (const part of failure.errors ?? []) yield* partsOf(part, depth + 1);
}

/** Where Node and the library name a broker: an IPv6 address has no brackets there. */
const ADDRESS = /((?:Connection to|connect [A-Z]+) )(\S+):(\d+)(?=\s|$)/g;

/** What went wrong, in one line, from the outside to the cause. */
export function kafkaFailureText(error: unknown): string {
  const texts: string[] = [];
  for (const { message, serverErrorMessage, code } of partsOf(error)) {
    for (const text of [message || code, serverErrorMessage]) {
      const line = text
        ?.trim()
        .split(/[\r\n]/, 1)[0]
        ?.replace(/\.$/, '')
        .replace(ADDRESS, (all, before, host, port) => (isIPv6(host) ? `${before}[${host}]:${port}` : all));
      if (line && !texts.some((known) => known.includes(line))) texts.push(line);
    }
  }
  return texts.join(': ') || String(error);
}

const AUTHENTICATION = /^(SASL_AUTHENTICATION_FAILED|UNSUPPORTED_SASL_MECHANISM|ILLEGAL_SASL_STATE)$/;

/** Whether the broker did not accept who connected, or how. */
export const isAuthenticationFailure = (error: unknown): boolean =>
  [...partsOf(error)].some(({ code, apiId }) => code === 'PLT_KFK_AUTHENTICATION' || AUTHENTICATION.test(apiId ?? ''));

const NOT_KAFKA_HINT =
  'something listens there that is not Kafka, or it wants TLS or SASL: check kafka.brokers, kafka.tls and kafka.sasl';

/** What to do about a listener that is not what the configuration says; undefined where nothing shows it. */
export function listenerHint(error: unknown): string | undefined {
  for (const { code, message = '', apiId } of partsOf(error)) {
    if (code === NOT_KAFKA) return NOT_KAFKA_HINT;
    if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || message.includes('before secure TLS connection was established')) {
      return 'what listens there has no TLS: check the port in kafka.brokers, or set kafka.tls to false';
    }
    if (apiId === 'ILLEGAL_SASL_STATE') {
      return 'this listener has no SASL: remove kafka.sasl, or name the port of one with SASL in kafka.brokers';
    }
    if (apiId === 'UNSUPPORTED_SASL_MECHANISM') return 'the brokers do not have this kafka.sasl.mechanism: set another';
  }
  return undefined;
}

/** Whether TLS failed because of a certificate. */
export const isCertificateFailure = (error: unknown): boolean =>
  [...partsOf(error)].some(
    ({ code = '', message = '' }) =>
      /CERT|LEAF_SIGNATURE|ERR_TLS|ERR_SSL/.test(code) || /self-signed certificate/.test(message),
  );
