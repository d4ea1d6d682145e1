import { getEventListeners } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { abortable, onAbort } from '../../../src/runtime/abort.ts';

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('onAbort', () => {
  test('calls the listener once when the signal aborts', () => {
    const controller = new AbortController();
    const listener = vi.fn();
    onAbort(controller.signal, listener);
    expect(listener).not.toHaveBeenCalled();
    controller.abort();
    controller.abort();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(listenersOf(controller.signal)).toBe(0);
  });

  test('calls the listener at once when the signal has already aborted', () => {
    const listener = vi.fn();
    const removeListener = onAbort(AbortSignal.abort(), listener);
    expect(listener).toHaveBeenCalledTimes(1);
    removeListener();
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test('does not call a listener that was removed', () => {
    const controller = new AbortController();
    const listener = vi.fn();
    const removeListener = onAbort(controller.signal, listener);
    expect(listenersOf(controller.signal)).toBe(1);
    removeListener();
    expect(listenersOf(controller.signal)).toBe(0);
    controller.abort();
    expect(listener).not.toHaveBeenCalled();
  });
});

describe('abortable', () => {
  test('resolves with the result of the work and removes its listener', async () => {
    const { signal } = new AbortController();
    await expect(abortable(Promise.resolve(7), signal)).resolves.toBe(7);
    expect(listenersOf(signal)).toBe(0);
  });

  test('rejects with the error of the work and removes its listener', async () => {
    const { signal } = new AbortController();
    await expect(abortable(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken');
    expect(listenersOf(signal)).toBe(0);
  });

  test('rejects with the reason of the signal when the work never settles', async () => {
    const controller = new AbortController();
    const waiting = abortable(new Promise(() => {}), controller.signal);
    const reason = new Error('stopped');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test('rejects with the reason of a signal that has already aborted, whatever the work does', async () => {
    const reason = new Error('stopped');
    await expect(abortable(Promise.resolve(7), AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('handles the rejection of work that fails after the abort', async () => {
    const controller = new AbortController();
    let fail: (error: Error) => void = () => {};
    const work = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const waiting = abortable(work, controller.signal);
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      controller.abort(new Error('stopped'));
      fail(new Error('too late'));
      await expect(waiting).rejects.toThrow('stopped');
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });
});
