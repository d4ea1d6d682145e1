import type { CapturedTableStatus, DaemonStatus } from '../../admin/daemon-status.ts';
import type { BackfillStatus } from '../../backfill/control.ts';
import { completingCommand } from '../../model/shell-command.ts';
import { formatTableName } from '../../model/table-filter.ts';
import { printable } from '../../runtime/printable.ts';
import { waitingLine } from '../backfill/progress.ts';
import { formatCount, formatPercent, formatSeconds, plural } from '../backfill/text.ts';
import { cutTo, type StatusEntry } from './layout.ts';

/** Lines of tables. */
const TABLES_MAX = 8;
const NAME_WIDTH = 28;

/** The tables that matter most: incomplete ones first, then those with the most events. */
export function tableEntries({ tables, at, delivery }: DaemonStatus): StatusEntry[] {
  if (tables.length === 0) return [{ label: 'tables', text: 'none is known', color: 'dim' }];
  const incomplete = tables.filter(({ coverage }) => !coverage.complete);
  const counted = incomplete.length === 0 ? 'all complete' : `${formatCount(incomplete.length)} INCOMPLETE`;
  const rank = (table: CapturedTableStatus): number => (table.coverage.complete ? 0 : 1);
  const sorted = [...tables].sort((a, b) => rank(b) - rank(a) || eventsOf(b) - eventsOf(a));
  const shown = sorted.slice(0, TABLES_MAX);
  const rest = sorted.slice(TABLES_MAX);
  const width = Math.min(NAME_WIDTH, Math.max(...shown.map((table) => nameOf(table).length)));
  const counts = shown.map((table) => formatCount(eventsOf(table)));
  const countWidth = Math.max(...counts.map((text) => text.length));
  return [
    {
      label: 'tables',
      text: `${formatCount(tables.length)}, ${counted}`,
      ...(incomplete.length > 0 && { color: 'warn' }),
    },
    ...shown.map((table, i): StatusEntry => {
      const last =
        table.lastChangeAt === null ? '' : `, last ${formatSeconds(secondsSince(table.lastChangeAt, at))} ago`;
      const seen =
        delivery === null
          ? ''
          : `  ${counts[i]?.padStart(countWidth)} ${eventsOf(table) === 1 ? 'event' : 'events'}${last}`;
      return { text: `${cutTo(nameOf(table), width)}${seen}  ${stateOf(table, at)}` };
    }),
    ...(rest.length > 0
      ? [{ text: `and ${plural(rest.length, 'more table')}, ${restOf(rest)}`, color: 'dim' as const }]
      : []),
    ...(incomplete.length > 0 ? [{ text: `do:  ${completingCommand(incomplete)}`, indent: 2 }] : []),
  ];
}

function stateOf({ coverage, verified }: CapturedTableStatus, at: string): string {
  const since = coverage.since === null ? '' : ` since ${formatSeconds(secondsSince(coverage.since, at))} ago`;
  if (!coverage.complete) return `incomplete${since}: ${coverage.why}`;
  const compared = verified === null ? '' : `, verified ${formatSeconds(secondsSince(verified.at, at))} ago`;
  return `complete${compared}`;
}

function restOf(tables: readonly CapturedTableStatus[]): string {
  const incomplete = tables.filter(({ coverage }) => !coverage.complete).length;
  return incomplete === 0 ? 'all complete' : `${formatCount(incomplete)} incomplete; --json has all of them`;
}

/** What is left of a backfill: the tables in work first. */
export function backfillEntries(status: BackfillStatus | null): StatusEntry[] {
  if (status === null || status.tables.length === 0) return [];
  const { state, parallel, rate, tables } = status;
  const done = tables.filter((table) => table.state === 'done').length;
  const limit = rate === null ? '' : `, at most ${formatCount(rate)} rows/s`;
  const order = { reading: 0, failed: 1, queued: 2, cancelled: 3, done: 4 };
  const open = tables.filter((table) => table.state !== 'done').sort((a, b) => order[a.state] - order[b.state]);
  const waiting = waitingLine(status);
  const rest = open.length - TABLES_MAX;
  return [
    {
      label: 'backfill',
      text: `${state}, ${formatCount(done)} of ${plural(tables.length, 'table')} done, ${plural(parallel, 'connection')}${limit}`,
    },
    ...(waiting === undefined ? [] : [{ text: waiting, indent: 2, color: 'dim' as const }]),
    ...open.slice(0, TABLES_MAX).map((table): StatusEntry => {
      const { rows, estimatedRows, fraction, error } = table;
      const name = cutTo(nameOf(table), Math.min(NAME_WIDTH, Math.max(...open.map((other) => nameOf(other).length))));
      const progress = `${formatPercent(fraction).padStart(7)}  ${formatCount(rows)} of about ${plural(Math.max(rows, estimatedRows), 'row')}`;
      const why = error === undefined ? '' : `: ${[error.message, error.why].filter(Boolean).join(': ')}`;
      return { text: `${name}  ${table.state}${why === '' ? progress : why}`, ...(why !== '' && { color: 'bad' }) };
    }),
    ...(rest > 0 ? [{ text: `and ${plural(rest, 'more table')}`, color: 'dim' as const }] : []),
  ];
}

const nameOf = ({ schema, table }: { schema: string; table: string }): string =>
  printable(formatTableName(schema, table));
const eventsOf = ({ events }: CapturedTableStatus): number => events.c + events.u + events.d + events.r + events.t;
const secondsSince = (then: string, at: string): number => Math.max(0, (Date.parse(at) - Date.parse(then)) / 1000);
