/** An error as Firehose words it on the wire: `type` becomes `__type`, the message is AWS's own where it is known. */
export class AwsError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.name = 'AwsError';
    this.type = type;
    this.status = status;
  }
}

export const invalidArgument = (message: string): AwsError => new AwsError('InvalidArgumentException', message);

export const serializationError = (message: string): AwsError => new AwsError('SerializationException', message);

/** What a client may send again: the request was not stored, or not for certain. */
export const slowDown = (message = 'Slow down.'): AwsError => new AwsError('ServiceUnavailableException', message, 503);

export const streamNotFound = (name: string, account: string): AwsError =>
  new AwsError('ResourceNotFoundException', `Firehose ${name} under account ${account} not found.`);

/** One line of a validation error; `value` is shown as AWS shows it: null bare, others in quotes, long ones not at all. */
export function constraintViolation(value: string | null | undefined, at: string, rule: string): string {
  const shown = value === undefined ? 'Value' : value === null ? 'Value null' : `Value '${value}'`;
  return `${shown} at '${at}' failed to satisfy constraint: ${rule}`;
}

export function validationError(problems: string[]): AwsError {
  const count = `${problems.length} validation error${problems.length > 1 ? 's' : ''} detected`;
  return new AwsError('ValidationException', `${count}: ${problems.join('; ')}`);
}
