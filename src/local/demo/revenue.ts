import type { RowDataPacket } from 'mysql2/promise';
import type { SourceRevenue } from './revenue-chart.ts';
import { revenueBySource, SHOP } from './shop.ts';
import { connectWarehouse } from './warehouse.ts';
import { connectShop } from './workload.ts';

/** The report on the orders of the warehouse, the highest revenue first, and whether MySQL gives the same. */
export async function compareRevenue(
  warehouseUrl: string,
  sourceUrl: string,
): Promise<{ rows: SourceRevenue[]; isEqual: boolean }> {
  const rows = await revenueOfWarehouse(warehouseUrl);
  return { rows, isEqual: sorted(rows) === sorted(await revenueOfMysql(sourceUrl)) };
}

async function revenueOfWarehouse(url: string): Promise<SourceRevenue[]> {
  const client = await connectWarehouse(url);
  try {
    const { rows } = await client.query({ text: revenueBySource(`${SHOP}.orders`), rowMode: 'array' });
    return rows.map(sourceRevenue);
  } finally {
    await client.end();
  }
}

async function revenueOfMysql(url: string): Promise<SourceRevenue[]> {
  const connection = await connectShop(url);
  try {
    const [rows] = await connection.query<RowDataPacket[][]>({ sql: revenueBySource('orders'), rowsAsArray: true });
    return rows.map(sourceRevenue);
  } finally {
    connection.destroy();
  }
}

const sourceRevenue = (row: readonly unknown[]): SourceRevenue => {
  const [source, orders, revenue] = row.map(String) as [string, string, string];
  return { source, orders, revenue };
};

/** Sources of the same revenue can come in another order. */
const sorted = (rows: readonly SourceRevenue[]): string =>
  rows
    .map((row) => JSON.stringify(row))
    .sort()
    .join();
