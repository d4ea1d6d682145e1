import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { FirehoseClientConfig } from '@aws-sdk/client-firehose';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { closest, distance } from 'fastest-levenshtein';
import { CdcError } from '../runtime/error.ts';
import { type AwsFailure, failureText, httpStatusOf, withoutSecrets } from './aws-failure.ts';

/** The names of the provider's errors: those of STS have the same names as those of Firehose. */
export const CREDENTIALS_ERRORS = {
  source: 'CredentialsSourceError',
  denied: 'CredentialsDeniedError',
  unavailable: 'CredentialsUnavailableError',
} as const;

/**
 * The SDK's own chain of credential providers, with two differences. It reads the shared files again each time that it
 * is asked: the SDK keeps what it read first for as long as the process lives. And its errors say that they are errors
 * of the credentials: those of STS have the same names as those of Firehose.
 */
export const credentialChain: NonNullable<FirehoseClientConfig['credentialDefaultProvider']> = (init) => {
  const chain = defaultProvider({ ...init, ignoreCache: true });
  return async (options) => {
    try {
      return await chain(options);
    } catch (failure) {
      throw credentialsFailure(failure as AwsFailure);
    }
  };
};

/** Errors of STS and SSO that another attempt does not change. */
const DENIED =
  /^(AccessDenied|UnauthorizedException|ForbiddenException|ValidationError|InvalidIdentityToken|RegionDisabled)/;

/** An error of the credential providers, by what the operator can do about it. */
function credentialsFailure(failure: AwsFailure, env: NodeJS.ProcessEnv = process.env): Error {
  if (failure instanceof CdcError) return failure;
  const status = httpStatusOf(failure);
  if (failure.name !== 'CredentialsProviderError') {
    const isDenied = DENIED.test(failure.name ?? '') && (status === undefined || status < 500);
    return namedError(CREDENTIALS_ERRORS[isDenied ? 'denied' : 'unavailable'], failureText(failure), failure);
  }
  const unknown = unknownProfile(env);
  if (unknown !== undefined) return namedError(CREDENTIALS_ERRORS.source, unknown.why, failure, unknown.hint);
  if (hasNoSource(env)) {
    const why = 'the environment names no source of credentials, and AWS_EC2_METADATA_DISABLED excludes the instance';
    return namedError(CREDENTIALS_ERRORS.source, why, failure, SOURCES_HINT);
  }
  return namedError('CredentialsProviderError', withoutSecrets(failure.message ?? ''), failure);
}

export const SOURCES_HINT = 'set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role';

const namedError = (name: string, message: string, cause: AwsFailure, hint?: string): Error =>
  Object.assign(new Error(message, { cause }), {
    name,
    ...(hint && { hint }),
    ...(cause.proxy && { proxy: cause.proxy }),
  });

/** Nothing names a provider, and the one of the instance is off. */
const hasNoSource = (env: NodeJS.ProcessEnv): boolean =>
  /^true$/i.test(env.AWS_EC2_METADATA_DISABLED ?? '') &&
  ![
    'AWS_PROFILE',
    'AWS_SHARED_CREDENTIALS_FILE',
    'AWS_CONFIG_FILE',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  ].some((name) => env[name]);

/** AWS_PROFILE names a profile that no shared file has. The SDK then tries the next provider without a word. */
function unknownProfile(env: NodeJS.ProcessEnv): { why: string; hint: string } | undefined {
  const profile = env.AWS_PROFILE;
  if (!profile) return undefined;
  const home = env.HOME ?? homedir();
  const files = [
    env.AWS_SHARED_CREDENTIALS_FILE ?? join(home, '.aws', 'credentials'),
    env.AWS_CONFIG_FILE ?? join(home, '.aws', 'config'),
  ];
  const texts = files.flatMap((file) => readIfThere(file));
  // A file that is not there yet can be mounted later.
  if (texts.length === 0) return undefined;
  const names = [...new Set(texts.flatMap((text) => [...text.matchAll(SECTION)].map(([, name]) => name as string)))];
  if (names.includes(profile)) return undefined;
  const near = names.length > 0 ? closest(profile, names) : undefined;
  const suggestion =
    near !== undefined && distance(profile, near) <= Math.max(2, profile.length / 2) ? `, for example to ${near}` : '';
  return {
    why: `AWS_PROFILE is ${profile}, and neither ${files.join(' nor ')} has this profile`,
    hint: `correct AWS_PROFILE${suggestion}`,
  };
}

/** The heads of profiles in the shared files; `[sso-session x]` and `[services x]` are none. */
const SECTION = /^[ \t]*\[[ \t]*(?:profile[ \t]+)?["']?([^\]"'\s]+)["']?[ \t]*\]/gm;

function readIfThere(file: string): string[] {
  try {
    return [readFileSync(file, 'utf8')];
  } catch {
    return [];
  }
}
