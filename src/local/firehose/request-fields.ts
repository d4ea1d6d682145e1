import {
  type AwsError,
  constraintViolation,
  invalidArgument,
  rangeProblems,
  serializationError,
  validationError,
} from './aws-error.ts';
import type { Json } from './put-request.ts';

/** What the readers of requests share. */

export const unsupportedField = (field: string): AwsError =>
  invalidArgument(`The local Firehose does not support ${field}`);

export const lowerFirst = (text: string): string => text[0]!.toLowerCase() + text.slice(1);

export const objectOrEmpty = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? (value as Json) : {};

interface JsonTypes {
  string: string;
  number: number;
}

/** @throws AwsError if the value is there and has another type */
export function optional<T extends keyof JsonTypes>(value: unknown, type: T): JsonTypes[T] | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) throw serializationError(`Expected a ${type}, found ${JSON.stringify(value)}`);
  return value as JsonTypes[T];
}

export const pick = (object: Json, names: readonly string[]): Json =>
  Object.fromEntries(names.flatMap((name) => (object[name] == null ? [] : [[name, object[name]]])));

/** The constraint violations of texts that must be there. `field` is the path of the object in the request. */
export function missingTexts(object: Json, field: string, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    typeof object[name] === 'string'
      ? []
      : [constraintViolation(null, `${field}.${lowerFirst(name)}`, 'Member must not be null')],
  );
}

/** @throws AwsError for the first field that is not in `supported` */
export function rejectOtherFields(object: Json, field: string, supported: ReadonlySet<string>): void {
  const other = Object.keys(object).find((name) => object[name] != null && !supported.has(name));
  if (other !== undefined) throw unsupportedField(`${field}.${other}`);
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
