import type { Transaction } from '../model/rows-event.ts';
import type { StartPoint } from './start-point.ts';

/** Whom the transactions concern that are not passed over. */
interface CommitListener {
  commit(transaction: Transaction): void;
  xaPrepared(transaction: Transaction): void;
}

export interface StartSkipper extends CommitListener {
  isBeforeStart(transaction: Transaction): boolean;
}

/**
 * Transactions that are read only to get to where the stream begins. Their GTIDs count as delivered, but nobody is
 * told: the position must not go back to them, or a kill in the meantime would bring them, or repeat what is behind.
 * An XA transaction that is prepared there and has not ended when the place is reached is told of then.
 */
export function skipUntilStart(
  { skipBefore, delivered }: Pick<StartPoint, 'skipBefore' | 'delivered'>,
  told: CommitListener,
): StartSkipper {
  if (skipBefore === undefined) return { ...told, isBeforeStart: () => false };
  let prepared: Transaction[] = [];
  const isBeforeStart = ({ file, position }: Transaction): boolean =>
    file === skipBefore.file && position < skipBefore.position;
  const arrived = (): void => {
    for (const transaction of prepared) told.xaPrepared(transaction);
    prepared = [];
  };
  return {
    isBeforeStart,
    commit(transaction) {
      if (!isBeforeStart(transaction)) {
        if (prepared.length > 0) arrived();
        return told.commit(transaction);
      }
      prepared = prepared.filter((waiting) => waiting !== transaction.preparedTransaction);
      const { file, position } = delivered;
      delivered.advance(transaction);
      Object.assign(delivered, { file, position });
    },
    xaPrepared(transaction) {
      if (isBeforeStart(transaction)) prepared.push(transaction);
      else {
        arrived();
        told.xaPrepared(transaction);
      }
    },
  };
}
