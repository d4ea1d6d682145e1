import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { awsClientOptions } from '../aws/client-options.ts';
import type { PasswordSecret } from '../model/source-connection.ts';
import { CdcError } from '../runtime/error.ts';
import { secretError } from './secret-error.ts';

export interface Secret {
  password: string;
  /** Where the secret names the user too. */
  user?: string;
}

/** A connection waits for it, the SDK's own second attempt included. */
const TIMEOUT_MS = 10_000;
const ATTEMPTS_MAX = 2;

/**
 * The current version of a secret, from AWS.
 * @param section the section of the configuration that names it
 * @throws CdcError without the secret in it
 */
export async function fetchSecret(at: PasswordSecret, section: string): Promise<Secret> {
  const { id, endpoint } = at;
  const region = at.region ?? /^arn:[^:]*:secretsmanager:([^:]+):/.exec(id)?.[1];
  const client = new SecretsManagerClient({
    ...awsClientOptions({ region, endpoint }),
    maxAttempts: ATTEMPTS_MAX,
  });
  try {
    const command = new GetSecretValueCommand({ SecretId: id });
    const { SecretString, SecretBinary } = await client.send(command, { abortSignal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = SecretString ?? (SecretBinary && Buffer.from(SecretBinary).toString('utf8')) ?? '';
    return parseSecret(text, at, section);
  } catch (error) {
    throw secretError(error as Error, at, section);
  } finally {
    client.destroy();
  }
}

/**
 * The password in the text of a secret: the value of a key, if the text is a JSON object, as that of RDS is
 * (Secrets Manager user guide, "JSON structure of AWS Secrets Manager database credential secrets").
 * @throws CdcError that names the keys of the object, but no value
 */
export function parseSecret(text: string, { id, key, user_key }: PasswordSecret, section: string): Secret {
  const object = jsonObject(text);
  if (object === undefined) {
    if (user_key !== undefined) throw unusable(id, `${section}.password_secret.user_key`, 'it is no JSON object');
    const password = text.replace(/\r?\n$/, '');
    if (password === '') throw unusable(id, `${section}.password_secret.id`, 'it is empty');
    return { password };
  }
  const textUnder = (name: string, setting: 'key' | 'user_key'): string => {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (typeof value === 'string' && value !== '') return value;
    const keys = Object.keys(object).join(', ') || 'none';
    throw unusable(id, `${section}.password_secret.${setting}`, `it has no text under ${name}; its keys: ${keys}`);
  };
  return { password: textUnder(key, 'key'), ...(user_key !== undefined && { user: textUnder(user_key, 'user_key') }) };
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // The error of the parser quotes the text.
    return undefined;
  }
}

const unusable = (id: string, setting: string, why: string): CdcError =>
  new CdcError(`the secret ${id} is no password`, { exitCode: 3, why, hint: `correct the secret, or ${setting}` });
