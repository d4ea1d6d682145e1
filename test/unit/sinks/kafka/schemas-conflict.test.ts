import { expect, test } from 'vitest';
import { configSchema, type ValueOptions } from '../../../../src/config/schema.ts';
import { schemasConflict } from '../../../../src/config/schemas-conflict.ts';

const DEFAULT_VALUES = configSchema.shape.values.parse({}) as ValueOptions;
const conflictOf = (values: Partial<ValueOptions>, format: 'debezium' | 'flat' | 'maxwell' = 'debezium') =>
  schemasConflict({ format, values: { ...DEFAULT_VALUES, ...values } });

test.each<Partial<ValueOptions>>([
  {},
  { bigint: 'string' },
  { binary: 'hex' },
  { temporal: 'mysql' },
  { zero_dates: 'null' },
  { temporal: 'epoch_micros', zero_dates: 'null' },
  { boolean: ['bit1'] },
])('schemas go with values %j', (values) => {
  expect(conflictOf(values)).toBeUndefined();
  expect(conflictOf(values, 'flat')).toBeUndefined();
});

test.each<[Partial<ValueOptions>, string[], string]>([
  [{ decimal: 'number' }, ['values', 'decimal'], 'a double of Connect loses digits of a DECIMAL; set decimal: string'],
  [{ json: 'nested' }, ['values', 'json'], 'Connect has no type for any JSON; set json: string'],
  [{ boolean: ['bit1', 'tinyint1'] }, ['values', 'boolean'], 'which Connect reads as false; remove tinyint1'],
  [{ temporal: 'epoch_micros' }, ['values', 'zero_dates'], 'which Connect reads as 1970-01-01; set zero_dates: "null"'],
])('schemas do not go with values %j', (values, path, message) => {
  expect(conflictOf(values)).toEqual({ path, message: expect.stringContaining(message) });
});

test('schemas do not go with format maxwell', () => {
  expect(conflictOf({}, 'maxwell')).toMatchObject({ path: ['format'] });
});
