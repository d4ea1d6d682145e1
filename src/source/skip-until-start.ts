import type { Transaction } from '../model/rows-event.ts';
import type { StartPoint } from './start-point.ts';

/** Receives the transactions that are not skipped. */
interface CommitListener {
  commit(transaction: Transaction): void;
  xaPrepared(transaction: Transaction): void;
}

export interface StartSkipper extends CommitListener {
  isBeforeStart(transaction: Transaction): boolean;
}

/**
 * Skips transactions that are read only to reach the start position. Their GTIDs count as delivered, but no commit is
 * reported: it would move the saved position backwards, and a crash would then resend them. An XA transaction that was
 * prepared before the start position and has not ended there is reported when the position is reached.
 */
export function skipUntilStart(
  { skipBefore, delivered }: Pick<StartPoint, 'skipBefore' | 'delivered'>,
  listener: CommitListener,
): StartSkipper {
  if (skipBefore === undefined) return { ...listener, isBeforeStart: () => false };
  let prepared: Transaction[] = [];
  const isBeforeStart = ({ file, position }: Transaction): boolean =>
    file === skipBefore.file && position < skipBefore.position;
  const reportPrepared = (): void => {
    for (const transaction of prepared) listener.xaPrepared(transaction);
    prepared = [];
  };
  return {
    isBeforeStart,
    commit(transaction) {
      if (!isBeforeStart(transaction)) {
        if (prepared.length > 0) reportPrepared();
        return listener.commit(transaction);
      }
      prepared = prepared.filter((other) => other !== transaction.preparedTransaction);
      const { file, position } = delivered;
      delivered.advance(transaction);
      Object.assign(delivered, { file, position });
    },
    xaPrepared(transaction) {
      if (isBeforeStart(transaction)) prepared.push(transaction);
      else {
        reportPrepared();
        listener.xaPrepared(transaction);
      }
    },
  };
}
