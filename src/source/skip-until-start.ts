import type { Transaction } from '../model/rows-event.ts';
import type { StartPoint } from './start-point.ts';

/** Whom the transactions concern that are not passed over. */
interface Told {
  commit(transaction: Transaction): void;
  prepared(transaction: Transaction): void;
}

export interface PassedOver extends Told {
  skips(transaction: Transaction): boolean;
}

/**
 * Transactions that are read only to get to where the stream begins. Their GTIDs count as delivered, but nobody is
 * told: the position must not go back to them, or a kill in the meantime would bring them, or repeat what is behind.
 * An XA transaction that is prepared there and has not ended when the place is reached is told of then.
 */
export function passOver(
  { skipBefore, delivered }: Pick<StartPoint, 'skipBefore' | 'delivered'>,
  told: Told,
): PassedOver {
  if (skipBefore === undefined) return { ...told, skips: () => false };
  let prepared: Transaction[] = [];
  const skips = ({ file, position }: Transaction): boolean =>
    file === skipBefore.file && position < skipBefore.position;
  const arrived = (): void => {
    for (const transaction of prepared) told.prepared(transaction);
    prepared = [];
  };
  return {
    skips,
    commit(transaction) {
      if (!skips(transaction)) {
        if (prepared.length > 0) arrived();
        return told.commit(transaction);
      }
      prepared = prepared.filter((waiting) => waiting !== transaction.preparedTransaction);
      const { file, position } = delivered;
      delivered.advance(transaction);
      Object.assign(delivered, { file, position });
    },
    prepared(transaction) {
      if (skips(transaction)) prepared.push(transaction);
      else {
        arrived();
        told.prepared(transaction);
      }
    },
  };
}
