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
