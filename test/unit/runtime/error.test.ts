import { describe, expect, test } from 'vitest';
import { asCdcError, CdcError, formatError, withContext } from '../../../src/runtime/error.ts';

describe('withContext', () => {
  test('changes the message, keeps everything else, and names the original as the cause', () => {
    const original = new CdcError('broken', { kind: 'retry', exitCode: 4, why: 'a reason', hint: 'do this' });
    const error = withContext(original, (message) => `shop.orders: ${message}`, 'another hint');
    expect(error).toMatchObject({
      message: 'shop.orders: broken',
      kind: 'retry',
      exitCode: 4,
      why: 'a reason',
      hint: 'do this',
      cause: original,
    });
  });

  test('adds the hint to an error that has none', () => {
    expect(withContext(new TypeError('odd'), (message) => `${message} (here)`, 'report it')).toMatchObject({
      message: 'odd (here)',
      kind: 'fatal',
      exitCode: 1,
      why: undefined,
      hint: 'report it',
    });
    expect(withContext(new CdcError('x'), (message) => message).hint).toBeUndefined();
  });
});

test('a thrown value that is no CdcError becomes a fatal one', () => {
  const error = new TypeError('odd');
  expect(asCdcError(error)).toMatchObject({ message: 'odd', kind: 'fatal', exitCode: 1, cause: error });
  expect(asCdcError(new RangeError()).message).toBe('RangeError');
  expect(asCdcError('text')).toMatchObject({ message: 'text', kind: 'fatal' });
});

test('an error is printed as what, why and what to do', () => {
  expect(formatError(new CdcError('broken', { why: 'a reason', hint: 'do this' }))).toBe(
    'error: broken\n  why: a reason\n  do:  do this',
  );
  expect(formatError(new CdcError('broken'))).toBe('error: broken');
});

test('an error is printed in its lines, and without control characters', () => {
  const error = new CdcError('no table \u001b[2Jx', { why: 'one\n        two\r', hint: 'a\u009bb' });
  expect(formatError(error)).toBe('error: no table \\u001b[2Jx\n  why: one\n        two\\u000d\n  do:  a\\u009bb');
});
