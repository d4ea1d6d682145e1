import type { TableComparison } from '../../lake/compare.ts';
import { type ChartStyle, revenueChart } from './revenue-chart.ts';
import type { DemoResult } from './run-demo.ts';
import type { WarehouseTable } from './warehouse.ts';

const count = (n: number): string => n.toLocaleString('en-US');

/** The report at the end: the workload, the comparison of lake and source, and an example query. */
export function demoReport(result: DemoResult, kept: boolean, style: ChartStyle): string {
  const { workload, problems, directory } = result;
  const changes = workload.inserted + workload.updated + workload.deleted + workload.moved;
  const summary = table([
    [
      'transactions',
      count(workload.committed),
      `committed; ${count(workload.rolledBack)} more rolled back, ` +
        `${count(workload.partlyRolledBack)} of the committed in part`,
    ],
    [
      'row changes',
      count(changes),
      `${count(workload.inserted)} inserted, ${count(workload.updated)} updated, ${count(workload.deleted)} deleted, ` +
        `${count(workload.moved)} given another primary key`,
    ],
    ['change events', count(result.expectedChanges), 'expected: a new primary key makes two; one row marks the end'],
    [
      'rows copied',
      count(result.copiedRows),
      `by the backfill; ${count(result.history)} rows were there before the daemon`,
    ],
    [
      'events landed',
      count(result.lines - result.repeats),
      `in ${count(result.objects)} objects, ${count(result.bytes)} bytes`,
    ],
    ['repeats', count(result.repeats), `after ${result.kills} SIGKILL of the daemon`],
  ]);
  const tables = table([
    ['table', 'rows in MySQL', 'rows in the lake', 'events', ''],
    ...result.tables.map((comparison) => [
      `${comparison.schema}.${comparison.table}`,
      count(comparison.sourceRows),
      count(comparison.lakeRows),
      count(comparison.events),
      describeComparison(comparison),
    ]),
  ]);
  const parts = [
    `cdc demo, seed ${result.seed}: MySQL ${result.server} -> binlog -> daemon -> local Firehose -> lake -> warehouse`,
    summary,
    `cdc verify, beside the daemon\n${indented(result.verify.text)}`,
    `The lake folded by DuckDB, against MySQL row by row\n${tables}`,
    `The warehouse after cdc merge, against MySQL row by row\n${warehouseTable(result.warehouse)}`,
  ];
  const differences = result.tables.flatMap(describeDifferences);
  if (differences.length > 0) parts.push(`First differences\n${differences.map((line) => `  ${line}`).join('\n')}`);
  if (result.revenue.length > 0) {
    const chart = revenueChart(result.revenue, { ...style, columns: style.columns - 2 });
    parts.push(`Revenue by source, one query on the orders of the warehouse; MySQL gives the same\n${indented(chart)}`);
  }
  parts.push(kept ? keptFiles(directory) : 'All temporary files are removed; use --keep to keep them.');
  parts.push(
    problems.length === 0 ? 'The lake equals MySQL. The warehouse equals MySQL.' : `FAILED: ${problems.join('; ')}`,
  );
  return `${parts.join('\n\n')}\n`;
}

function warehouseTable(tables: readonly WarehouseTable[]): string {
  return table([
    ['table', 'rows in MySQL', 'rows in the warehouse', ''],
    ...tables.map(({ table: name, sourceRows, warehouseRows, isEqual }) => [
      `shop.${name}`,
      count(sourceRows),
      count(warehouseRows),
      isEqual ? 'equal' : 'different',
    ]),
  ]);
}

const indented = (text: string): string => text.trimEnd().replace(/^/gm, '  ');

function describeComparison(result: TableComparison): string {
  if (result.incomparable !== undefined) return result.incomparable;
  const found = (['missing', 'extra', 'different'] as const).filter((kind) => result[kind] > 0);
  return found.length === 0 ? 'equal' : found.map((kind) => `${count(result[kind])} ${kind}`).join(', ');
}

const describeDifferences = (result: TableComparison): string[] =>
  result.samples.map(({ kind, key, columns = [] }) => {
    const values = columns.map(
      ({ name, source, lake }) => `${name} is ${source} in MySQL, ${lake ?? 'absent'} in the lake`,
    );
    return `${result.schema}.${result.table} ${key}: ${[kind, ...values].join('; ')}`;
  });

const keptFiles = (directory: string): string =>
  `All files are in ${directory}\n${table([
    ['lake/', 'the objects that Firehose delivered'],
    ['lake.duckdb', 'the fold with a view for each table'],
    ['warehouse/', 'the database of the warehouse: cdc firehose --warehouse serves it'],
    ['cdc.yaml', 'the configuration of the daemon'],
    ['daemon.log', 'the log of the daemon'],
    ['state/', 'the checkpoint of the daemon'],
    ['mysql/', "the server's data and log"],
  ])}`;

/** Formats a table. Columns of numbers are aligned to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const numeric = (column: number) => rows.some((row) => /^[\d,.]+$/.test(row[column] ?? ''));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => (numeric(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)));
      return `  ${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}
