import type { EncodedEvent } from './encoded-event.ts';
import type { Transaction } from './rows-event.ts';

/** Receives the transactions and their events, in commit order. */
export interface TransactionHandler {
  /** Whether the handler reads the keys of events. */
  readonly needsKeys?: boolean;
  /**
   * An event of the open transaction, valid during the call only.
   * @param target the index of the stream for events of its table
   */
  append(target: number, event: EncodedEvent): void;
  savepoint(name: string): void;
  /** The open transaction was rolled back to the savepoint: the events since then are void. */
  rollbackTo(name: string): void;
  commit(transaction: Transaction): void;
  rollback(): void;
}
