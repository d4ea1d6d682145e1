import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { CapturedTableStatus } from '../admin/daemon-status.ts';
import { counted, exactCount } from './format.ts';
import { Section } from './section.tsx';
import { arrangeTables, type SortColumn, type TableOrder, tableName } from './table-order.ts';
import { TableRow } from './table-row.tsx';

const PAGE_ROWS = 50;
/** From so many tables on there is a filter. */
const FILTER_FROM = 11;

const COLUMNS: { column: SortColumn; title: string; isNumber?: true }[] = [
  { column: 'name', title: 'Table' },
  { column: 'coverage', title: 'Copy in the lake' },
  { column: 'events', title: 'Events', isNumber: true },
  { column: 'bytes', title: 'Bytes', isNumber: true },
  { column: 'change', title: 'Last change', isNumber: true },
];

/** The captured tables. A page of them at a time: a server can have thousands. */
export function TablePanel({ tables, now }: { tables: readonly CapturedTableStatus[]; now: number }): JSX.Element {
  const [filter, setFilter] = useState('');
  const [order, setOrder] = useState<TableOrder>({ column: 'name', descending: false });
  const [page, setPage] = useState(0);
  const found = arrangeTables(tables, filter, order);
  const lastPage = Math.max(0, Math.ceil(found.length / PAGE_ROWS) - 1);
  const shownPage = Math.min(page, lastPage);
  const first = shownPage * PAGE_ROWS;
  const complete = tables.filter(({ coverage }) => coverage.complete).length;
  const sortBy = (column: SortColumn): void => {
    // Numbers are sorted for their greatest ones first, and so are changes.
    const descending = order.column === column ? !order.descending : column !== 'name' && column !== 'coverage';
    setOrder({ column, descending });
    setPage(0);
  };
  const aside = (
    <p class="more">
      {counted(tables.length, 'table')}, {exactCount(complete)} complete in the lake
    </p>
  );
  return (
    <Section id="tables" title="Tables" aside={aside}>
      {tables.length >= FILTER_FROM && (
        <label class="filter">
          <span>Filter by name</span>
          <input
            type="search"
            value={filter}
            onInput={(event) => {
              setFilter(event.currentTarget.value);
              setPage(0);
            }}
          />
        </label>
      )}
      {found.length === 0 ? (
        <p class="empty">{tables.length === 0 ? 'No table is captured yet.' : 'No table has such a name.'}</p>
      ) : (
        <TableGrid rows={found.slice(first, first + PAGE_ROWS)} now={now} order={order} sortBy={sortBy} />
      )}
      {lastPage > 0 && (
        <nav class="pages" aria-label="Pages of tables">
          <button type="button" aria-disabled={shownPage === 0} onClick={() => setPage(Math.max(0, shownPage - 1))}>
            Previous
          </button>
          <span>
            {exactCount(first + 1)} to {exactCount(Math.min(found.length, first + PAGE_ROWS))} of{' '}
            {exactCount(found.length)}
          </span>
          <button
            type="button"
            aria-disabled={shownPage === lastPage}
            onClick={() => setPage(Math.min(lastPage, shownPage + 1))}
          >
            Next
          </button>
        </nav>
      )}
    </Section>
  );
}

function TableGrid(props: {
  rows: readonly CapturedTableStatus[];
  now: number;
  order: TableOrder;
  sortBy: (column: SortColumn) => void;
}): JSX.Element {
  const { rows, now, order, sortBy } = props;
  return (
    <div class="grid-holder">
      <table class="grid">
        <thead>
          <tr>
            {COLUMNS.map(({ column, title, isNumber }) => {
              const isSorted = order.column === column;
              const direction = order.descending ? 'descending' : 'ascending';
              return (
                <th
                  key={column}
                  scope="col"
                  class={`${column} ${isNumber ? 'number' : ''}`}
                  aria-sort={isSorted ? direction : 'none'}
                >
                  <button type="button" onClick={() => sortBy(column)}>
                    {title}
                    <span class="arrow" aria-hidden="true">
                      {isSorted ? (order.descending ? '▾' : '▴') : ''}
                    </span>
                  </button>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <TableRow key={tableName(row)} row={row} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}
