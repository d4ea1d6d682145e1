/** What an error of a Firehose call means. The sink and the preflight decide from it what to do. */
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
  hint?: string;
}

const CREDENTIALS: KnownError = { kind: 'credentials', hint: 'check the AWS credentials' };
const SIGNATURE: KnownError = {
  kind: 'credentials',
  hint: 'check the AWS credentials and the clock of this machine',
};
const ENDPOINT: KnownError = {
  kind: 'configuration',
  hint: 'the endpoint does not speak the Firehose protocol; check firehose.endpoint',
};

/** The names that credentials.ts gives to errors of the provider: those of STS have the same names as Firehose's. */
export const CREDENTIALS_ERRORS = {
  source: 'CredentialsSourceError',
  denied: 'CredentialsDeniedError',
  unavailable: 'CredentialsUnavailableError',
} as const;

/** The errors that cdc knows (Firehose API reference: PutRecordBatch, DescribeDeliveryStream, Common Errors). */
const AWS_ERRORS: ReadonlyMap<string, KnownError> = new Map<string, KnownError>([
  ['InvalidArgumentException', { kind: 'request' }],
  ['ValidationException', { kind: 'request' }],

  ['ServiceUnavailableException', { kind: 'throttling' }],
  ['ThrottlingException', { kind: 'throttling' }],
  ['Throttling', { kind: 'throttling' }],
  ['RequestLimitExceeded', { kind: 'throttling' }],
  ['LimitExceededException', { kind: 'throttling' }],
  ['SlowDown', { kind: 'throttling' }],

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
  ['AccessDeniedException', { kind: 'accessDenied', hint: 'grant firehose:PutRecordBatch on the stream' }],

  [
    'ResourceNotFoundException',
    {
      kind: 'streamNotFound',
      hint: 'check firehose.stream, firehose.routes and firehose.region; cdc check names each stream that does not exist',
    },
  ],
  ['SerializationException', ENDPOINT],
  ['UnknownOperationException', ENDPOINT],
  [
    'InvalidKMSResourceException',
    { kind: 'configuration', hint: 'restore the KMS key of the stream, or allow the stream to use it' },
  ],
  ['InvalidSourceException', { kind: 'configuration', hint: 'the stream must have the source Direct PUT' }],
  ['OptInRequired', { kind: 'configuration', hint: 'activate Firehose for the AWS account' }],
]);

const EXPIRED: KnownError = { kind: 'expiredCredentials' };

/** What is known about an error by its name. */
export const awsError = (name: string): Partial<KnownError> =>
  AWS_ERRORS.get(name) ?? (name.startsWith('ExpiredToken') ? EXPIRED : {});
