import { createReadStream, createWriteStream, existsSync, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { fsyncDirectory, fsyncFile } from '../../runtime/durable-file.ts';

/**
 * One object on its way into the lake. The buffer is a file in the spool, so it costs no memory, survives SIGKILL, and
 * delivering it is a rename. Beside the data lies a small file that says how many bytes of it were acknowledged and
 * where it goes: what a killed process wrote beyond that is cut off.
 */
export interface ObjectBuffer {
  /** Name under the lake, slashes and all. */
  readonly object: string;
  /** Bytes staged so far. */
  readonly size: () => number;
  /** Takes bytes in; cheap, and nothing is promised yet. */
  stage(bytes: Buffer): void;
  /** Resolves when everything staged so far survives the death of this process, and of the machine if `durable`. */
  commit(): Promise<void>;
  /** Moves the object into the lake; nothing may be staged any more. May be called again after it failed. */
  deliver(): Promise<void>;
}

/** Where a spooled object is and what becomes of it: the second line of its `.meta` file. */
export interface SpooledObject {
  object: string;
  gzip: boolean;
}

export interface SpoolFolders {
  lake: string;
  spool: string;
  /** What is committed survives a loss of power too, not only the death of this process. */
  durable?: boolean;
}

const LENGTH_DIGITS = 16;

export const encodeMeta = (committed: number, spooled: SpooledObject): string =>
  `${String(committed).padStart(LENGTH_DIGITS, '0')}\n${JSON.stringify(spooled)}\n`;

export function decodeMeta(text: string): { committed: number; spooled: SpooledObject } {
  return {
    committed: Number.parseInt(text.slice(0, LENGTH_DIGITS), 10),
    spooled: JSON.parse(text.slice(LENGTH_DIGITS + 1)),
  };
}

export function createObjectBuffer(folders: SpoolFolders, id: string, spooled: SpooledObject): ObjectBuffer {
  const path = join(folders.spool, id);
  let files: { data: FileHandle; meta: FileHandle } | undefined;
  let size = 0;
  let committed = 0;
  let staged: Buffer[] = [];
  let writing: Promise<void> | undefined;

  async function openFiles() {
    // The meta file first: data without one would be nobody's.
    const meta = await open(`${path}.meta`, 'w');
    try {
      await meta.writeFile(encodeMeta(0, spooled));
      const data = await open(`${path}.data`, 'w');
      if (folders.durable) await fsyncDirectory(folders.spool);
      return { meta, data };
    } catch (error) {
      await meta.close();
      throw error;
    }
  }

  /** Writes what is staged, and what is staged meanwhile with the next write: one write serves many requests. */
  async function writeStaged(): Promise<void> {
    const batch = staged;
    staged = [];
    try {
      files ??= await openFiles();
      const bytes = await writeAll(files.data, batch, committed);
      if (folders.durable) await files.data.datasync();
      // Sixteen bytes into the page cache: quicker done than handed to a thread, and never seen half written.
      writeSync(files.meta.fd, String(committed + bytes).padStart(LENGTH_DIGITS, '0'), 0);
      if (folders.durable) await files.meta.datasync();
      committed += bytes;
    } catch (error) {
      // Not acknowledged, so it is not kept: the next write takes its place in the file.
      for (const bytes of batch) size -= bytes.length;
      throw error;
    }
  }

  function commit(): Promise<void> {
    if (staged.length === 0) return writing ?? Promise.resolve();
    // Whoever comes while a write runs shares the one after it.
    next ??= (writing?.catch(() => {}) ?? Promise.resolve()).then(() => {
      next = undefined;
      const write = writeStaged().finally(() => {
        if (writing === write) writing = undefined;
      });
      writing = write;
      return write;
    });
    return next;
  }
  let next: Promise<void> | undefined;

  return {
    object: spooled.object,
    size: () => size,
    stage(bytes) {
      size += bytes.length;
      staged.push(bytes);
    },
    commit,
    async deliver() {
      // A failed write was told to its requests; what was committed before it is still owed to the lake.
      await commit().catch(() => {});
      await files?.data.close();
      await files?.meta.close();
      files = undefined;
      await deliverSpooled(folders, id, committed, spooled);
    },
  };
}

async function writeAll(file: FileHandle, chunks: Buffer[], position: number): Promise<number> {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  let { bytesWritten } = await file.writev(chunks, position);
  if (bytesWritten < total) {
    // A short write is rare enough for a copy.
    const all = Buffer.concat(chunks);
    while (bytesWritten < total) {
      bytesWritten += (await file.write(all, bytesWritten, total - bytesWritten, position + bytesWritten)).bytesWritten;
    }
  }
  return total;
}

/** Every step can be repeated, so a delivery that was cut short by an error or a kill is simply done again. */
export async function deliverSpooled(
  { lake, spool, durable }: SpoolFolders,
  id: string,
  committed: number,
  { object, gzip }: SpooledObject,
): Promise<void> {
  const data = join(spool, `${id}.data`);
  if (committed > 0 && existsSync(data)) {
    const target = join(lake, object);
    await mkdir(dirname(target), { recursive: true });
    if (gzip) {
      const packed = join(spool, `${id}.gz`);
      await pipeline(createReadStream(data, { end: committed - 1 }), createGzip(), createWriteStream(packed));
      if (durable) await fsyncFile(packed);
      await rename(packed, target);
    } else {
      await truncate(data, committed);
      await rename(data, target);
    }
    if (durable) await fsyncDirectory(dirname(target));
  }
  await rm(data, { force: true });
  await rm(join(spool, `${id}.meta`), { force: true });
}
