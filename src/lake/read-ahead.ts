import { onAbort } from '../runtime/abort.ts';
import type { LineBlock } from './line-cutter.ts';
import { readLines } from './object-lines.ts';
import type { LakeObject, LakeStore } from './object-store.ts';

/** An object that is being read. */
export interface OpenObject<T extends LakeObject> {
  object: T;
  lines: AsyncIterable<LineBlock>;
}

/** Objects that are open at the same time. A bucket takes some time to answer, and gzip is read off the main thread. */
export const OPEN_OBJECTS_MAX = 4;

/** The lines of objects, one object after the other, while the first blocks of the next ones are read. */
export async function* readAhead<T extends LakeObject>(
  store: LakeStore,
  objects: readonly T[],
  signal: AbortSignal,
): AsyncGenerator<OpenObject<T>> {
  const reading = new AbortController();
  const removeListener = onAbort(signal, () => reading.abort(signal.reason));
  const open: OpenObject<T>[] = [];
  let next = 0;
  try {
    do {
      while (open.length < OPEN_OBJECTS_MAX && next < objects.length) {
        const object = objects[next++] as T;
        open.push({ object, lines: begun(readLines(store, object, reading.signal)) });
      }
      const first = open.shift();
      if (first !== undefined) yield first;
    } while (open.length > 0 || next < objects.length);
  } finally {
    removeListener();
    reading.abort();
  }
}

/** Begins to read now, not when the first block is asked for. */
function begun(lines: AsyncGenerator<LineBlock>): AsyncIterable<LineBlock> {
  const first = lines.next();
  // It can fail before anybody waits for it.
  first.catch(() => {});
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (let block = await first; !block.done; block = await lines.next()) yield block.value;
      } finally {
        await lines.return(undefined);
      }
    },
  };
}
