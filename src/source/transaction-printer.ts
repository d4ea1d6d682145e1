import { ByteWriter } from '../codec/bytes/byte-writer.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import { CdcError } from '../runtime/error.ts';
import type { ChangeHandler, ChangeStream } from './change-stream.ts';

/** Bytes of the open transaction that are buffered at most. A larger transaction is printed before its commit. */
export const PRINT_BUFFER_MAX_BYTES = 16 * 1024 * 1024;

/** Prints the events of each transaction to standard output: at its commit, or beyond `PRINT_BUFFER_MAX_BYTES`. */
export class TransactionPrinter implements ChangeHandler {
  readonly #stream: ChangeStream;
  readonly #buffered = new ByteWriter();
  /** The buffered bytes at each savepoint of the open transaction. */
  readonly #savepoints = new Map<string, number>();
  /** Whether a part of the open transaction has been printed. */
  #printed = false;

  constructor(stream: ChangeStream) {
    this.#stream = stream;
  }

  append(_target: number, { bytes, from, to }: EncodedEvent): void {
    this.#buffered.copy(bytes.subarray(from, to));
    if (this.#buffered.at <= PRINT_BUFFER_MAX_BYTES) return;
    this.#flush();
    this.#printed = true;
    this.#savepoints.clear();
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.#buffered.at);
  }

  rollbackTo(name: string): void {
    const at = this.#savepoints.get(name);
    if (at === undefined) throw rolledBackAfterPrintError();
    this.#buffered.at = at;
  }

  commit(): void {
    this.#flush();
    this.#printed = false;
    this.#savepoints.clear();
  }

  rollback(): void {
    if (this.#printed) throw rolledBackAfterPrintError();
    this.#buffered.at = 0;
  }

  gtidsBeforeStart(): void {}
  gtidsBeforeFile(): void {}
  skipped(): void {}
  xaPrepared(): void {}
  fileBegins(): void {}
  heartbeat(): void {}

  #flush(): void {
    const buffered = this.#buffered;
    if (buffered.at === 0) return;
    const lines = Buffer.from(buffered.bytes.subarray(0, buffered.at));
    buffered.reset();
    if (process.stdout.write(lines)) return;
    this.#stream.pause();
    process.stdout.once('drain', () => this.#stream.resume());
  }
}

const rolledBackAfterPrintError = (): CdcError =>
  new CdcError('a transaction was rolled back after part of it had been printed', {
    why: `it was larger than the ${PRINT_BUFFER_MAX_BYTES} bytes that are buffered until its COMMIT`,
  });
