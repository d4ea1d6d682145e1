import { awsError } from '../../aws/aws-errors.ts';
import { type AwsFailure, failureText, httpStatusOf, isForeignAnswer } from '../../aws/aws-failure.ts';
import type { AwsService } from '../../aws/aws-service.ts';
import type { AwsConnection } from '../../aws/client-options.ts';
import { CREDENTIALS_ERRORS, SOURCES_HINT } from '../../aws/credentials.ts';
import { error, type Finding, transientError, warning } from '../../model/finding.ts';
import { failureOutcome } from './outcomes.ts';

/** The finding for a stream that could not be described. */
export function describeFailureFinding(
  failure: AwsFailure,
  stream: string,
  service: AwsService,
  { endpoint, region }: AwsConnection,
): Finding {
  const name = failure.name ?? 'Error';
  const why = name === 'AbortError' ? 'there was no response in time' : failureText(failure);
  const { kind } = awsError(name);
  if (failure.proxy !== undefined) return proxyFinding(failure, failure.proxy, why);
  if (kind === 'streamNotFound') {
    return error(
      `there is no stream ${stream}${region ? ` in ${region}` : ''}`,
      why,
      `${service.create}, or correct ${service.section}.stream, ${service.section}.region or the account of the credentials`,
    );
  }
  if (kind === 'accessDenied') {
    return warning(
      `the credentials do not allow ${service.describe.replace(/^.*:/, '')} for the stream ${stream}`,
      why,
      `allow {"Effect":"Allow","Action":["${service.describe}","${service.write}"],"Resource":"${service.resource(stream)}"}`,
    );
  }
  if (failure.message === 'Region is missing') {
    const fix = `set ${service.section}.region, or AWS_REGION in the environment`;
    return error('no AWS region is configured', 'every request contains the region', fix);
  }
  return credentialsFinding(failure, why) ?? serviceFinding(failure, why, stream, service, { endpoint, region });
}

/** Nothing is known about the host behind the proxy. */
function proxyFinding(
  { code = '' }: AwsFailure,
  { address, variable }: NonNullable<AwsFailure['proxy']>,
  why: string,
): Finding {
  const fix = `check the scheme, host and port in ${variable}, and that the proxy runs; NO_PROXY names hosts without it`;
  return transientError(
    `the proxy ${address} gives no connection`,
    why,
    CERTIFICATE_CODE.test(code) ? CERTIFICATE_HINT : fix,
  );
}

/** Problems of the credentials; undefined for other failures. */
function credentialsFinding({ name = '', hint, message }: AwsFailure, why: string): Finding | undefined {
  const known = awsError(name);
  switch (known.kind) {
    case 'credentialsSource':
      return error('no AWS credentials were found', message ?? why, hint ?? SOURCES_HINT);
    case 'credentialsDenied':
      return error('AWS does not give the credentials that cdc should use', message ?? why, known.hint ?? '');
    case 'noCredentials':
      return name === CREDENTIALS_ERRORS.unavailable
        ? transientError(
            'the service that gives the AWS credentials cannot be used',
            message ?? why,
            'check the network path to STS or SSO; cdc run waits by itself',
          )
        : transientError('no AWS credentials were found', message ?? why, `${SOURCES_HINT}; cdc run waits for them`);
    case 'expiredCredentials':
      return transientError('AWS rejects the credentials', why, 'renew them; cdc run waits for new ones');
    case 'credentials':
      return error('AWS rejects the credentials', why, 'renew or correct them; a wrong clock has the same effect');
    default:
      return undefined;
  }
}

/** What the service or the way to it answers. What delivery would send again can clear by itself. */
function serviceFinding(
  failure: AwsFailure,
  why: string,
  stream: string,
  service: AwsService,
  { endpoint, region }: AwsConnection,
): Finding {
  const { name: serviceName, product, section } = service;
  const target = endpoint ?? `${serviceName} in ${region ?? 'the region of the environment'}`;
  const status = httpStatusOf(failure) ?? 400;
  const isUnavailable = status >= 500 || status === 429;
  const { kind, hint } = awsError(failure.name ?? '', service);
  if ((kind === 'throttling' || /throttl/i.test(failure.name ?? '')) && !isUnavailable) {
    return warning(`AWS throttles the check of the stream ${stream}`, why, 'check again in a minute');
  }
  const network = endpoint
    ? `check ${section}.endpoint, and that ${serviceName} listens there`
    : `check ${section}.region and the network path to the internet or to the VPC endpoint`;
  if (isForeignAnswer(failure) || ((failure.name ?? 'Error') === 'Error' && failure.code === undefined)) {
    const fix = `${network}; a proxy in between can answer like this (HTTPS_PROXY)`;
    return transientError(`${target} does not answer as ${product}`, why, fix);
  }
  if (isUnavailable) return transientError(`${target} is not available`, why, 'wait; cdc run retries by itself');
  if (failureOutcome(failure, service).kind === 'rejected') {
    return error(`${target} does not answer as ${product}`, why, hint ?? network);
  }
  const fix = CERTIFICATE_CODE.test(failure.code ?? '') ? CERTIFICATE_HINT : network;
  return transientError(`${target} cannot be reached`, why, fix);
}

/** Codes of Node for a certificate that it does not accept. */
const CERTIFICATE_CODE = /CERT|UNABLE_TO_(GET_ISSUER|VERIFY)/;
const CERTIFICATE_HINT =
  'where a proxy inspects TLS, name the PEM file of its authority in AWS_CA_BUNDLE; a wrong clock has the same effect';
