/** What one marketing channel has brought, as texts of exact numbers. */
export interface SourceRevenue {
  source: string;
  orders: string;
  /** A decimal number, `-12.50`. */
  revenue: string;
}

export interface ChartStyle {
  /** Of the terminal. */
  columns: number;
  /** Bars of block characters, otherwise of `#`. */
  unicode: boolean;
}

const HEAD = { source: 'source', orders: 'orders', revenue: 'revenue' };
/** Eighths of a cell. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const BAR_MAX = 40;
const GAP = '  ';

/**
 * A bar chart with a line for each source, under a line of headings. The longest bar is the highest revenue, and none
 * is longer than the line has room. A revenue of zero or less has no bar. Without room for bars there are none.
 */
export function revenueChart(rows: readonly SourceRevenue[], { columns, unicode }: ChartStyle): string {
  const texts = rows.map(({ source, orders, revenue }) => ({
    source: source.replace(/\p{Cc}/gu, '?'),
    orders: grouped(orders),
    revenue: grouped(revenue),
  }));
  const width = (column: keyof SourceRevenue) => Math.max(...[HEAD, ...texts].map((row) => [...row[column]].length));
  const widths = { source: width('source'), orders: width('orders'), revenue: width('revenue') };
  const line = ({ source, orders, revenue }: SourceRevenue): string =>
    [pad(source, widths.source), orders.padStart(widths.orders), revenue.padStart(widths.revenue)].join(GAP);
  const room = columns - [...line(HEAD)].length - GAP.length;
  const cells = Math.max(0, Math.min(BAR_MAX, room));
  const highest = Math.max(...rows.map(({ revenue }) => Number(revenue)));
  const lines = texts.map((row, i) => {
    const share = highest > 0 ? Math.max(0, Number(rows[i]!.revenue)) / highest : 0;
    return `${line(row)}${GAP}${bar(share * cells, unicode)}`.trimEnd();
  });
  return [line(HEAD), ...lines].join('\n');
}

function bar(cells: number, unicode: boolean): string {
  if (!unicode) return '#'.repeat(Math.round(cells));
  // Rounded once, to whole eighths: otherwise 0.999 of a cell would be seven of them.
  const eighths = Math.round(cells * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** Padded by characters, not by UTF-16 units. */
const pad = (text: string, width: number): string => text + ' '.repeat(width - [...text].length);

/** Groups the digits before the point, `1,234,567.80`. The text stays exact where a double would not. */
const grouped = (number: string): string => number.replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));
