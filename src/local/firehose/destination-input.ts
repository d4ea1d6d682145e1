import {
  constraintViolation,
  invalidArgument,
  rangeProblems,
  serializationError,
  validationError,
} from './aws-error.ts';
import type { Json } from './put-request.ts';

/** Reads the parts of a destination configuration. What is wrong in them is answered as AWS does. */

export const unsupportedField = (field: string) => invalidArgument(`The local Firehose does not support ${field}`);

/** `BucketARN` to `bucketARN`, as validation errors name fields. */
export const lowerFirst = (text: string): string => text[0]!.toLowerCase() + text.slice(1);

export const objectOrEmpty = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? (value as Json) : {};

interface JsonTypes {
  string: string;
  number: number;
}

export function optional<T extends keyof JsonTypes>(value: unknown, type: T): JsonTypes[T] | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) throw serializationError(`Expected a ${type}, found ${JSON.stringify(value)}`);
  return value as JsonTypes[T];
}

/** The constraint violations of required texts that are missing. */
export const missingTexts = (object: Json, names: readonly string[], path: string): string[] =>
  names.flatMap((name) =>
    typeof object[name] === 'string'
      ? []
      : [constraintViolation(null, `${path}.${lowerFirst(name)}`, 'Member must not be null')],
  );

/** Rejects fields by name, so that no test relies on a feature that the local Firehose lacks. */
export function rejectOthers(object: Json, supported: ReadonlySet<string>, path: string): void {
  for (const name of Object.keys(object)) {
    if (object[name] != null && !supported.has(name)) throw unsupportedField(`${path}.${name}`);
  }
}

/** The size and the time of a buffer, in the units of the API. @throws AwsError if one is out of range */
export function readBufferingHints(value: unknown, path: string): { megabytes?: number; seconds?: number } {
  const hints = objectOrEmpty(value);
  const megabytes = optional(hints.SizeInMBs, 'number');
  const seconds = optional(hints.IntervalInSeconds, 'number');
  const problems = [
    ...rangeProblems(megabytes, 1, 128, `${path}.bufferingHints.sizeInMBs`),
    ...rangeProblems(seconds, 0, 900, `${path}.bufferingHints.intervalInSeconds`),
  ];
  if (problems.length > 0) throw validationError(problems);
  return { ...(megabytes !== undefined && { megabytes }), ...(seconds !== undefined && { seconds }) };
}
