import type { Transaction } from '../../model/rows-event.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';

/** Takes the lines of the transactions, in commit order. */
export interface TransactionHandler {
  /** @param stream the index of the stream that the table's events go to; the others as those of `EmitLine` */
  event(stream: number, keyHash: number, bytes: Buffer, from: number, to: number): void;
  savepoint(name: string): void;
  /** The lines of the open transaction since that savepoint did not happen. */
  rollbackTo(name: string): void;
  commit(transaction: Transaction): void;
  rollback(): void;
}

/**
 * Ends the open lines of format maxwell: the last of a transaction with `"commit":true`, the others with `xoffset`,
 * their number in it. The newest line is held back until the next one or the commit tells which; savepoints that
 * came behind it wait with it.
 */
export class MaxwellCommitMarker implements TransactionHandler {
  readonly #lines: TransactionHandler;
  readonly #delayedLine = new ByteWriter();
  #stream = 0;
  #keyHash = 0;
  /** Lines of the open transaction before the held one, and how many there were at each savepoint that was passed on. */
  #offset = 0;
  readonly #offsets = new Map<string, number>();
  /** Savepoints behind the held line. */
  #delayedSavepoints: string[] = [];

  constructor(lines: TransactionHandler) {
    this.#lines = lines;
  }

  event(stream: number, keyHash: number, bytes: Buffer, from: number, to: number): void {
    if (this.#delayedLine.at > 0) this.#emitDelayed(`,"xoffset":${this.#offset++}}\n`);
    this.#passSavepoints();
    this.#delayedLine.ensure(to - from);
    this.#delayedLine.at = bytes.copy(this.#delayedLine.bytes, 0, from, to);
    this.#stream = stream;
    this.#keyHash = keyHash;
  }

  savepoint(name: string): void {
    this.#delayedSavepoints = [...this.#delayedSavepoints.filter((other) => other !== name), name];
    if (this.#delayedLine.at === 0) this.#passSavepoints();
  }

  /** Behind a rollback to a savepoint no line may be held any more; if no other follows, none says `commit`. */
  rollbackTo(name: string): void {
    const at = this.#delayedSavepoints.indexOf(name);
    if (at >= 0) {
      this.#delayedSavepoints.length = at + 1;
      return;
    }
    this.#drop();
    this.#offset = this.#offsets.get(name) ?? this.#offset;
    this.#lines.rollbackTo(name);
  }

  commit(transaction: Transaction): void {
    if (this.#delayedLine.at > 0) this.#emitDelayed(',"commit":true}\n');
    this.#end();
    this.#lines.commit(transaction);
  }

  rollback(): void {
    this.#end();
    this.#lines.rollback();
  }

  #emitDelayed(end: string): void {
    const held = this.#delayedLine;
    held.ascii(end);
    const length = held.at;
    held.at = 0;
    this.#lines.event(this.#stream, this.#keyHash, held.bytes, 0, length);
  }

  #passSavepoints(): void {
    if (this.#delayedSavepoints.length === 0) return;
    for (const name of this.#delayedSavepoints) {
      this.#offsets.set(name, this.#offset);
      this.#lines.savepoint(name);
    }
    this.#delayedSavepoints = [];
  }

  #drop(): void {
    this.#delayedLine.at = 0;
    this.#delayedSavepoints = [];
  }

  #end(): void {
    this.#drop();
    this.#offset = 0;
    if (this.#offsets.size > 0) this.#offsets.clear();
  }
}
