/** An error of the AWS SDK, as far as cdc reads it. */
export interface AwsFailure {
  name?: string;
  /** The code of a network error, such as ECONNREFUSED. */
  code?: string;
  message?: string;
  /** What to do, if the place that threw it knows. */
  hint?: string;
  /** The proxy that gave no connection, without its credentials, and the variable that names it. */
  proxy?: { address: string; variable: string };
  $metadata?: { httpStatusCode?: number | undefined };
  $response?: { statusCode?: number; headers?: Record<string, string> };
}

/** The HTTP status of the response; undefined if there was none. */
export const httpStatusOf = ({ $metadata, $response }: AwsFailure): number | undefined =>
  $response?.statusCode ?? $metadata?.httpStatusCode;

/** Names that the SDK gives a response without an error type, or with a body that is no JSON. */
const NAMELESS = new Set(['Unknown', 'UnknownError', 'Error']);

/** Whether something answered that is not AWS, such as a proxy: the response has a status, but no error type. */
export const isForeignAnswer = (failure: AwsFailure): boolean =>
  failure.name === 'SyntaxError' || (httpStatusOf(failure) !== undefined && NAMELESS.has(failure.name ?? 'Error'));

/** What went wrong, in one line for logs and messages. */
export function failureText(failure: AwsFailure): string {
  const { name = 'Error', message, code } = failure;
  if (isForeignAnswer(failure)) {
    const type = failure.$response?.headers?.['content-type']?.split(';', 1)[0];
    const answer = `HTTP ${httpStatusOf(failure) ?? 'response'}`;
    return `${answer} that is not from AWS (${type ? withoutSecrets(type) : 'without a content type'})`;
  }
  const text = withoutSecrets(message || code || '');
  return text === '' || text === name ? name : `${name}: ${text}`;
}

/** Longer messages are cut: they are for a person. */
const TEXT_LENGTH_MAX = 400;

/**
 * The first line of AWS's text without what can be a secret. A wrong signature is answered with the whole request,
 * session token included; an incomplete one with the Authorization header. A rejected request can be answered with a
 * quotation of what was sent, and that is a row: a value can have quotes in it, so that all up to the last quote goes.
 */
export function withoutSecrets(text: string): string {
  const [line = ''] = text.trim().split(/[\r\n]/, 1);
  return line
    .replace(/".*"|"[^"]*$/, '"…"')
    .replace(/\bValue '(?:.*(?=' at '(?!(?:deliveryS|s)treamName'))|(?!.*' at ').*$)/, "Value '…")
    .replace(/\bAuthorization=.*/i, 'Authorization=…')
    .replace(/\b(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|ABIA|ACCA|AGPA|ANPA)[A-Z0-9]{12,}\b/g, '…')
    .replace(/\b(Credential|Signature|X-Amz-Security-Token|SecurityToken|SessionToken|Token)=[^\s&,]+/gi, '$1=…')
    .replace(/[A-Za-z0-9+/=_-]{64,}/g, '…')
    .slice(0, TEXT_LENGTH_MAX);
}
