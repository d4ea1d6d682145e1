import files, { type FileHandle } from 'node:fs/promises';
import { ClientRequest } from 'node:http';

/** Wraps functions of Node to call a callback in the middle of an operation of the daemon. */

/** Writes to files with such paths. `half`: the first half of the content is written. `written`: before the fsync. */
export function onWrite(path: RegExp, { half, written }: { half?: () => void; written?: () => void }): void {
  const { open } = files;
  files.open = async (...args) => {
    const handle = await open(...args);
    if (!path.test(String(args[0]))) return handle;
    const { writeFile, sync } = handle;
    handle.writeFile = async (data) => {
      const bytes = Buffer.from(data as string);
      const middle = bytes.length >> 1;
      await handle.write(bytes, 0, middle);
      half?.();
      await writeFile.call(handle, bytes.subarray(middle));
    };
    handle.sync = async function (this: FileHandle) {
      written?.();
      await sync.call(this);
    };
    return handle;
  };
}

export function onRename(path: RegExp, { before, after }: { before?: () => void; after?: () => void }): void {
  const { rename } = files;
  files.rename = async (from, to) => {
    const matches = path.test(String(from));
    if (matches) before?.();
    await rename(from, to);
    if (matches) after?.();
  };
}

/** The phases of a request with a body. */
export function onRequest(at: {
  before?: () => void;
  half?: () => void;
  written?: () => void;
  answered?: () => void;
}): void {
  const { end, write } = ClientRequest.prototype;
  ClientRequest.prototype.end = function (this: ClientRequest, body?: unknown, ...rest: unknown[]) {
    if (!(body instanceof Uint8Array)) return Reflect.apply(end, this, [body, ...rest]);
    at.before?.();
    if (at.written) this.once('finish', at.written);
    if (at.answered) this.once('response', at.answered);
    if (at.half === undefined) return Reflect.apply(end, this, [body, ...rest]);
    const middle = body.length >> 1;
    Reflect.apply(write, this, [
      body.subarray(0, middle),
      () => {
        at.half?.();
        Reflect.apply(end, this, [body.subarray(middle), ...rest]);
      },
    ]);
    return this;
  } as typeof end;
}
