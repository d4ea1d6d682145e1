import type { Transaction } from '../model/rows-event.ts';
import type { StartPoint } from './start-point.ts';

/** Receives the transactions from the start on, and those before it. */
interface CommitListener {
  commit(transaction: Transaction): void;
  xaPrepared(transaction: Transaction): void;
  skipped(transaction: Transaction): void;
}

export interface StartSkipper {
  commit(transaction: Transaction): void;
  xaPrepared(transaction: Transaction): void;
}

/**
 * Separates the transactions that are read only to reach the start. Their GTIDs count as delivered, but no commit is
 * reported: it would move the saved position backwards, and a crash would then resend them. An XA transaction that was
 * prepared before the start and has not ended there is reported when the start is reached.
 */
export function skipUntilStart(
  { skipBefore }: Pick<StartPoint, 'skipBefore'>,
  { commit, xaPrepared, skipped }: CommitListener,
): StartSkipper {
  if (skipBefore === undefined) return { commit, xaPrepared };
  let prepared: Transaction[] = [];
  const isBeforeStart = ({ file, position }: Transaction): boolean =>
    file === skipBefore.file && position < skipBefore.position;
  const reportPrepared = (): void => {
    for (const transaction of prepared) xaPrepared(transaction);
    prepared = [];
  };
  return {
    commit(transaction) {
      if (isBeforeStart(transaction)) {
        prepared = prepared.filter((other) => other !== transaction.preparedTransaction);
        return skipped(transaction);
      }
      if (prepared.length > 0) reportPrepared();
      commit(transaction);
    },
    xaPrepared(transaction) {
      if (isBeforeStart(transaction)) {
        prepared.push(transaction);
        return;
      }
      reportPrepared();
      xaPrepared(transaction);
    },
  };
}
