import type { EncodedEvent } from '../../model/encoded-event.ts';
import type { Transaction } from '../../model/rows-event.ts';
import type { Table } from '../../model/table.ts';
import type { TransactionHandler } from '../../model/transaction-handler.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';

const EMPTY = Buffer.alloc(0);
const NO_TABLE: Table = { schema: '', name: '', columns: [], key: [] };

/**
 * Completes the lines of format maxwell. The last line of a transaction gets `"commit":true`; each other line gets
 * `xoffset`, its number in the transaction. The newest line is delayed until the next line or the commit shows which
 * ending it gets. Savepoints after it are delayed with it.
 */
export class MaxwellCommitMarker implements TransactionHandler {
  readonly #handler: TransactionHandler;
  /** The key and the unfinished line of the delayed event. */
  readonly #delayed = new ByteWriter();
  readonly #event: EncodedEvent = {
    op: 'c',
    table: NO_TABLE,
    bytes: EMPTY,
    from: 0,
    to: 0,
    keyFrom: 0,
    keyTo: 0,
    keyHash: 0,
    isPartial: false,
    locateKey() {},
  };
  #hasDelayed = false;
  #target = 0;
  /** Events of the open transaction before the delayed one, and their number at each savepoint. */
  #offset = 0;
  readonly #offsets = new Map<string, number>();
  /** Savepoints after the delayed event. */
  #delayedSavepoints: string[] = [];

  constructor(handler: TransactionHandler) {
    this.#handler = handler;
  }

  append(target: number, event: EncodedEvent): void {
    if (this.#hasDelayed) this.#emitDelayed(`,"xoffset":${this.#offset++}}\n`);
    this.#emitSavepoints();
    if (this.#handler.needsKeys) event.locateKey();
    const { bytes, from, to, keyFrom, keyTo, keyHash } = event;
    const delayed = this.#delayed;
    const keyLength = keyTo - keyFrom;
    delayed.at = 0;
    delayed.ensure(keyLength + to - from);
    if (keyLength > 0) bytes.copy(delayed.bytes, 0, keyFrom, keyTo);
    delayed.at = keyLength + bytes.copy(delayed.bytes, keyLength, from, to);
    this.#hasDelayed = true;
    this.#target = target;
    this.#event.keyTo = this.#event.from = keyLength;
    this.#event.keyHash = keyHash;
    this.#event.isPartial = event.isPartial;
    this.#event.op = event.op;
    this.#event.table = event.table;
  }

  savepoint(name: string): void {
    this.#delayedSavepoints = [...this.#delayedSavepoints.filter((other) => other !== name), name];
    if (!this.#hasDelayed) this.#emitSavepoints();
  }

  /** If no event follows, no line has `commit`: the lines before the savepoint are already emitted. */
  rollbackTo(name: string): void {
    const at = this.#delayedSavepoints.indexOf(name);
    if (at >= 0) {
      this.#delayedSavepoints.length = at + 1;
      return;
    }
    this.#drop();
    this.#offset = this.#offsets.get(name) ?? this.#offset;
    this.#handler.rollbackTo(name);
  }

  commit(transaction: Transaction): void {
    if (this.#hasDelayed) this.#emitDelayed(',"commit":true}\n');
    this.#endTransaction();
    this.#handler.commit(transaction);
  }

  rollback(): void {
    this.#endTransaction();
    this.#handler.rollback();
  }

  #emitDelayed(end: string): void {
    this.#delayed.ascii(end);
    this.#event.bytes = this.#delayed.bytes;
    this.#event.to = this.#delayed.at;
    this.#hasDelayed = false;
    this.#handler.append(this.#target, this.#event);
    if (this.#delayed.reset()) this.#event.bytes = EMPTY;
  }

  #emitSavepoints(): void {
    if (this.#delayedSavepoints.length === 0) return;
    for (const name of this.#delayedSavepoints) {
      this.#offsets.set(name, this.#offset);
      this.#handler.savepoint(name);
    }
    this.#delayedSavepoints = [];
  }

  #drop(): void {
    this.#hasDelayed = false;
    this.#delayedSavepoints = [];
  }

  #endTransaction(): void {
    this.#drop();
    this.#offset = 0;
    if (this.#offsets.size > 0) this.#offsets.clear();
  }
}
