import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ensureDirectory, fsyncDirectory } from '../../runtime/durable-file.ts';
import { CdcError } from '../../runtime/error.ts';
import { lockFile } from '../../runtime/file-lock.ts';
import type { FaultName } from './faults.ts';

/** One PutRecord or PutRecordBatch, and the whole truth about it. */
export interface CallLogEntry {
  /** Counted from 1 since the local Firehose started, as the calls arrive. */
  call: number;
  /** ISO time of the entry, which is just before the answer. */
  at: string;
  operation: 'PutRecord' | 'PutRecordBatch';
  /** Null when it was never known: the connection was reset, or the request could not be read. */
  stream: string | null;
  /** The fault that was applied, and the index of its rule. */
  fault: FaultName | null;
  rule: number | null;
  /** HTTP status that went out; null when there was no answer. */
  status: number | null;
  /**
   * `ok` (each record has its own result, partial failures included), the `__type` of an error, or how the answer
   * failed: `lost`, `reset`, `hang`, `truncated`, `empty`, `short`, `html`.
   */
  answered: string;
  /** In the order of the request. Empty when it was refused unread. */
  records: LedgerRecord[];
}

export interface LedgerRecord {
  /** The answer, whole and well-formed, says that this record is accepted. */
  accepted: boolean;
  /** The record is in the spool, and so in the lake sooner or later. */
  stored: boolean;
  /** ErrorCode of its slot. */
  code: string | null;
  /** A view into the body of the request: copy what you keep. */
  data: Buffer;
}

/** One line of NDJSON. Data is text as `"data"` when it is valid UTF-8, which events are, else `"base64"`. */
export function encodeEntry({ records, ...call }: CallLogEntry): string {
  const lines = records.map(({ data, ...result }) =>
    isUtf8(data) ? { ...result, data: data.toString() } : { ...result, base64: data.toString('base64') },
  );
  return `${JSON.stringify({ ...call, records: lines })}\n`;
}

export function decodeEntry(line: string): CallLogEntry {
  const { records, ...call } = JSON.parse(line);
  return {
    ...call,
    records: records.map(({ data, base64, ...result }: { data?: string; base64?: string }) => ({
      ...result,
      data: data === undefined ? Buffer.from(base64!, 'base64') : Buffer.from(data),
    })),
  };
}

export interface CallLog {
  /** Resolves when the entry is on the disk. */
  append(entry: CallLogEntry): Promise<void>;
  close(): Promise<void>;
}

/** Goes on at the end of a ledger that is there; a last line that a kill cut short, which answered nobody, goes. */
export async function openLedger(path: string): Promise<CallLog> {
  const { file, length, unlock } = await openAtEnd(path);
  let end = length;
  let waiting: string[] = [];
  let next: Promise<void> | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const bytes = Buffer.from(waiting.join(''));
    waiting = [];
    // At a place of its own: what a failed write left is overwritten by the next one.
    for (let done = 0; done < bytes.length; ) {
      done += (await file.write(bytes, done, bytes.length - done, end + done)).bytesWritten;
    }
    await file.datasync();
    end += bytes.length;
  }

  return {
    append(entry) {
      waiting.push(encodeEntry(entry));
      // Whoever comes while one write runs shares the one after it.
      next ??= writing
        .catch(() => {})
        .then(() => {
          next = undefined;
          writing = write();
          return writing;
        });
      return next;
    },
    async close() {
      await (next ?? writing).catch(() => {});
      await file.truncate(end);
      await file.close();
      await unlock();
    },
  };
}

async function openAtEnd(path: string): Promise<{ file: FileHandle; length: number; unlock: () => Promise<void> }> {
  try {
    await ensureDirectory(dirname(path));
    const unlock = await lockFile(
      `${path}.lock`,
      (owner) =>
        new CdcError(`Another local Firehose (process ${owner}) writes the ledger ${path}`, {
          hint: 'Stop it, or give another file with --ledger.',
        }),
    );
    try {
      const file = await open(path, 'a+').then(async (made) => {
        await made.close();
        return open(path, 'r+');
      });
      try {
        const length = await completeLength(file, path);
        await file.truncate(length);
        await fsyncDirectory(dirname(path));
        return { file, length, unlock };
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      await unlock();
      throw error;
    }
  } catch (error) {
    if (error instanceof CdcError) throw error;
    throw new CdcError(`The ledger ${path} cannot be written`, {
      why: (error as Error).message,
      hint: 'Give another file with --ledger.',
      cause: error,
    });
  }
}

const FIRST_BYTES = '{"call":';
const PIECE = 64 * 1024;

/** Length of a ledger up to its last line end. */
async function completeLength(file: FileHandle, path: string): Promise<number> {
  const { size } = await file.stat();
  const head = Buffer.alloc(Math.min(size, FIRST_BYTES.length));
  await file.read(head, 0, head.length, 0);
  if (!FIRST_BYTES.startsWith(head.toString())) {
    throw new CdcError(`${path} is not a ledger`, {
      exitCode: 2,
      why: `A ledger begins with ${FIRST_BYTES}, and this file is something else; it was left as it is.`,
      hint: 'Give another file with --ledger.',
    });
  }
  const piece = Buffer.alloc(PIECE);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - PIECE);
    const { bytesRead } = await file.read(piece, 0, end - start, start);
    const newline = piece.lastIndexOf(0x0a, bytesRead - 1);
    if (newline >= 0 && newline < bytesRead) return start + newline + 1;
    end = start;
  }
  return 0;
}
