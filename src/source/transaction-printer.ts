import { ByteWriter } from '../codec/bytes/byte-writer.ts';
import type { EncodedEvent } from '../model/encoded-event.ts';
import { CdcError } from '../runtime/error.ts';
import type { ChangeHandler, ChangeStream } from './change-stream.ts';

/** Lines of a transaction are held back until its commit, up to this many bytes. */
export const HOLD_BYTES = 16 * 1024 * 1024;

/** Prints the events of each transaction to standard output: when it commits, or once they outgrow `HOLD_BYTES`. */
export class TransactionPrinter implements ChangeHandler {
  readonly #stream: ChangeStream;
  readonly #buffered = new ByteWriter();
  /** Bytes that were buffered at each savepoint of the open transaction. */
  readonly #savepoints = new Map<string, number>();
  /** Whether a part of the open transaction is printed. */
  #printed = false;

  constructor(stream: ChangeStream) {
    this.#stream = stream;
  }

  append(_target: number, { bytes, from, to }: EncodedEvent): void {
    this.#buffered.copy(bytes.subarray(from, to));
    if (this.#buffered.at <= HOLD_BYTES) return;
    this.#flush();
    this.#printed = true;
    this.#savepoints.clear();
  }

  savepoint(name: string): void {
    this.#savepoints.set(name, this.#buffered.at);
  }

  rollbackTo(name: string): void {
    const at = this.#savepoints.get(name);
    if (at === undefined) throw printedInPart();
    this.#buffered.at = at;
  }

  commit(): void {
    this.#flush();
    this.#printed = false;
    this.#savepoints.clear();
  }

  rollback(): void {
    if (this.#printed) throw printedInPart();
    this.#buffered.at = 0;
  }

  gtidsBeforeStart(): void {}
  skipped(): void {}
  xaPrepared(): void {}
  heartbeat(): void {}

  #flush(): void {
    const buffered = this.#buffered;
    if (buffered.at === 0) return;
    const lines = Buffer.from(buffered.bytes.subarray(0, buffered.at));
    buffered.at = 0;
    if (process.stdout.write(lines)) return;
    this.#stream.pause();
    process.stdout.once('drain', () => this.#stream.resume());
  }
}

const printedInPart = (): CdcError =>
  new CdcError('a transaction that was printed in part has been rolled back in the binlog', {
    why: `it was larger than the ${HOLD_BYTES} bytes that are held back until the commit is seen`,
  });
