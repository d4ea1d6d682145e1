import type { Dirent, Stats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { CdcError } from '../runtime/error.ts';
import { type LakeObject, type LakeStore, LostObject } from './object-store.ts';

const READ_BYTES = 1024 * 1024;
/** How many files are asked for their size at the same time. */
const STATS_AT_ONCE = 64;

/** The lake in a folder, as `cdc firehose` or a copy of a bucket has it. @throws CdcError if there is no such folder */
export async function openFolder(folder: string): Promise<LakeStore> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(folder, error);
  });
  if (!found.isDirectory()) {
    throw new CdcError(`the lake ${folder} is not a folder`, { hint: 'set lake to the folder that holds the objects' });
  }
  return {
    location: folder,
    list: (signal) => listFolder(folder, signal),
    read: (object, signal) => readFile(folder, object, signal),
    close() {},
  };
}

async function listFolder(folder: string, signal: AbortSignal | undefined): Promise<LakeObject[]> {
  const objects: LakeObject[] = [];
  // Folders that wait, as paths below the lake.
  const waiting = [''];
  // Links can lead back.
  const seen = new Set<string>();
  for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
    signal?.throwIfAborted();
    const identity = await ifThere(folder, below, identityOf);
    if (identity === undefined || seen.has(identity)) continue;
    seen.add(identity);
    const names: string[] = [];
    for (const entry of (await ifThere(folder, below, entriesOf)) ?? []) {
      // What begins with a dot is still being written.
      if (entry.name.startsWith('.')) continue;
      const name = `${below}${entry.name}`;
      const found = entry.isSymbolicLink() ? await ifThere(folder, name, statOf) : entry;
      if (found?.isDirectory()) waiting.push(`${name}/`);
      else if (found?.isFile()) names.push(name);
    }
    for (let at = 0; at < names.length; at += STATS_AT_ONCE) {
      const some = await Promise.all(names.slice(at, at + STATS_AT_ONCE).map((name) => describe(folder, name)));
      objects.push(...some.filter((object) => object !== undefined));
    }
  }
  return objects.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const statOf = (path: string): Promise<Stats> => stat(path);

const entriesOf = (path: string): Promise<Dirent[]> => readdir(path, { withFileTypes: true });

async function identityOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}-${ino}`;
}

async function describe(folder: string, name: string): Promise<LakeObject | undefined> {
  const found = await ifThere(folder, name, statOf);
  return found && { name, bytes: found.size, version: versionOf(found), modifiedAt: found.mtimeMs };
}

/** What `look` finds; undefined if it was removed meanwhile. */
async function ifThere<T>(folder: string, name: string, look: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await look(join(folder, name));
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    if (failure.code !== 'ENOENT' || name === '') throw unreadable(folder, failure);
    // Node replaces bytes that are not UTF-8, and finds no file of the name that results.
    if (!name.includes('\ufffd')) return undefined;
    throw new CdcError(`the lake ${folder} has a file whose name is not UTF-8`, {
      why: failure.message,
      hint: 'rename or remove it',
    });
  }
}

const versionOf = ({ size, mtimeMs }: Stats): string => `${size}-${mtimeMs}`;

async function readFile(folder: string, object: LakeObject, signal: AbortSignal | undefined): Promise<Readable> {
  let file: FileHandle;
  try {
    file = await open(join(folder, object.name));
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    if (failure.code === 'ENOENT' || failure.code === 'ENOTDIR') throw new LostObject('gone');
    throw unreadable(folder, failure);
  }
  const isSame = async () => versionOf(await file.stat()) === object.version;
  if (!(await isSame())) {
    await file.close();
    throw new LostObject('changed');
  }
  const bytes = Readable.from(bytesOf(folder, file, object, isSame, signal), { highWaterMark: 2 });
  // However it ends, and if nobody reads it.
  return bytes.once('close', () => void file.close().catch(() => {}));
}

async function* bytesOf(
  folder: string,
  file: FileHandle,
  object: LakeObject,
  isSame: () => Promise<boolean>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for (let at = 0; at < object.bytes; ) {
    signal?.throwIfAborted();
    // Not from a pool: the reader keeps parts of it.
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, object.bytes - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at).catch((error: NodeJS.ErrnoException) => {
      throw unreadable(folder, error);
    });
    if (bytesRead === 0) throw new LostObject('changed');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  // Somebody can have written to it while it was read.
  if (!(await isSame())) throw new LostObject('changed');
}

function unreadable(folder: string, failure: NodeJS.ErrnoException): CdcError {
  const isMissing = failure.code === 'ENOENT';
  return new CdcError(isMissing ? `there is no lake ${folder}` : `cannot read the lake ${folder}`, {
    why: failure.message,
    hint: isMissing
      ? 'set lake to the folder that holds the objects, or to s3://bucket/prefix'
      : 'check the owner and the permissions of the folder and the files in it',
    cause: failure,
  });
}
