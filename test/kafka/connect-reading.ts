/** The part of a schema of Kafka Connect that says how a value is read. */
export interface ReadSchema {
  type: string;
  field?: string;
  fields?: ReadSchema[];
  items?: ReadSchema;
}

/** Marks the text of a number in a parsed value: a number of JavaScript has fewer digits. */
const NUMBER = '\u0001number \u0001';

/** Parses JSON text. A number becomes its text after a mark. */
export const parseExactly = (text: string): unknown =>
  JSON.parse(
    text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, (token) =>
      token[0] === '"' ? token : JSON.stringify(NUMBER + token),
    ),
  );

/** A day that no calendar has, which only sql_mode ALLOW_INVALID_DATES stores. */
const IMPOSSIBLE_DAY = /^\d{4}-\d\d-(?:29|30|31)/;

/** Where a value that Connect read with a schema is not ours: one text for each difference. */
export function readDifferences(schema: ReadSchema, ours: unknown, theirs: unknown, path = ''): string[] {
  const differ = (): string[] => [`${path || 'value'} (${schema.type}): ours ${show(ours)}, read ${show(theirs)}`];
  // A member that is left out is read as null.
  if (ours === undefined || ours === null) return theirs === null ? [] : differ();
  switch (schema.type) {
    case 'struct':
      if (!isObject(ours) || !isObject(theirs)) return differ();
      return (schema.fields ?? []).flatMap((field) => {
        const name = field.field ?? '';
        return readDifferences(field, ours[name], theirs[name], `${path}/${name}`);
      });
    case 'array':
      if (!Array.isArray(ours) || !Array.isArray(theirs) || ours.length !== theirs.length) return differ();
      return ours.flatMap((each, i) => readDifferences(schema.items as ReadSchema, each, theirs[i], `${path}/${i}`));
    case 'float':
    case 'double': {
      const round = schema.type === 'float' ? Math.fround : Number;
      return isNumber(ours) && isNumber(theirs) && round(numberOf(ours)) === round(numberOf(theirs)) ? [] : differ();
    }
    case 'int16':
    case 'int32':
    case 'int64':
      if (isNumber(ours)) return theirs === wrapped(ours, Number(schema.type.slice(3))) ? [] : differ();
      // With `epoch_micros` it is a text, for which Connect reads 0 (docs/KAFKA-MESSAGES.md).
      return IMPOSSIBLE_DAY.test(String(ours)) && theirs === `${NUMBER}0` ? [] : differ();
    default:
      return ours === theirs && !isNumber(ours) ? [] : differ();
  }
}

/** Where a value that Connect read without a schema is not ours. */
export function schemalessDifferences(ours: unknown, theirs: unknown, path = ''): string[] {
  const differ = (): string[] => [`${path || 'value'}: ours ${show(ours)}, read ${show(theirs)}`];
  if (isNumber(ours)) {
    if (!isNumber(theirs)) return differ();
    const same = /^-?\d+$/.test(ours.slice(NUMBER.length))
      ? theirs === wrapped(ours, 64)
      : numberOf(ours) === numberOf(theirs);
    return same ? [] : differ();
  }
  if (!isObject(ours)) return ours === theirs ? [] : differ();
  if (!isObject(theirs) || Object.keys(ours).length !== Object.keys(theirs).length) return differ();
  return Object.keys(ours).flatMap((name) => schemalessDifferences(ours[name], theirs[name], `${path}/${name}`));
}

const isNumber = (value: unknown): value is string => typeof value === 'string' && value.startsWith(NUMBER);
const numberOf = (value: string): number => Number(value.slice(NUMBER.length));
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const show = (value: unknown): string => String(JSON.stringify(value)).slice(0, 200);

/**
 * The low 64 bits of an integer, as Connect reads one that is too large: BIGINT UNSIGNED, as in Debezium. Of a smaller
 * type every value must fit.
 */
const wrapped = (value: string, bits: number): string =>
  bits === 64 ? NUMBER + BigInt.asIntN(64, BigInt(value.slice(NUMBER.length))) : value;
