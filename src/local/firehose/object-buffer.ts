import { createReadStream, createWriteStream, existsSync, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { fsyncDirectory, fsyncFile } from '../../runtime/durable-file.ts';
import { notePendingCopy } from './redshift/pending-copies.ts';

/**
 * One object before its delivery to the lake. The buffer is a file in the spool, so it costs no memory and survives
 * SIGKILL, and its delivery is a rename. A small meta file next to the data contains the object name and the number of
 * acknowledged bytes. Recovery cuts off bytes that a killed process wrote past that number.
 */
export interface ObjectBuffer {
  /** The name of its files in the spool, without an ending. */
  readonly id: string;
  /** The path of the object below the lake. */
  readonly object: string;
  /** The number of bytes staged so far. */
  readonly size: () => number;
  /** Adds bytes in memory. They are durable only after commit(). */
  stage(bytes: Buffer): void;
  /** Resolves when all staged bytes survive the death of this process and, if `durable`, of the machine. */
  commit(): Promise<void>;
  /** Moves the object into the lake. Call stage() no more after it. It can be called again after a failure. */
  deliver(): Promise<void>;
}

/** The name and compression of a spooled object: the second line of its `.meta` file. */
export interface SpooledObject {
  object: string;
  gzip: boolean;
  /** The stream that copies the object into a table. */
  copiedBy?: string | undefined;
}

export interface SpoolFolders {
  lake: string;
  spool: string;
  /** Committed bytes also survive a loss of power, not only the death of this process. */
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
  let files: BufferFiles | undefined;
  let size = 0;
  let committed = 0;
  let staged: Buffer[] = [];
  let writing: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  /** Writes the staged bytes. Bytes staged meanwhile share the next write, so one write serves many requests. */
  async function writeStaged(): Promise<void> {
    const batch = staged;
    staged = [];
    try {
      files ??= await openFiles(folders, id, spooled);
      const bytes = await writeAll(files.data, batch, committed);
      if (folders.durable) await files.data.datasync();
      // Sixteen bytes to the page cache: faster than a thread of the pool, and no reader sees half of them.
      writeSync(files.meta.fd, String(committed + bytes).padStart(LENGTH_DIGITS, '0'), 0);
      if (folders.durable) await files.meta.datasync();
      committed += bytes;
    } catch (error) {
      // These bytes are not acknowledged, so the next write overwrites them in the file.
      for (const bytes of batch) size -= bytes.length;
      throw error;
    }
  }

  function commit(): Promise<void> {
    if (staged.length === 0) return writing ?? Promise.resolve();
    // Every call during a write shares the next write.
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

  return {
    id,
    object: spooled.object,
    size: () => size,
    stage(bytes) {
      size += bytes.length;
      staged.push(bytes);
    },
    commit,
    async deliver() {
      // A failed write has failed its own requests. The bytes committed before it must still reach the lake.
      await commit().catch(() => {});
      await files?.data.close();
      await files?.meta.close();
      files = undefined;
      await deliverSpooled(folders, id, committed, spooled);
    },
  };
}

interface BufferFiles {
  data: FileHandle;
  meta: FileHandle;
}

async function openFiles(folders: SpoolFolders, id: string, spooled: SpooledObject): Promise<BufferFiles> {
  const path = join(folders.spool, id);
  // The meta file comes first, because data without a meta file cannot be recovered.
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

async function writeAll(file: FileHandle, chunks: Buffer[], position: number): Promise<number> {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  let { bytesWritten } = await file.writev(chunks, position);
  if (bytesWritten < total) {
    // A short write is rare, so the copy is acceptable.
    const all = Buffer.concat(chunks);
    while (bytesWritten < total) {
      bytesWritten += (await file.write(all, bytesWritten, total - bytesWritten, position + bytesWritten)).bytesWritten;
    }
  }
  return total;
}

/**
 * Moves a spooled object into the lake. Every step is repeatable, so a delivery that failed or was killed is repeated.
 */
export async function deliverSpooled(
  { lake, spool, durable }: SpoolFolders,
  id: string,
  committed: number,
  { object, gzip, copiedBy }: SpooledObject,
): Promise<void> {
  const data = join(spool, `${id}.data`);
  if (committed > 0 && existsSync(data)) {
    const target = join(lake, object);
    if (copiedBy !== undefined) await notePendingCopy(spool, { id, stream: copiedBy, object }, durable ?? false);
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
