import { describe, expect, test } from 'vitest';
import { TableWatches, WINDOW_KEYS_MAX } from '../../../src/model/chunk-window.ts';
import { encodedEvent } from '../../encoded-event.ts';

const event = (key: string, isPartial = false) => ({ ...encodedEvent('line\n', key, 7), isPartial });

describe('a window', () => {
  test('records the keys that the stream touches while it is open, by their bytes', () => {
    const watch = new TableWatches().of('d', 't');
    watch.touch(event('before'));
    const window = watch.open();
    expect(window.isTouched).toBe(false);
    watch.touch(event('a'));
    watch.touch(event('b', true));
    expect(window.isTouched).toBe(true);
    const touches = ['a', 'b', 'before', 'other'].map((key) => window.touchOf(event(key)));
    expect(touches).toEqual(['whole', 'partial', undefined, undefined]);
    watch.close(window);
    watch.touch(event('after'));
    expect(window.touchOf(event('after'))).toBeUndefined();
  });

  test('reads a row again if any of its events lacked columns', () => {
    const watch = new TableWatches().of('d', 't');
    const window = watch.open();
    for (const isPartial of [true, false]) watch.touch(event('a', isPartial));
    for (const isPartial of [false, true]) watch.touch(event('b', isPartial));
    expect([window.touchOf(event('a')), window.touchOf(event('b'))]).toEqual(['partial', 'partial']);
  });

  test('of another table, or closed, hears nothing', () => {
    const watches = new TableWatches();
    const window = watches.of('d', 't').open();
    watches.of('d', 'u').touch(event('a'));
    watches.changed('d', 'u', 'ALTER TABLE');
    watches.changed('e', undefined, 'ALTER DATABASE');
    watches.emptied('d', 'u');
    watches.rolledBack();
    expect([window.isTouched, window.invalid]).toEqual([false, undefined]);
  });

  test('is invalid after DDL of its table or schema', () => {
    const watches = new TableWatches();
    const [first, second] = [watches.of('d', 't').open(), watches.of('d', 'u').open()];
    watches.changed('d', 't', 'ALTER TABLE');
    expect([first.invalid, second.invalid]).toEqual(['ALTER TABLE while the chunk was read', undefined]);
    watches.changed('d', undefined, 'ALTER DATABASE');
    expect(second.invalid).toBe('ALTER DATABASE while the chunk was read');
  });

  test('is invalid after a rollback of a transaction that touched it, and of no other', () => {
    const watches = new TableWatches();
    const watch = watches.of('d', 't');
    const first = watch.open();
    watch.touch(event('a'));
    watches.transactionEnded();
    const second = watch.open();
    watches.rolledBack();
    expect([first.invalid, second.invalid]).toEqual([undefined, undefined]);
    watch.touch(event('b'));
    watches.rolledBack();
    expect([first.invalid, second.invalid]).toEqual(Array(2).fill('a transaction was rolled back'));
  });

  test('leaves out every row that was read before the table was emptied', () => {
    const watches = new TableWatches();
    const window = watches.of('d', 't').open();
    watches.emptied('d', 't');
    expect([window.isTouched, window.touchOf(event('any'))]).toEqual([true, 'whole']);
  });

  test('is given up when it would outgrow its bound, and keeps nothing then', () => {
    const watch = new TableWatches().of('d', 't');
    const window = watch.open();
    for (let key = 0; key <= WINDOW_KEYS_MAX; key++) watch.touch(event(String(key)));
    expect(window.isOvergrown).toBe(true);
    expect(window.invalid).toMatch('too many rows');
    expect(window.touchOf(event('1'))).toBeUndefined();
  });

  test('is given up when its keys are too many bytes', () => {
    const watch = new TableWatches().of('d', 't');
    const window = watch.open();
    for (let key = 0; key < 17; key++) watch.touch(event(`${key}`.padEnd(1024 * 1024)));
    expect(window.isOvergrown).toBe(true);
  });

  test('of a table whose events have no key records statements alone', () => {
    const watches = new TableWatches();
    const watch = watches.of('d', 't');
    const window = watch.open(false);
    watch.touch(event(''));
    expect(window.isTouched).toBe(false);
    watches.changed('d', 't', 'ALTER TABLE');
    expect(window.invalid).toMatch('ALTER TABLE');
  });
});
