/**
 * Calls `listener` once `signal` aborts, at once if it already has. Returns the function that removes the listener:
 * call it when the wait is over, otherwise a signal that lives as long as the process collects listeners.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => {};
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/**
 * Settles like `work`, or rejects with the reason of `signal` if that aborts first. The work itself is not stopped, and
 * its result is dropped; use this where nothing else ends the wait, such as a server that does not answer.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const removeListener = onAbort(signal, () => reject(signal.reason));
    work.then(resolve, reject).finally(removeListener);
  });
}

/**
 * Resolves after that time, and rejects with the reason of `signal` if that aborts first. (The timers of
 * node:timers/promises do not follow the virtual time of tests.)
 */
export function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const slept = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return abortable(slept, signal).finally(() => clearTimeout(timer));
}

/** Resolves in the next turn of the event loop, after waiting I/O had its turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
