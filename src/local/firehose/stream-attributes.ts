import { AwsError, constraintViolation, invalidArgument, validationError } from './aws-error.ts';
import type { Json } from './put-request.ts';

/** What a stream has besides its destination: tags and the state of its encryption, as AWS's calls change them. */

const TAGS_MAX = 50;
const KEY_TYPES = ['AWS_OWNED_CMK', 'CUSTOMER_MANAGED_CMK'];

/** Adds the tags of the input, or replaces their values. @throws AwsError if one is invalid; then none is added */
export function addTags(tags: Map<string, string>, input: unknown): void {
  const added = Array.isArray(input) ? (input as Json[]) : [];
  const problems = added.length === 0 ? [constraintViolation(null, 'tags', 'Member must not be null or empty')] : [];
  added.forEach(({ Key: key, Value: value }, i) => {
    problems.push(...tagProblems(key, `tags.${i + 1}.member.key`, 1, 128));
    problems.push(...tagProblems(value ?? '', `tags.${i + 1}.member.value`, 0, 256));
  });
  if (problems.length > 0) throw validationError(problems);
  const reserved = added.find(({ Key: key }) => (key as string).startsWith('aws:'));
  if (reserved) throw invalidArgument(`Tag key ${reserved.Key} must not start with the reserved prefix aws:`);
  const merged = new Map([
    ...tags,
    ...added.map(({ Key, Value }) => [Key as string, (Value ?? '') as string] as const),
  ]);
  if (merged.size > TAGS_MAX) {
    throw new AwsError('LimitExceededException', `A Firehose can have at most ${TAGS_MAX} tags`);
  }
  for (const [key, value] of merged) tags.set(key, value);
}

/** Removes the tags with the keys of the input. Keys that it does not have are ignored, as on AWS. */
export function removeTags(tags: Map<string, string>, input: unknown): void {
  const keys = Array.isArray(input) ? input : [];
  const problems = keys.length === 0 ? [constraintViolation(null, 'tagKeys', 'Member must not be null or empty')] : [];
  for (const [i, key] of keys.entries()) problems.push(...tagProblems(key, `tagKeys.${i + 1}.member`, 1, 128));
  if (problems.length > 0) throw validationError(problems);
  for (const key of keys) tags.delete(key as string);
}

/** A page of tags, sorted by key. */
export function listTags(tags: ReadonlyMap<string, string>, { ExclusiveStartTagKey: after, Limit: limit }: Json): Json {
  const rest = [...tags]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .filter(([key]) => typeof after !== 'string' || key > after);
  const count = typeof limit === 'number' && limit >= 1 ? limit : TAGS_MAX;
  return {
    Tags: rest.slice(0, count).map(([Key, Value]) => ({ Key, Value })),
    HasMoreTags: rest.length > count,
  };
}

function tagProblems(text: unknown, field: string, min: number, max: number): string[] {
  if (typeof text !== 'string') return [constraintViolation(null, field, 'Member must not be null')];
  if (text.length < min) {
    return [constraintViolation(text, field, `Member must have length greater than or equal to ${min}`)];
  }
  return text.length > max
    ? [constraintViolation(text, field, `Member must have length less than or equal to ${max}`)]
    : [];
}

/** The encryption that the input asks for. It is a state only: the lake is a folder, and its files are plain. */
export function readEncryption(input: unknown): Json {
  const { KeyType: type = 'AWS_OWNED_CMK', KeyARN: arn } = (input ?? {}) as Json;
  if (typeof type !== 'string' || !KEY_TYPES.includes(type)) {
    const rule = `Member must satisfy enum value set: [${KEY_TYPES.join(', ')}]`;
    throw validationError([
      constraintViolation(String(type), 'deliveryStreamEncryptionConfigurationInput.keyType', rule),
    ]);
  }
  if ((type === 'CUSTOMER_MANAGED_CMK') !== (typeof arn === 'string')) {
    throw invalidArgument(
      type === 'CUSTOMER_MANAGED_CMK'
        ? 'KeyARN is required for CUSTOMER_MANAGED_CMK'
        : `KeyARN is not allowed for ${type}`,
    );
  }
  return { Status: 'ENABLED', KeyType: type, ...(typeof arn === 'string' && { KeyARN: arn }) };
}

export const ENCRYPTION_DISABLED: Json = { Status: 'DISABLED' };
