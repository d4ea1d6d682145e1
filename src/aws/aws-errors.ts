import { type AwsService, FIREHOSE } from './aws-service.ts';
import { CREDENTIALS_ERRORS } from './credentials.ts';

/** What an error of a call means. The sinks and the preflight decide from it what to do. */
export type AwsErrorKind =
  /** The request, or one record in it, is invalid. */
  | 'request'
  /** The call was not served. A later attempt can succeed. */
  | 'throttling'
  /** The credentials have expired. Their provider can renew them. */
  | 'expiredCredentials'
  /** The credentials provider has no credentials, or could not be reached. */
  | 'noCredentials'
  /** The environment names no source of credentials, or one that does not exist. */
  | 'credentialsSource'
  /** STS or SSO does not give the credentials. */
  | 'credentialsDenied'
  | 'credentials'
  | 'accessDenied'
  | 'streamNotFound'
  /** The stream, the account or the endpoint accepts no records as it is configured. */
  | 'configuration';

interface KnownError {
  kind: AwsErrorKind;
  /** What the operator should do, if no retry changes the result. */
  hint?: string | ((service: AwsService) => string);
}

const CREDENTIALS: KnownError = { kind: 'credentials', hint: 'check the AWS credentials' };
const SIGNATURE: KnownError = {
  kind: 'credentials',
  hint: 'check the AWS credentials and the clock of this machine',
};
const ENDPOINT: KnownError = {
  kind: 'configuration',
  hint: ({ name, section }) => `the endpoint does not speak the ${name} protocol; check ${section}.endpoint`,
};
const KMS_KEY: KnownError = {
  kind: 'configuration',
  hint: 'restore the KMS key of the stream, or allow cdc and the stream to use it',
};

/**
 * The errors that cdc knows (API references: PutRecordBatch and DescribeDeliveryStream of Firehose; PutRecords,
 * ListShards and DescribeStreamSummary of Kinesis; Common Errors).
 */
const AWS_ERRORS: ReadonlyMap<string, KnownError> = new Map<string, KnownError>([
  ['InvalidArgumentException', { kind: 'request' }],
  ['ValidationException', { kind: 'request' }],

  ['ServiceUnavailableException', { kind: 'throttling' }],
  ['ThrottlingException', { kind: 'throttling' }],
  ['Throttling', { kind: 'throttling' }],
  ['RequestLimitExceeded', { kind: 'throttling' }],
  ['LimitExceededException', { kind: 'throttling' }],
  ['SlowDown', { kind: 'throttling' }],
  ['ProvisionedThroughputExceededException', { kind: 'throttling' }],
  ['KMSThrottlingException', { kind: 'throttling' }],

  ['CredentialsProviderError', { kind: 'noCredentials' }],
  [CREDENTIALS_ERRORS.unavailable, { kind: 'noCredentials' }],
  [CREDENTIALS_ERRORS.source, { kind: 'credentialsSource' }],
  [
    CREDENTIALS_ERRORS.denied,
    {
      kind: 'credentialsDenied',
      hint: 'correct the role, its trust policy, or the credentials that may assume it',
    },
  ],

  ['IncompleteSignature', CREDENTIALS],
  ['IncompleteSignatureException', CREDENTIALS],
  ['InvalidClientTokenId', CREDENTIALS],
  ['MissingAuthenticationTokenException', CREDENTIALS],
  ['UnrecognizedClientException', CREDENTIALS],
  ['InvalidSignatureException', SIGNATURE],
  ['SignatureDoesNotMatch', SIGNATURE],
  ['RequestExpired', SIGNATURE],
  ['RequestTimeTooSkewed', SIGNATURE],
  ['RequestInTheFuture', SIGNATURE],
  ['AccessDeniedException', { kind: 'accessDenied', hint: ({ write }) => `grant ${write} on the stream` }],

  [
    'ResourceNotFoundException',
    {
      kind: 'streamNotFound',
      hint: ({ section }) =>
        `check ${section}.stream, ${section}.routes and ${section}.region; cdc check names each stream that does not exist`,
    },
  ],
  ['SerializationException', ENDPOINT],
  ['UnknownOperationException', ENDPOINT],
  [
    'InvalidKMSResourceException',
    { kind: 'configuration', hint: 'restore the KMS key of the stream, or allow the stream to use it' },
  ],
  ['KMSAccessDeniedException', KMS_KEY],
  ['KMSDisabledException', KMS_KEY],
  ['KMSInvalidStateException', KMS_KEY],
  ['KMSNotFoundException', KMS_KEY],
  ['KMSOptInRequired', KMS_KEY],
  ['InvalidSourceException', { kind: 'configuration', hint: 'the stream must have the source Direct PUT' }],
  ['OptInRequired', { kind: 'configuration', hint: ({ name }) => `activate ${name} for the AWS account` }],
]);

const EXPIRED: KnownError = { kind: 'expiredCredentials' };
const UNKNOWN: Partial<KnownError> = {};

/**
 * What is known about an error by its name.
 * @param service the service that the hint is about
 */
export function awsError(name: string, service: AwsService = FIREHOSE): { kind?: AwsErrorKind; hint?: string } {
  const { kind, hint } = AWS_ERRORS.get(name) ?? (name.startsWith('ExpiredToken') ? EXPIRED : UNKNOWN);
  return {
    ...(kind && { kind }),
    ...(hint !== undefined && { hint: typeof hint === 'function' ? hint(service) : hint }),
  };
}
