import { awsError } from '../aws/aws-errors.ts';
import { type AwsFailure, failureText, httpStatusOf } from '../aws/aws-failure.ts';
import { CREDENTIALS_ERRORS, SOURCES_HINT } from '../aws/credentials.ts';
import { CdcError } from '../runtime/error.ts';
import { LostObject } from './object-store.ts';

/** What was asked of S3. */
export interface S3Request {
  action: 's3:ListBucket' | 's3:GetObject';
  /** The key that was asked for. */
  object: string | undefined;
  bucket: string;
  prefix: string;
  /** The region of the client. */
  region: string;
  endpoint: string | undefined;
}

/** Codes of S3 (API reference, "Error responses") that say that the credentials are not good. */
const REJECTED_CREDENTIALS = new Set(['InvalidAccessKeyId', 'InvalidToken', 'TokenRefreshRequired', 'InvalidSecurity']);

/** Whether other credentials can change the answer. */
export function rejectsCredentials({ name = '' }: AwsFailure): boolean {
  const { kind } = awsError(name);
  return REJECTED_CREDENTIALS.has(name) || kind === 'credentials' || kind === 'expiredCredentials';
}

/** The region of the bucket, if the answer names another one than the client has. */
export function otherRegion(failure: AwsFailure, region: string): string | undefined {
  const named =
    failure.$response?.headers?.['x-amz-bucket-region'] ??
    (failure as { Region?: string }).Region ??
    /expecting '([a-z0-9-]+)'/.exec(failure.message ?? '')?.[1];
  const isRedirect = [301, 307, 400].includes(httpStatusOf(failure) ?? 0);
  return isRedirect && named !== undefined && named !== '' && named !== region ? named : undefined;
}

/** Codes of a good request that comes too slowly, or with a clock that the SDK has corrected now. */
const OUT_OF_TIME = new Set(['RequestTimeout', 'RequestTimeTooSkewed']);

/** Whether the same request can succeed: the network, an overloaded service, a clock that the SDK has corrected now. */
export function isTransient(failure: AwsFailure): boolean {
  if (failure instanceof CdcError || failure instanceof LostObject) return false;
  const { name = '' } = failure;
  const { kind } = awsError(name);
  if (OUT_OF_TIME.has(name) || kind === 'throttling' || name === CREDENTIALS_ERRORS.unavailable) return true;
  if (kind !== undefined) return false;
  const status = httpStatusOf(failure);
  if (status === undefined) return failure.code !== undefined || name === 'TimeoutError';
  // After a good status the body was cut.
  return status < 300 || status >= 500 || status === 429;
}

/** What an object is that S3 does not give any more; undefined for other failures. */
export function lossOf(failure: AwsFailure): LostObject | undefined {
  const status = httpStatusOf(failure);
  if (failure.name === 'NoSuchKey') return new LostObject('gone');
  return status === 412 || status === 416 ? new LostObject('changed') : undefined;
}

/** The error for a request that failed for good. */
export function s3Error(failure: AwsFailure, request: S3Request): CdcError {
  if (failure instanceof CdcError) return failure;
  const { bucket, object, region, endpoint } = request;
  const name = failure.name ?? 'Error';
  const details = { why: failureText(failure), cause: failure };
  if (name === 'NoSuchBucket') {
    return new CdcError(`there is no bucket ${bucket}`, { ...details, hint: 'correct the bucket in lake' });
  }
  if (name === 'InvalidObjectState') {
    const hint = 'restore the archived objects, or let the rule of the bucket archive only what is no longer needed';
    return new CdcError(`the object ${object} of ${bucket} is archived`, { ...details, hint });
  }
  const isWrongRegion = name === 'AuthorizationHeaderMalformed' || name === 'IllegalLocationConstraintException';
  if (isWrongRegion || httpStatusOf(failure) === 301) {
    const hint = 'set firehose.region, or AWS_REGION in the environment, to the region of the bucket';
    return new CdcError(`the bucket ${bucket} is not in ${region}`, { ...details, hint });
  }
  if (name.startsWith('AccessDenied') || name === 'AllAccessDisabled') return accessDenied(details, request);
  return credentialsError(failure, details) ?? unreachable(failure, details, endpoint);
}

/** The error for an answer with a good status that S3 does not give. */
export const notS3 = (endpoint: string | undefined): CdcError =>
  new CdcError(`${endpoint ?? 'what answers for S3'} does not speak the protocol of S3`, {
    why: 'its list of objects does not name the bucket, or say whether more follows',
    hint: endpoint ? ENDPOINT_HINT : 'check the proxy and the network path to S3',
  });

const ENDPOINT_HINT = 'check AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL, and that S3 listens there';

interface Details {
  why: string;
  cause: AwsFailure;
}

function accessDenied(details: Details, { action, object, bucket, prefix, region }: S3Request): CdcError {
  // An encrypted object is denied under the name of the object, but the key is what is missing.
  const isKey = details.why.includes('kms:Decrypt');
  const denied = isKey ? 'kms:Decrypt' : action;
  const partition = /^cn-/.test(region) ? 'aws-cn' : /^us-gov-/.test(region) ? 'aws-us-gov' : 'aws';
  const objects = action === 's3:GetObject' ? `/${prefix}*` : '';
  const resource = isKey ? 'the KMS key of the bucket' : `arn:${partition}:s3:::${bucket}${objects}`;
  return new CdcError(`the credentials do not allow ${denied} for s3://${bucket}/${object ?? prefix}`, {
    ...details,
    hint: `allow {"Effect":"Allow","Action":"${denied}","Resource":"${resource}"}`,
  });
}

function credentialsError(failure: AwsFailure, details: Details): CdcError | undefined {
  const known = awsError(failure.name ?? '');
  const { hint = SOURCES_HINT, message } = failure;
  switch (known.kind) {
    case 'credentialsSource':
    case 'noCredentials':
      return new CdcError('no AWS credentials were found', { ...details, why: message ?? details.why, hint });
    case 'credentialsDenied':
      return new CdcError('AWS does not give the credentials that cdc should use', {
        ...details,
        hint: known.hint ?? '',
      });
    default:
      if (!rejectsCredentials(failure)) return undefined;
      return new CdcError('AWS rejects the credentials', {
        ...details,
        hint: 'renew or correct them; a wrong clock has the same effect',
      });
  }
}

function unreachable({ proxy }: AwsFailure, details: Details, endpoint: string | undefined): CdcError {
  const hint = proxy
    ? `check the scheme, host and port in ${proxy.variable}, and that the proxy runs; NO_PROXY names hosts without it`
    : endpoint
      ? ENDPOINT_HINT
      : 'check the bucket in lake, firehose.region and the network path to S3 or to its VPC endpoint';
  const what = proxy ? `the proxy ${proxy.address} gives no connection` : `${endpoint ?? 'S3'} cannot be read`;
  return new CdcError(what, { ...details, kind: 'retry', hint });
}
