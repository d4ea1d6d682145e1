import type { BackfillStatus, TableStatus } from '../backfill/control.ts';
import { tableName } from './table-order.ts';

const STATES: readonly TableStatus['state'][] = ['reading', 'failed', 'queued', 'cancelled', 'done'];

export const isOpen = ({ state }: TableStatus): boolean => state === 'queued' || state === 'reading';

/** The last copy of each table: what is read first, and what needs nobody last. A later request repeats a table. */
export function lastCopies({ tables }: BackfillStatus): TableStatus[] {
  const last = new Map(tables.map((table) => [tableName(table), table]));
  return [...last.values()].sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state));
}

/**
 * The bars of a page: at most `max` of them, and fewer of the tables that are over.
 * @param copies in the order of `lastCopies`
 */
export function shownCopies(copies: readonly TableStatus[], max: number, maxOver: number): TableStatus[] {
  let over = 0;
  return copies.filter((copy) => isOpen(copy) || copy.state === 'failed' || ++over <= maxOver).slice(0, max);
}
