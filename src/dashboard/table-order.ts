import type { CapturedTableStatus } from '../admin/daemon-status.ts';

export type SortColumn = 'name' | 'coverage' | 'events' | 'bytes' | 'change';

export interface TableOrder {
  column: SortColumn;
  descending: boolean;
}

export const tableName = ({ schema, table }: { schema: string; table: string }): string => `${schema}.${table}`;

export const sumOfEvents = ({ events: { c, u, d, r, t } }: CapturedTableStatus): number => c + u + d + r + t;

const COMPARE: Record<SortColumn, (a: CapturedTableStatus, b: CapturedTableStatus) => number> = {
  name: byName,
  coverage: (a, b) => Number(a.coverage.complete) - Number(b.coverage.complete),
  events: (a, b) => sumOfEvents(a) - sumOfEvents(b),
  bytes: (a, b) => a.bytes - b.bytes,
  change: (a, b) => Date.parse(a.lastChangeAt ?? '') - Date.parse(b.lastChangeAt ?? '') || hasChange(a) - hasChange(b),
};

function byName(a: CapturedTableStatus, b: CapturedTableStatus): number {
  const [one, other] = [tableName(a), tableName(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

const hasChange = (table: CapturedTableStatus): number => (table.lastChangeAt === null ? 0 : 1);

/** The tables whose name contains the text, in this order. Equal ones are in the order of their names. */
export function arrangeTables(
  tables: readonly CapturedTableStatus[],
  filter: string,
  order: TableOrder,
): CapturedTableStatus[] {
  const wanted = filter.trim().toLowerCase();
  const found = tables.filter((table) => tableName(table).toLowerCase().includes(wanted));
  const compare = COMPARE[order.column];
  const sign = order.descending ? -1 : 1;
  return found.sort((a, b) => sign * compare(a, b) || byName(a, b));
}
