import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ensureDirectory, fsyncDirectory } from '../../runtime/durable-file.ts';
import { CdcError } from '../../runtime/error.ts';
import { lockFile } from '../../runtime/file-lock.ts';
import type { FaultName } from './faults.ts';

/** One PutRecord or PutRecordBatch: its records, whether they were stored, and the response to the client. */
export interface CallLogEntry {
  /** The number of the call in order of arrival, from 1 at each start of the local Firehose. */
  call: number;
  /** ISO time of the entry, just before the response is sent. */
  at: string;
  operation: 'PutRecord' | 'PutRecordBatch';
  /** Null when it is unknown, because the connection was reset or the request was invalid. */
  stream: string | null;
  /** The injected fault and the index of its rule. */
  fault: FaultName | null;
  rule: number | null;
  /** HTTP status of the response; null without a response. */
  status: number | null;
  /**
   * `ok` (each record has its own result, partial failures included), the `__type` of an error, or the fault of the
   * response: `lost`, `reset`, `hang`, `truncated`, `empty`, `short`, `html`.
   */
  answered: string;
  /** In the order of the request. Empty when the request was rejected before its records were read. */
  records: CallLogRecord[];
}

export interface CallLogRecord {
  /** The response is complete and valid, and says that this record is accepted. */
  accepted: boolean;
  /** The record is in the spool, and later in the lake. */
  stored: boolean;
  /** ErrorCode of the record's result. */
  code: string | null;
  /** A view into the body of the request. Copy it to keep it. */
  data: Buffer;
}

/** One line of NDJSON. Valid UTF-8, such as an event, is `"data"`; other data is `"base64"`. */
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

/** Opens or creates a call log. An incomplete last line, which was never confirmed, is cut off. */
export async function openCallLog(path: string): Promise<CallLog> {
  const { file, length, unlock } = await openAtEnd(path);
  let end = length;
  let waiting: string[] = [];
  let next: Promise<void> | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const bytes = Buffer.from(waiting.join(''));
    waiting = [];
    // The explicit position makes the next write overwrite the bytes of a failed one.
    for (let done = 0; done < bytes.length; ) {
      done += (await file.write(bytes, done, bytes.length - done, end + done)).bytesWritten;
    }
    await file.datasync();
    end += bytes.length;
  }

  return {
    append(entry) {
      waiting.push(encodeEntry(entry));
      // Every call during a write shares the next write.
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
        new CdcError(`another local Firehose (process ${owner}) writes the ledger ${path}`, {
          hint: 'stop it, or choose another file with --ledger',
        }),
    );
    try {
      const file = await open(path, 'a+').then(async (created) => {
        await created.close();
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
    throw new CdcError(`cannot write the ledger ${path}`, {
      why: (error as Error).message,
      hint: 'choose another file with --ledger',
      cause: error,
    });
  }
}

const FIRST_BYTES = '{"call":';
const SCAN_BYTES = 64 * 1024;

/** The length of a call log up to and including its last line end. */
async function completeLength(file: FileHandle, path: string): Promise<number> {
  const { size } = await file.stat();
  const head = Buffer.alloc(Math.min(size, FIRST_BYTES.length));
  await file.read(head, 0, head.length, 0);
  if (!FIRST_BYTES.startsWith(head.toString())) {
    throw new CdcError(`${path} is not a ledger`, {
      exitCode: 2,
      why: `a ledger begins with ${FIRST_BYTES}, and this file does not; it was not changed`,
      hint: 'choose another file with --ledger',
    });
  }
  const piece = Buffer.alloc(SCAN_BYTES);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - SCAN_BYTES);
    const { bytesRead } = await file.read(piece, 0, end - start, start);
    const newline = piece.lastIndexOf(0x0a, bytesRead - 1);
    if (newline >= 0 && newline < bytesRead) return start + newline + 1;
    end = start;
  }
  return 0;
}
