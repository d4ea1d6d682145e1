import type { Transaction } from '../../model/rows-event.ts';
import { Output } from '../bytes/byte-writer.ts';

/** Takes the lines of the transactions, in commit order. */
export interface TransactionLines {
  /** @param stream the index of the stream that the table's events go to; the others as those of `EmitLine` */
  line(stream: number, keyHash: number, bytes: Buffer, from: number, to: number): void;
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
export class CommitMark implements TransactionLines {
  readonly #lines: TransactionLines;
  readonly #held = new Output();
  #stream = 0;
  #keyHash = 0;
  /** Lines of the open transaction before the held one, and how many there were at each savepoint that was passed on. */
  #offset = 0;
  readonly #offsets = new Map<string, number>();
  /** Savepoints behind the held line. */
  #waiting: string[] = [];

  constructor(lines: TransactionLines) {
    this.#lines = lines;
  }

  line(stream: number, keyHash: number, bytes: Buffer, from: number, to: number): void {
    if (this.#held.at > 0) this.#release(`,"xoffset":${this.#offset++}}\n`);
    this.#passSavepoints();
    this.#held.ensure(to - from);
    this.#held.at = bytes.copy(this.#held.bytes, 0, from, to);
    this.#stream = stream;
    this.#keyHash = keyHash;
  }

  savepoint(name: string): void {
    this.#waiting = [...this.#waiting.filter((other) => other !== name), name];
    if (this.#held.at === 0) this.#passSavepoints();
  }

  /** Behind a rollback to a savepoint no line may be held any more; if no other follows, none says `commit`. */
  rollbackTo(name: string): void {
    const at = this.#waiting.indexOf(name);
    if (at >= 0) {
      this.#waiting.length = at + 1;
      return;
    }
    this.#drop();
    this.#offset = this.#offsets.get(name) ?? this.#offset;
    this.#lines.rollbackTo(name);
  }

  commit(transaction: Transaction): void {
    if (this.#held.at > 0) this.#release(',"commit":true}\n');
    this.#end();
    this.#lines.commit(transaction);
  }

  rollback(): void {
    this.#end();
    this.#lines.rollback();
  }

  #release(end: string): void {
    const held = this.#held;
    held.ascii(end);
    const length = held.at;
    held.at = 0;
    this.#lines.line(this.#stream, this.#keyHash, held.bytes, 0, length);
  }

  #passSavepoints(): void {
    if (this.#waiting.length === 0) return;
    for (const name of this.#waiting) {
      this.#offsets.set(name, this.#offset);
      this.#lines.savepoint(name);
    }
    this.#waiting = [];
  }

  #drop(): void {
    this.#held.at = 0;
    this.#waiting = [];
  }

  #end(): void {
    this.#drop();
    this.#offset = 0;
    if (this.#offsets.size > 0) this.#offsets.clear();
  }
}
