import { awsError } from '../aws/aws-errors.ts';
import { type AwsFailure, failureText, httpStatusOf } from '../aws/aws-failure.ts';
import { CREDENTIALS_ERRORS, SOURCES_HINT } from '../aws/credentials.ts';
import type { PasswordSecret } from '../model/source-connection.ts';
import { CdcError } from '../runtime/error.ts';

/** Why AWS did not give a secret, and what to do. The cause is the answer without its headers and its body. */
export function secretError(failure: AwsFailure, { id, endpoint }: PasswordSecret, section: string): CdcError {
  if (failure instanceof CdcError) return failure;
  const setting = `${section}.password_secret`;
  const why = failureText(failure);
  const fatal = (what: string, hint: string): CdcError => new CdcError(what, { exitCode: 3, why, hint });
  switch (failure.name) {
    case 'ResourceNotFoundException':
      return fatal(`there is no secret ${id}`, `correct ${setting}.id and ${setting}.region`);
    case 'AccessDeniedException': {
      const isKey = /\bkms\b/i.test(why);
      const resource = isKey ? 'the KMS key of the secret' : id.startsWith('arn:') ? id : secretArn(id);
      const action = isKey ? 'kms:Decrypt' : 'secretsmanager:GetSecretValue';
      return fatal(
        `the credentials do not allow ${action} for the secret ${id}`,
        `allow {"Effect":"Allow","Action":"${action}","Resource":"${resource}"}`,
      );
    }
    case 'DecryptionFailure':
      return fatal(`the secret ${id} cannot be decrypted`, 'enable its KMS key, and allow kms:Decrypt with it');
    case 'InvalidRequestException':
      return fatal(`the secret ${id} cannot be read`, 'restore it if it is marked for deletion');
    case 'InvalidParameterException':
    case 'ValidationException':
      return fatal(`${id} is not the name of a secret`, `correct ${setting}.id`);
  }
  return credentialsError(failure, `${setting}.region`) ?? unreachable(failure, `${setting}.endpoint`, endpoint);
}

/** An error of the AWS credentials or of the region, which secrets and tokens both need; undefined for another one. */
export function credentialsError(failure: AwsFailure, regionSetting: string): CdcError | undefined {
  const { name = '', message = '' } = failure;
  const why = failureText(failure);
  const { kind, hint } = awsError(name);
  if (/region is missing/i.test(message)) {
    const set = `set ${regionSetting}, or AWS_REGION in the environment`;
    return new CdcError('the region of AWS is not known', { exitCode: 3, hint: set });
  }
  switch (kind) {
    case 'credentialsSource':
    case 'noCredentials': {
      // The service that gives them can be away for a moment.
      const isAway = name === CREDENTIALS_ERRORS.unavailable;
      const what = isAway ? 'the AWS credentials cannot be read' : 'no AWS credentials were found';
      const details = isAway ? { kind: 'retry' as const } : { exitCode: 3 as const };
      return new CdcError(what, { ...details, why, hint: failure.hint ?? SOURCES_HINT });
    }
    case 'credentialsDenied':
      return new CdcError('AWS does not give the credentials that cdc should use', {
        ...{ exitCode: 3, why },
        hint: hint ?? SOURCES_HINT,
      });
    case 'expiredCredentials':
      return new CdcError('the AWS credentials have expired', { kind: 'retry', why, hint: 'renew them' });
    case 'credentials':
      return new CdcError('AWS rejects the credentials', {
        ...{ exitCode: 3, why },
        hint: 'renew or correct them; a wrong clock has the same effect',
      });
    default:
      return undefined;
  }
}

/** Everything else: throttling, the network, an overloaded service, a proxy that answers instead. */
function unreachable(failure: AwsFailure, setting: string, endpoint: string | undefined): CdcError {
  const { proxy, name } = failure;
  const status = httpStatusOf(failure);
  const isThrottled = awsError(name ?? '').kind === 'throttling' || status === 429;
  const what = isThrottled
    ? 'AWS Secrets Manager throttles the requests'
    : proxy
      ? `the proxy ${proxy.address} gives no connection`
      : `${endpoint ?? 'AWS Secrets Manager'} cannot be reached`;
  const hint = isThrottled
    ? 'cdc asks again by itself; raise the quota of GetSecretValue if it stays'
    : proxy
      ? `check ${proxy.variable}, and that the proxy runs; NO_PROXY names hosts without it`
      : `check the network path to AWS Secrets Manager or to its VPC endpoint${endpoint ? `, and ${setting}` : ''}`;
  return new CdcError(what, { kind: 'retry', why: failureText(failure), hint });
}

/** Secrets Manager adds six random characters to the name. */
const secretArn = (name: string): string => `arn:aws:secretsmanager:REGION:ACCOUNT:secret:${name}-??????`;
