/** An error as Firehose sends it: `type` becomes `__type`, and the message is AWS's own where it is known. */
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

/** A retryable error: the request was not stored, or it is unknown whether it was. */
export const slowDown = (message = 'Slow down.'): AwsError => new AwsError('ServiceUnavailableException', message, 503);

export const streamNotFound = (name: string, account: string): AwsError =>
  new AwsError('ResourceNotFoundException', `Firehose ${name} under account ${account} not found.`);

/**
 * One line of a validation error. As on AWS, null has no quotes, other values have, and undefined (too long) is
 * omitted.
 */
export function constraintViolation(value: string | null | undefined, field: string, rule: string): string {
  const shown = value === undefined ? 'Value' : value === null ? 'Value null' : `Value '${value}'`;
  return `${shown} at '${field}' failed to satisfy constraint: ${rule}`;
}

/** The constraint violations of a number; none if it is absent. */
export function rangeProblems(value: number | undefined, min: number, max: number, field: string): string[] {
  if (value === undefined) return [];
  if (value < min || Number.isNaN(value)) {
    return [constraintViolation(String(value), field, `Member must have value greater than or equal to ${min}`)];
  }
  return value > max
    ? [constraintViolation(String(value), field, `Member must have value less than or equal to ${max}`)]
    : [];
}

export function validationError(problems: string[]): AwsError {
  const count = `${problems.length} validation error${problems.length > 1 ? 's' : ''} detected`;
  return new AwsError('ValidationException', `${count}: ${problems.join('; ')}`);
}
