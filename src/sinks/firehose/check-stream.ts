import type { DeliveryStreamDescription } from '@aws-sdk/client-firehose';
import type { Config } from '../../config/schema.ts';
import { error, type Finding, transientError, warning } from '../../model/finding.ts';
import { awsError, CREDENTIALS_ERRORS } from './aws-errors.ts';
import { type AwsFailure, failureText, httpStatusOf, isForeignAnswer } from './aws-failure.ts';
import { checkDestination, isPlainS3, type StreamOptionsToCheck } from './check-destination.ts';
import { SOURCES_HINT } from './credentials.ts';
import { failureOutcome } from './outcomes.ts';

export function checkStream(stream: DeliveryStreamDescription, options: StreamOptionsToCheck): Finding[] {
  const findings: Finding[] = [];
  const name = stream.DeliveryStreamName;
  if (stream.DeliveryStreamStatus !== 'ACTIVE') {
    const details = stream.FailureDescription?.Details;
    const why = `it accepts no records until it is ACTIVE${details ? `: ${details}` : ''}`;
    const what = `the stream ${name} is ${stream.DeliveryStreamStatus}`;
    findings.push(
      stream.DeliveryStreamStatus === 'CREATING'
        ? transientError(what, why, 'wait a minute; cdc run waits by itself')
        : error(what, why, 'delete the stream and create it again, or set firehose.stream to another stream'),
    );
  }
  if (stream.DeliveryStreamType !== 'DirectPut') {
    const why = 'the stream reads from its source, and accepts no PutRecordBatch';
    const fix = 'create a stream with the source Direct PUT, and set firehose.stream to it';
    findings.push(error(`the stream ${name} has the source ${stream.DeliveryStreamType}, not Direct PUT`, why, fix));
  }
  const encryption = stream.DeliveryStreamEncryptionConfiguration;
  if (encryption?.Status === 'ENABLING_FAILED') {
    const why = encryption.FailureDescription?.Details ?? 'Firehose rejects records that it cannot encrypt';
    const fix = 'repair the KMS key or its grants, or disable server-side encryption';
    findings.push(error(`encryption of the stream ${name} could not be enabled`, why, fix));
  }
  for (const destination of stream.Destinations ?? []) {
    findings.push(...checkDestination(name ?? '', destination, options));
  }
  if (options.compression === 'gzip' && !stream.Destinations?.every(isPlainS3)) {
    const why =
      'only an S3 destination without compression, format conversion and processing stores the records unchanged';
    findings.push(error(`the stream ${name} cannot take compressed records`, why, 'firehose.compression: none'));
  }
  return findings;
}

/** The finding for a stream that could not be described. */
export function describeFailureFinding(
  failure: AwsFailure,
  stream: string,
  { endpoint, region }: Pick<Config['firehose'], 'endpoint' | 'region'>,
): Finding {
  const name = failure.name ?? 'Error';
  const why = name === 'AbortError' ? 'there was no response in time' : failureText(failure);
  const { kind } = awsError(name);
  if (failure.proxy !== undefined) return proxyFinding(failure, failure.proxy, why);
  if (kind === 'streamNotFound') {
    return error(
      `there is no stream ${stream}${region ? ` in ${region}` : ''}`,
      why,
      'create it with the source Direct PUT, or correct firehose.stream, firehose.region or the account of the credentials',
    );
  }
  if (kind === 'accessDenied') {
    return warning(
      `the credentials do not allow DescribeDeliveryStream for the stream ${stream}`,
      why,
      `allow {"Effect":"Allow","Action":["firehose:DescribeDeliveryStream","firehose:PutRecordBatch"],"Resource":"arn:aws:firehose:*:*:deliverystream/${stream}"}`,
    );
  }
  if (failure.message === 'Region is missing') {
    const fix = 'set firehose.region, or AWS_REGION in the environment';
    return error('no AWS region is configured', 'every request contains the region', fix);
  }
  return (
    credentialsFinding(failure, why) ?? serviceFinding(failure, why, stream, endpoint ?? firehoseIn(region), endpoint)
  );
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

const firehoseIn = (region: string | undefined): string => `Firehose in ${region ?? 'the region of the environment'}`;

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
  target: string,
  endpoint: string | undefined,
): Finding {
  const status = httpStatusOf(failure) ?? 400;
  const isUnavailable = status >= 500 || status === 429;
  const { kind, hint } = awsError(failure.name ?? '');
  if ((kind === 'throttling' || /throttl/i.test(failure.name ?? '')) && !isUnavailable) {
    return warning(`AWS throttles the check of the stream ${stream}`, why, 'check again in a minute');
  }
  const network = endpoint
    ? 'check firehose.endpoint, and that Firehose listens there'
    : 'check firehose.region and the network path to the internet or to the VPC endpoint';
  if (isForeignAnswer(failure) || ((failure.name ?? 'Error') === 'Error' && failure.code === undefined)) {
    const fix = `${network}; a proxy in between can answer like this (HTTPS_PROXY)`;
    return transientError(`${target} does not answer as Amazon Data Firehose`, why, fix);
  }
  if (isUnavailable) return transientError(`${target} is not available`, why, 'wait; cdc run retries by itself');
  if (failureOutcome(failure).kind === 'rejected') {
    return error(`${target} does not answer as Amazon Data Firehose`, why, hint ?? network);
  }
  const fix = CERTIFICATE_CODE.test(failure.code ?? '') ? CERTIFICATE_HINT : network;
  return transientError(`${target} cannot be reached`, why, fix);
}

/** Codes of Node for a certificate that it does not accept. */
const CERTIFICATE_CODE = /CERT|UNABLE_TO_(GET_ISSUER|VERIFY)/;
const CERTIFICATE_HINT =
  'where a proxy inspects TLS, name the PEM file of its authority in AWS_CA_BUNDLE; a wrong clock has the same effect';
